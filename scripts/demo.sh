#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole story on a CPU with one command: sets the machine up, builds, and runs `mvrm demo` with the given options.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bash scripts/setup.sh
bash scripts/build.sh release
step "running the demo"
trap - ERR
export OMP_WAIT_POLICY=passive   # threads that wait must not burn the cores that the others need
exec build/release/apps/mvrm/mvrm demo "$@"
