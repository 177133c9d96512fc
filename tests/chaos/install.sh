# Sourced by the scripts here: goes to their folder, and has there the client as it is packed, Playwright, and `venv` with the wheel.
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/test-venv.sh"
cd "$root/tests/chaos"
"$root/tools/setup.sh" apt redis-server chromium
tarball=$(ls "$root"/dist/wse-client-*.tgz | tail -n 1)
stamp="$root/.work/chaos.stamp"
hash=$(cat "$tarball" package-lock.json | sha256sum | cut -c1-64)

install_client() {
  npm ci --no-audit --no-fund
  npm install --no-save --no-audit --no-fund "$tarball"
}

if [ ! -d node_modules/wse-client ] || ! is_fresh "$stamp" "$hash"; then
  step chaos "the client as it is packed, and Playwright" install_client
  echo "$hash" >"$stamp"
fi
