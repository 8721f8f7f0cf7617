#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bench_influence.sh [BUILD_DIR] [PYTHON]
# Closed form against reading the features once, backward passes (one a label, one a sample) and Captum, in one run: 36,900 samples, 5 dimensions, 4096 and 64
# features. PYTHON is one with torch, captum and safetensors; without it Captum's column is left out. One JSON line a measurement.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build=${1:-build/release}
python=${2:-}
threads=${THREADS:-$(nproc)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for width in 4096 64; do
  OMP_NUM_THREADS=1 "$build/bench/mvrm_influence_bench" 36900 "$width" "$threads" "$folder/features.safetensors"
  [ -z "$python" ] || "$python" bench/influence_captum.py "$folder/features.safetensors" "$threads"
done
