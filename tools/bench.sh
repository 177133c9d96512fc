#!/usr/bin/env bash
# Builds wse-bench, installs the peers below .work/bench, and measures.
#   bench.sh short                    the list of a few minutes
#   bench.sh full                     the long list; writes docs/BENCHMARKS.md and docs/benchmarks.svg as well
#   bench.sh install                  only builds and installs
# A peer that cannot be installed is left out, and the report says so.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
form=${1:-short}
[ $# -gt 0 ] && shift
work="$root/.work/bench"
servers="$root/benches/servers"
wheel=$(ls "$root"/dist/wse_server-*.whl 2>/dev/null | tail -n 1) || true
[ -n "$wheel" ] || fail "dist/ holds no wheel: run make dist first."
mkdir -p "$work"

build_tool() {
  cd "$root" && cargo build --release --locked -p wse-bench
}

# One at a time where all at once fails, so that one that has no wheel here costs nothing but itself.
install_python() {
  "$root/.venv/bin/python" -m venv --clear "$work/venv"
  "$work/venv/bin/pip" install -q -r "$servers/requirements.txt" && return
  local peer failed=0
  while read -r peer; do
    "$work/venv/bin/pip" install -q "$peer" || failed=1
  done <"$servers/requirements.txt"
  return "$failed"
}

install_wheel() {
  "$work/venv/bin/pip" install -q "$wheel" && "$work/venv/bin/pip" install -q --force-reinstall --no-deps "$wheel"
}

install_node() {
  mkdir -p "$work/node"
  cp "$servers/package.json" "$work/node/"
  cd "$work/node" && npm install --no-audit --no-fund
}

# peers NAME STAMP HASH TITLE COMMAND: installs what changed; a failure is told, and tried again the next time.
peers() {
  ! is_fresh "$2" "$3" || return 0
  if (step "$1" "$4" "$5"); then echo "$3" >"$2"; else echo "    some peers are missing: they are left out" >&2; fi
}

"$root/tools/setup.sh" rust
"$root/tools/setup.sh" python
step bench-build "wse-bench, release build" build_tool

python_hash=$(fingerprint benches/servers/requirements.txt)
is_fresh "$work/.python" "$python_hash" || rm -f "$work/.wheel"
peers bench-python "$work/.python" "$python_hash" "Python peers into .work/bench/venv" install_python
wheel_hash=$(sha256sum "$wheel")
if ! is_fresh "$work/.wheel" "$wheel_hash"; then
  step bench-wheel "The wheel into .work/bench/venv" install_wheel
  echo "$wheel_hash" >"$work/.wheel"
fi
if command -v npm >/dev/null 2>&1; then
  peers bench-node "$work/.node" "$(fingerprint benches/servers/package.json)" "Node peers into .work/bench/node" install_node
fi

[ "$form" = install ] && exit 0
bench="$root/target/release/wse-bench"
result=".work/bench/$form.json"
cd "$root" # the page says what was called, and names no folder of this machine
"$bench" suite "$form" --root . --json "$result" "$@"
echo "every run: $result"
[ "$form" = full ] || exit 0
"$bench" render "$result" --page docs/BENCHMARKS.md --svg docs/benchmarks.svg >/dev/null
echo "written: docs/BENCHMARKS.md, docs/benchmarks.svg"
