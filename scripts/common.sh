# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by every script: moves to the root of the repository, announces steps, and says which step failed and what to do.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# step TITLE [ADVICE]: announces a step; ADVICE is shown if it fails. Results own stdout, so all of this goes to stderr.
step() {
  current_step=$1
  current_advice=${2:-"read the messages above"}
  printf '==> %s\n' "$current_step" >&2
}

# fail WHY WHAT_TO_DO
fail() {
  printf 'error: %s: %s\n' "$1" "$2" >&2
  trap - ERR
  exit 1
}

on_error() {
  local status=$?
  printf 'error: step failed: %s (exit status %s); what to do: %s\n' \
    "${current_step:-${0##*/}}" "$status" "${current_advice:-read the messages above}" >&2
  exit "$status"
}
trap on_error ERR
