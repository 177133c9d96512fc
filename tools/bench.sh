#!/usr/bin/env bash
# Builds wse-bench, installs the peers below .work/bench, and measures.
#   bench.sh short                    the list of a few minutes
#   bench.sh full                     the long list; writes docs/BENCHMARKS.md and docs/benchmarks.svg as well
#   bench.sh install                  only builds and installs
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
form=${1:-short}
[ $# -gt 0 ] && shift
work="$root/.work/bench"
servers="$root/benches/servers"
wheel=$(ls "$root"/dist/wse_server-*.whl 2>/dev/null | tail -n 1)
[ -n "$wheel" ] || fail "dist/ holds no wheel: run make dist first."
mkdir -p "$work"

build_tool() {
  cd "$root" && cargo build --release --locked -p wse-bench
}

install_python() {
  "$root/.venv/bin/python" -m venv --clear "$work/venv"
  "$work/venv/bin/pip" install -q -r "$servers/requirements.txt"
  "$work/venv/bin/pip" install -q "$wheel"
}

install_wheel() {
  "$work/venv/bin/pip" install -q --force-reinstall --no-deps "$wheel"
}

install_node() {
  mkdir -p "$work/node"
  cp "$servers/package.json" "$work/node/"
  cd "$work/node" && npm install --no-audit --no-fund
}

"$root/tools/setup.sh" rust
"$root/tools/setup.sh" node
"$root/tools/setup.sh" python
step bench-build "wse-bench, release build" build_tool

python_hash=$(fingerprint benches/servers/requirements.txt)
if ! is_fresh "$work/.python" "$python_hash"; then
  step bench-python "Python peers into .work/bench/venv" install_python
  echo "$python_hash" >"$work/.python"
fi
wheel_hash=$(sha256sum "$wheel")
if ! is_fresh "$work/.wheel" "$wheel_hash"; then
  step bench-wheel "The wheel into .work/bench/venv" install_wheel
  echo "$wheel_hash" >"$work/.wheel"
fi
node_hash=$(fingerprint benches/servers/package.json)
if ! is_fresh "$work/.node" "$node_hash"; then
  step bench-node "Node peers into .work/bench/node" install_node
  echo "$node_hash" >"$work/.node"
fi

[ "$form" = install ] && exit 0
bench="$root/target/release/wse-bench"
result="$work/$form.json"
"$bench" suite "$form" --root "$root" --json "$result" "$@"
echo "every run: ${result#"$root"/}"
[ "$form" = full ] || exit 0
"$bench" render "$result" --page "$root/docs/BENCHMARKS.md" --svg "$root/docs/benchmarks.svg" >/dev/null
echo "written: docs/BENCHMARKS.md, docs/benchmarks.svg"
