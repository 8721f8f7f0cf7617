#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything a change must pass: set-up, cheap checks, a build with warnings as errors, headers compiled alone, all tests.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bash scripts/setup.sh
step "layers: stages include only what is above them" "move the include or add the stage to DEPS in src/<stage>/CMakeLists.txt"
.venv/bin/python scripts/check_layers.py
step "words: one name per concept" "see docs/glossary.md"
bash scripts/check_words.sh
bash scripts/build.sh ci
bash scripts/build.sh ci mvrm_header_checks
step "tests" "run one alone: ctest --preset ci -R NAME"
# What starts processes of its own, or measures, needs the cores: one after the other.
ctest --preset ci --no-tests=error -L unit -j 2
ctest --preset ci --no-tests=error -LE unit
