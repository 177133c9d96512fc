#!/usr/bin/env bash
# Writes dist/*.whl (release build) and dist/wse-client-*.tgz. What has not changed since the last run, by content, is not built again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
dist="$root/dist"
mkdir -p "$dist"

build_wheel() {
  rm -f "$dist"/*.whl
  cd "$root/wse-python"
  "$root/.venv/bin/maturin" build --release --locked --interpreter "$root/.venv/bin/python" --out "$dist"
}

build_client() {
  rm -f "$dist"/wse-client-*.tgz
  cd "$root/wse-client-ts"
  npm ls >/dev/null 2>&1 || npm ci --no-audit --no-fund
  npm run build
  npm pack --pack-destination "$dist"
}

"$root/tools/setup.sh" rust
"$root/tools/setup.sh" node
"$root/tools/setup.sh" python

crates=(Cargo.toml Cargo.lock rust-toolchain.toml wse-protocol wse-crypto wse-core wse-pubsub wse-server wse-python vectors)
wheel_hash=$(fingerprint "${crates[@]}")
if ls "$dist"/*.whl >/dev/null 2>&1 && is_fresh "$dist/.wheel" "$wheel_hash"; then
  echo "==> Python wheel: unchanged"
else
  rm -f "$dist/.wheel"
  step wheel "Python wheel with the Rust engine, release build (the first takes some minutes)" build_wheel
  echo "$wheel_hash" >"$dist/.wheel"
fi

client_hash=$(fingerprint wse-client-ts)
if ls "$dist"/wse-client-*.tgz >/dev/null 2>&1 && is_fresh "$dist/.client" "$client_hash"; then
  echo "==> TypeScript client: unchanged"
else
  rm -f "$dist/.client"
  step client "TypeScript client" build_client
  echo "$client_hash" >"$dist/.client"
fi

(cd "$root" && ls dist/*.whl dist/wse-client-*.tgz)
