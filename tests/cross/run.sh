#!/usr/bin/env bash
# Random envelopes from Rust, read and written again by Python and by Node, must come back with the same meaning. COUNT= and SEED= change the run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/test-venv.sh"
count=${COUNT:-2000} seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
mkdir -p "$root/.work/cross"
peer="$root/.work/cross/peer.mjs"
rolldown="$root/wse-client-ts/node_modules/.bin/rolldown"
[ -x "$rolldown" ] || fail "wse-client-ts has no node_modules: run make test-ts, or npm ci there."
"$rolldown" "$root/tests/cross/peer.ts" --platform node --format esm --file "$peer" >"$logs/cross.log" 2>&1 || fail "the peer in TypeScript does not build: see .work/logs/cross.log"
cd "$root"
cross() {
  local said
  said=$(cargo run --quiet --locked -p wse-tests --example cross -- "$count" "$seed" "$@")
  printf '%s\n' "$said"
  [[ "$said" == *": $((2 * count)) frames "* ]] || fail "not all of the $count envelopes were compared"
}
cross "$venv/bin/python" tests/cross/peer.py
cross node "$peer"
