#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fails where the tree uses a word that docs/glossary.md rules out, includes a header that costs half a minute a file,
# or names a path that exists on one machine only. This file and the glossary may name what they forbid.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

found=0
# search OPTION... -e PATTERN -- PATHSPEC...: git grep over the files that git does not ignore; works in a copy without .git too.
search() {
  local status=0
  git grep --no-index --exclude-standard -IE "$@" || status=$?
  [ $status -le 1 ] || fail "git grep ended with status $status" "see its message above"
}
# forbid WHY PATTERN PATHSPEC...: prints every match.
forbid() {
  local why=$1 pattern=$2 matches
  shift 2
  matches=$(search -n -e "$pattern" -- "$@" ':!scripts/check_words.sh' ':!docs/glossary.md')
  if [ -n "$matches" ]; then
    printf '%s\nerror: %s\n' "$matches" "$why" >&2
    found=1
  fi
}
code=('src/*' 'include/*' 'apps/*' 'tests/*.h' 'tests/*.cpp')

forbid "DDP is Dimension-Disentangled Pruning; say \"data parallel\" (docs/glossary.md)" 'DistributedDataParallel|distributed_data_parallel' .
forbid "include ATen/ATen.h and torch/csrc/autograd/autograd.h instead of all of torch" '#[[:space:]]*include[[:space:]]*[<"]torch/(torch|all|nn|extension)\.h' "${code[@]}"
forbid "C++ names say disentangled_pruning and disentangled_reweighting; ddp and ddr are words of the command line" \
  '(^|[^A-Za-z0-9_"])(ddp|ddr)(_[a-z_]+)?\(' "${code[@]}"
forbid "a path of one machine" '(^|[^A-Za-z0-9_./~-])/(work|root|home|Users)/' .
forbid "a merge that was not finished" '^(<<<<<<<|>>>>>>>) ' .
forbid "unfinished work is not committed" '(^|[^A-Za-z])(TODO|FIXME|XXX|HACK)([^A-Za-z]|$)' "${code[@]}" 'scripts/*' 'cmake/*'

unlicensed=$(search -L -e 'SPDX-License-Identifier: Apache-2.0' -- '*.cpp' '*.h' '*.py' '*.sh' '*.cmake' '*CMakeLists.txt')
if [ -n "$unlicensed" ]; then
  printf '%s\nerror: the first line must hold "SPDX-License-Identifier: Apache-2.0" in a comment\n' "$unlicensed" >&2
  found=1
fi

if [ $found -ne 0 ]; then
  trap - ERR
  exit 1
fi
echo "words: no forbidden word, include or path"
