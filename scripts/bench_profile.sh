#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bench_profile.sh MVRM MODEL_DIR DATA_FILE [REPEATS]
# Seconds that `mvrm score` and `mvrm profile` take over the same data file, in turns; least and median of each, as one JSON line.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mvrm=$1 model=$2 data=$3 repeats=${4:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
seconds() { local start=$EPOCHREALTIME; "$@" >/dev/null 2>&1; awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'; }
for ((i = 0; i <= repeats; ++i)); do
  rm -rf "$folder/profile"
  score=$(seconds "$mvrm" score --model "$model" --data "$data" --out "$folder/scores.jsonl")
  profile=$(seconds "$mvrm" profile --model "$model" --data "$data" --out "$folder/profile")
  [ "$i" = 0 ] || { echo "$score" >>"$folder/score"; echo "$profile" >>"$folder/profile_s"; }   # the first round warms the caches
done
summary() { sort -g "$1" | awk '{ x[NR] = $1 } END { printf "[%.3f, %.3f]", x[1], x[int((NR + 1) / 2)] }'; }
printf '{"score_s": %s, "profile_s": %s, "repeats": %s}\n' "$(summary "$folder/score")" "$(summary "$folder/profile_s")" "$repeats"
