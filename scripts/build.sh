#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh PRESET [TARGET...]: configures and builds a preset of CMakePresets.json (release, dev, ci, cuda, asan).
#   MVRM_JOBS  parallel compilations; default 2 at most, because one takes up to 1.5 GB of memory
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -ge 1 ] || fail "no preset given" "scripts/build.sh release|dev|ci|cuda|asan [TARGET...]"
preset=$1
shift
cores=$(nproc)
jobs=${MVRM_JOBS:-$((cores < 2 ? cores : 2))}
if command -v ccache >/dev/null; then
  export MVRM_COMPILER_LAUNCHER=ccache
  export CCACHE_SLOPPINESS=pch_defines,time_macros   # without these ccache refuses files that use the precompiled header
fi

step "configuring preset $preset" "run scripts/setup.sh; if that does not help, remove build/$preset and try again"
cmake --preset "$preset" >&2
step "building preset $preset with $jobs jobs${*:+: $*}" \
  "read the first compiler error above; when the compiler was killed, memory ran out: set MVRM_JOBS=1"
targets=()
if [ $# -gt 0 ]; then
  targets=(--target "$@")
fi
cmake --build --preset "$preset" --parallel "$jobs" "${targets[@]}" >&2
