#!/usr/bin/env bash
# Random messages from Rust, read and written again by Python and by Node, must come back with the same meaning. COUNT= (of each kind) and SEED= change the run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/test-venv.sh"
count=${COUNT:-60} seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
echo "cross: SEED=$seed" >&2 # whatever fails, this says how to see it again
mkdir -p "$root/.work/cross"
peer="$root/.work/cross/peer.mjs"
rolldown="$root/wse-client-ts/node_modules/.bin/rolldown"
[ -x "$rolldown" ] || fail "wse-client-ts has no node_modules: run make test-ts, or npm ci there."
"$rolldown" "$root/tests/cross/peer.ts" --platform node --format esm --file "$peer" >"$logs/cross.log" 2>&1 || fail "the peer in TypeScript does not build: see .work/logs/cross.log"
cd "$root"
cargo build --workspace --example cross --locked --quiet # as the tests were built, so that nothing is built twice
cross() {
  local said
  said=$("${CARGO_TARGET_DIR:-target}/debug/examples/cross" "$count" "$seed" "$@")
  printf '%s\n' "$said"
  [[ "$said" == *": 21 kinds, of each $count messages or more, "* ]] || fail "not all of the $count messages of each kind were compared"
}
cross "$venv/bin/python" tests/cross/peer.py
cross node "$peer"
