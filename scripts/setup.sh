#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prepares a Debian 12 machine: system packages, a private Python environment in .venv, and the pinned wheels inside it.
# Needs python3, network access, and root or sudo where packages are missing. Safe to run again: what is there is skipped.
#   MVRM_CUDA=headers   also fetches nccl.h, to compile the CUDA plug-in
#   MVRM_CUDA=1         also fetches every CUDA library that running the plug-in needs (2.0 GB)
#   MVRM_PARQUET=0      leaves out Arrow's library (165 MB): mvrm then reads JSON only
#   MVRM_TEST_WHEELS=0  leaves out what only tests need (third_party/requirements-test.txt, 25 MB); tests that miss it are skipped
#   MVRM_PYTHON=python  the interpreter to use (CPython 3.10 to 3.13)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(
  g++ cmake ninja-build ccache pkg-config python3-venv
  libavcodec-dev libavformat-dev libavutil-dev libswscale-dev
  libsentencepiece-dev nlohmann-json3-dev libspdlog-dev libcli11-dev libyaml-cpp-dev
  libgtest-dev libbenchmark-dev libgloo-dev
  libjpeg62-turbo-dev libpng-dev libssl-dev
)

missing_packages() {
  local name
  for name in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || printf '%s\n' "$name"
  done
}

install_packages() {
  step "system packages"
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    fail "this is not a Debian system" "use Debian 12, or install the equivalents of: ${packages[*]}"
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -eq 0 ]; then
    return
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "packages are missing and there is no sudo" "as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  step "installing ${#missing[@]} packages with apt-get: ${missing[*]}" \
    "check the network and the sources of apt, then run this script again"
  "${as_root[@]}" apt-get -q update </dev/null >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 install "${missing[@]}" </dev/null >&2
}

# Wheels are pinned for these versions of CPython; Debian 12 has 3.11.
supported_python() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

make_environment() {
  step "private environment .venv" "remove the folder .venv and run this script again"
  if [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1; then
    return
  fi
  local candidate
  for candidate in "${MVRM_PYTHON:-python3}" /usr/bin/python3; do
    if supported_python "$candidate"; then
      step "creating .venv with $candidate" "install python3-venv, remove the folder .venv and run this script again"
      "$candidate" -m venv --clear .venv >&2
      return
    fi
  done
  fail "no CPython 3.10 to 3.13 found" "install python3 of Debian 12, or set MVRM_PYTHON"
}

# The stamp holds the checksum of the requirements, so that a second run does nothing and a changed pin is installed.
install_wheels() {
  local stamp=.venv/installed-$1.sha256 sum
  sum=$(cat "${@/#/third_party/}" | sha256sum)
  step "pinned wheels of $1"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
    return
  fi
  step "installing the wheels of third_party/$1" "check the network, free disk space, then run this script again"
  .venv/bin/python -m pip install --disable-pip-version-check --no-input --no-deps --require-hashes --only-binary :all: \
    --progress-bar off -r "third_party/$1" </dev/null >&2
  printf '%s\n' "$sum" >"$stamp"
}

[ "$(uname -sm)" = "Linux x86_64" ] || fail "this machine is $(uname -sm)" "use Linux on x86_64: the pinned wheels are built for it"
install_packages
make_environment
install_wheels requirements.txt
if [ "${MVRM_PARQUET:-1}" = 0 ]; then
  step "Parquet is left out"
elif .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))'; then
  install_wheels requirements-parquet.txt
else
  step "Parquet is left out: its wheel needs CPython 3.11 or newer"
fi
if [ "${MVRM_TEST_WHEELS:-1}" != 0 ]; then
  install_wheels requirements-test.txt
fi
case "${MVRM_CUDA:-0}" in
  0 | "") ;;
  headers) install_wheels requirements-nccl.txt ;;
  1) install_wheels requirements-cuda.txt requirements-nccl.txt ;;
  *) fail "MVRM_CUDA=$MVRM_CUDA is not known" "use 0, headers or 1" ;;
esac
step "set-up is complete"
