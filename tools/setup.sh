#!/usr/bin/env bash
# Installs what a command lacks, and nothing that is there.
#   setup.sh python                   .venv with pip and maturin, from the newest Python >= 3.11 on the PATH
#   setup.sh node                     checks that Node >= 20 and npm are there
#   setup.sh rust                     checks that cargo is there
#   setup.sh apt PACKAGE...           Debian packages named as their commands, as root; otherwise prints the line that installs them and exits 1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

find_python() {
  local name
  for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      "$name" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  return 1
}

setup_python() {
  local venv="$root/.venv" python
  if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    python=$(find_python) || fail "Python 3.11 or newer is missing: install it (Debian: apt-get install python3 python3-venv) and try again."
    "$python" -c 'import venv, ensurepip' 2>/dev/null || fail "$python cannot make virtual environments: apt-get install python3-venv, then try again."
    step venv "Python environment in .venv ($("$python" --version))" "$python" -m venv --clear "$venv"
  fi
  [ -x "$venv/bin/maturin" ] || step maturin "maturin, which builds the wheel" "$venv/bin/pip" install 'maturin>=1.9,<2'
}

setup_node() {
  need node "install Node 20.19 or newer, with npm (https://nodejs.org)."
  need npm "it comes with Node (https://nodejs.org); Debian packages it apart: apt-get install npm."
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node $(node --version) is too old: install 20.19 or newer (https://nodejs.org)."
}

setup_rust() {
  need cargo "install Rust (https://rustup.rs); it must be on the PATH."
}

# Any Chromium will do, also one that CHROMIUM= names.
is_there() {
  local name names=("$1")
  [ "$1" != chromium ] || names+=(chromium-browser google-chrome ${CHROMIUM:-})
  for name in "${names[@]}"; do
    ! command -v "$name" >/dev/null 2>&1 || return 0
  done
  return 1
}

setup_apt() {
  local package missing=()
  for package in "$@"; do
    is_there "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  command -v apt-get >/dev/null 2>&1 || fail "Missing: ${missing[*]}. Install them with this system's package manager and try again."
  [ "$(id -u)" = 0 ] || fail "Missing: ${missing[*]}. Install with: sudo sh -c '$line'"
  export DEBIAN_FRONTEND=noninteractive
  step "apt" "Debian packages: ${missing[*]}" sh -c "$line"
}

what=${1:-}
[ $# -gt 0 ] && shift
case $what in
  python | node | rust) "setup_$what" ;;
  apt) setup_apt "$@" ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
