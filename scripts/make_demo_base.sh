#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Trains the base model that `mvrm demo` starts from: clean clips, a seed range that the demo never uses, random initial weights.
# Takes about an hour on 2 cores; can be killed and started again. Writes configs/demo/base.
set -euo pipefail
cd "$(dirname "$0")/.."
mvrm=${MVRM:-build/release/apps/mvrm/mvrm}
[ -x "$mvrm" ] || { echo "make_demo_base: $mvrm is not there; run ./scripts/setup.sh and ./scripts/build.sh release first" >&2; exit 1; }

"$mvrm" synth --out runs/demo_base_data --videos "${VIDEOS:-6000}" --test-videos 400 --seed 1000003
"$mvrm" train --config configs/demo/pretrain.yaml "$@"
"$mvrm" eval spearman --model runs/demo_base/model --data runs/demo_base_data/test.jsonl --fail-under 0.95
mkdir -p configs/demo/base
cp runs/demo_base/model/* configs/demo/base/
echo "make_demo_base: wrote configs/demo/base"
