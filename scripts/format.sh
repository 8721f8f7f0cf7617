#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format.sh [--check] [FILE...]: formats the C++ files (all tracked ones by default) with clang-format 14; --check only reports.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tool=$(command -v clang-format-14 || command -v clang-format || true)
[ -n "$tool" ] || fail "clang-format 14 is not installed" "apt-get install clang-format-14"
case "$("$tool" --version)" in
  *" version 14."*) ;;
  *) fail "$("$tool" --version)" "install clang-format-14: other versions format differently" ;;
esac

mode=(-i)
if [ "${1:-}" = "--check" ]; then
  mode=(--dry-run --Werror)
  shift
fi
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(git ls-files '*.cpp' '*.h')
fi
step "clang-format ${mode[*]} on ${#files[@]} files" "run scripts/format.sh"
[ ${#files[@]} -eq 0 ] || "$tool" "${mode[@]}" "${files[@]}"
