#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/measure_estimators.sh [MVRM] [OUT] [SEED...]
# How well every estimator finds the wrong labels of rendered clips, as docs/influence.md tells it: the demo's recipe on 320 clips, 10 % of the
# labels of each dimension wrong; mean AUROC over dimensions, one column a seed. TracIn over checkpoints: three runs of a third, two thirds and
# the whole of the steps at a constant learning rate, which are one run at three moments.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mvrm=${1:-build/release/apps/mvrm/mvrm}
out=${2:-runs/estimators}
shift $(($# < 2 ? $# : 2))
seeds=${*:-42 43 44 45 46}
constant_lr=1.0e-3
mkdir -p "$out"

# Mean AUROC of the profile's self_influence against the truth.
auroc() {
  "$mvrm" refine --profile "$1" --truth "$2" --json |
    .venv/bin/python -c 'import json, sys; print(sum(d["auroc"] for d in json.load(sys.stdin)["methods"]["self_influence"]["dimensions"].values()) / 5)'
}

for seed in $seeds; do
  run=$out/$seed
  [ -f "$run/clips/truth.jsonl" ] || "$mvrm" synth --out "$run/clips" --videos 320 --test-videos 8 --noise 0.1 --seed "$seed" >/dev/null
  train=("$mvrm" train --quiet --config configs/demo/finetune.yaml --set model.path=configs/demo/base --set run.seed="$seed" --set data.train="$run/clips/train.jsonl")
  "${train[@]}" --set run.dir="$run/noisy" --collect-influence
  "$mvrm" profile --model "$run/noisy/model" --data "$run/clips/train.jsonl" --features --space head+mlp --out "$run/profile" >/dev/null
  checkpoints=()
  for steps in 40 80 120; do
    "${train[@]}" --set run.dir="$run/constant-$steps" --set schedule.kind=constant --set schedule.warmup_ratio=0 --set optimizer.lr=$constant_lr --set train.max_steps=$steps
    "$mvrm" profile --model "$run/constant-$steps/model" --data "$run/clips/train.jsonl" --features --out "$run/profile-$steps" >/dev/null
    checkpoints+=(--checkpoint "$run/profile-$steps=$constant_lr")
  done
  estimate() {   # name, source, options
    "$mvrm" profile --from "$2" --estimator "$1" "${@:3}" --out "$run/estimated" --no-fit >/dev/null
    printf '%s %s %s %s\n' "$seed" "$1" "$(basename "$2")" "$(auroc "$run/estimated" "$run/clips/truth.jsonl")"
    rm -rf "$run/estimated"
  }
  for name in closed_form closed_form_bias loss row_sum ridge_inverse ridge_loo ridge_studentised ridge_cook vbll; do estimate "$name" "$run/profile"; done
  estimate autograd "$run/profile" --head "$run/noisy/model"
  estimate closed_form "$run/profile-120"
  estimate tracin "$run/profile-120" "${checkpoints[@]}"
  estimate tracin_scalar "$run/profile-120" "${checkpoints[@]}"
  for name in online_relative closed_form; do estimate "$name" "$run/noisy/online_profile"; done
  printf '%s online online_profile %s\n' "$seed" "$(auroc "$run/noisy/online_profile" "$run/clips/truth.jsonl")"
done | tee "$out/auroc.txt"

.venv/bin/python - "$out/auroc.txt" <<'PY'
import statistics
import sys

rows = {}
for line in open(sys.argv[1]):
    _, name, source, value = line.split()
    rows.setdefault((name, source), []).append(float(value))
for (name, source), values in rows.items():
    spread = statistics.stdev(values) if len(values) > 1 else 0
    print(f"{name:20} {source:16} {statistics.mean(values):.4f} ± {spread:.4f}  (n = {len(values)})")
PY
