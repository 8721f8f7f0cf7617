#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gpu_check.sh: what only a machine with GPUs can show. Builds the program with the CUDA plug-in, runs the tests labelled gpu (NCCL over all
# visible GPUs among them), measures, and writes the table to docs/benchmarks/gpu_<name>_<month>.md. Fails at its end where a test failed.
#   MVRM_TORCH_DIR   an installed torch 2.11 to 2.15 to build against, …/site-packages/torch (default: the pinned wheel in .venv,
#                    MVRM_CUDA=1 scripts/setup.sh)
#   MVRM_GPU_BUILD   the build folder (default build/gpu); one that is complete is used as it is when MVRM_GPU_BUILT=1
#   MVRM_PEAK_TFLOPS dense bfloat16 peak of one GPU (default 989: H100, H200)
#   MVRM_PEER_PYTHON a Python with torch and transformers, to measure the same model there (default: none)
#   MVRM_GPU_TABLE   where the table goes
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build=${MVRM_GPU_BUILD:-build/gpu}
peak=${MVRM_PEAK_TFLOPS:-989}

build_all() {
  local torch=${MVRM_TORCH_DIR:-}
  step "configuring $build" "set MVRM_TORCH_DIR to an installed torch, or run MVRM_CUDA=1 scripts/setup.sh; CUDA_HOME names the toolkit"
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMVRM_USE_CUDA=ON ${torch:+-DMVRM_TORCH_DIR="$torch"} >&2
  step "building the program, the plug-in, tests and benchmark" "read the first compiler error above"
  cmake --build "$build" --parallel "${MVRM_JOBS:-$(nproc)}" --target mvrm mvrm_cuda mvrm_cuda_test mvrm_gpu_bench >&2
}

run_tests() {
  step "tests labelled gpu"
  local status=0
  "$build/tests/cuda/mvrm_cuda_test" >&2 || status=$?
  [ "$status" -ne 77 ] || fail "no GPU was found" "check nvidia-smi and CUDA_VISIBLE_DEVICES; $build/apps/mvrm/mvrm info says what the program sees"
  return "$status"
}

heading() {
  local name=$1
  printf '# %s, %s\n\n' "$name" "$(date +'%B %Y')"
  printf '`scripts/gpu_check.sh`. GPUs: %s; driver %s; %s. Each time is the median of 5 (gradients: 3) calls behind a warm-up. A peak of %s TFLOP/s (dense bfloat16) is 100 %%. Tests labelled gpu: %s.\n\n' \
    "$(nvidia-smi --query-gpu=name --format=csv,noheader | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1 x /' | paste -sd, -)" \
    "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)" "$("$build/apps/mvrm/mvrm" info | grep -i torch | tr -s ' ' | head -1)" "$peak" "$tests"
}

measure() {
  local name table flops
  name=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
  table=${MVRM_GPU_TABLE:-docs/benchmarks/gpu_$(printf %s "$name" | tr -cs '[:alnum:]\n' _ | tr '[:upper:]' '[:lower:]')_$(date +%Y%m).md}
  step "measuring on $name" "the message above says what went wrong; memory of other programs counts too"
  export MVRM_CUDA_PLUGIN=$(realpath "$build")/apps/mvrm/libmvrm_cuda.so
  {
    heading "$name"
    "$build/bench/mvrm_gpu_bench" "$peak"
    if [ -n "${MVRM_PEER_PYTHON:-}" ]; then
      printf '\nThe same model in Python on the same GPU (`bench/gpu_peer.py`): gradient checkpointing, gradients in bfloat16.\n\n'
      printf '| one call | time | clips/s | tokens/s | TFLOP/s | of the peak | peak memory |\n|---|---|---|---|---|---|---|\n'
      flops=$("$build/bench/mvrm_gpu_bench" --flops)
      "$MVRM_PEER_PYTHON" bench/gpu_peer.py "$peak" "$flops"
    fi
  } | tee "$table"
  step "written to $table"
}

command -v nvidia-smi >/dev/null || fail "no nvidia-smi: this machine has no GPU driver" "run it on a GPU node"
if [ "${MVRM_GPU_BUILT:-0}" != 1 ]; then
  build_all
fi
tests=passed
run_tests || tests=failed
[ "$tests" = passed ] || printf 'some tests failed (see above); measuring all the same\n' >&2
measure
[ "$tests" = passed ] || fail "tests labelled gpu failed" "read the first failure above; the table was written all the same"
