#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of everything that parses foreign bytes (configuration, model files, tokenizers, data files, pictures, clips) under the
# address and undefined-behaviour sanitizers. Only these stages are built: code that computes on checked values gains little from it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

stages=(core config video preprocess text data model)
targets=("${stages[@]/#/mvrm_}")
bash scripts/build.sh asan "${targets[@]/%/_test}"
step "sanitized tests of ${stages[*]}" "run one alone: ctest --preset asan -R '^NAME$'"
# Memory that libraries keep to the end of the process is no leak of ours; sizes that a file asks for must fail as exceptions do.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
names=$(IFS='|'; printf '%s' "${stages[*]}")
ctest --preset asan --no-tests=error -R "^($names)\$"
