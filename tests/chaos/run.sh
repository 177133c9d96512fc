#!/usr/bin/env bash
# Runs the named cases, then seeds of faults, against the built packages: `run.sh [SEEDS] [FROM]`. Installs what it lacks; needs dist/ (make dist).
set -euo pipefail
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
node --test --test-reporter=dot check.test.mjs
PYTHON="$venv/bin/python" timeout --kill-after=20 300 node --test --test-concurrency=1 --test-reporter=../e2e/lib/reporter.mjs cases.test.mjs
exec node run.mjs --seeds "${1:-50}" --from "${2:-1}" --jobs "${JOBS:-4}" --python "$venv/bin/python"
