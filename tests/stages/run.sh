#!/usr/bin/env bash
# Shows that each stage's tests need it: see run.mjs, whose options it takes. Needs dist/ (make dist) for the tests' environment, Redis, and Chromium for the outbox.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/test-venv.sh"
"$root/tools/setup.sh" apt redis-server chromium
"$root/tools/demo.sh" --build
(cd "$root/tests/e2e" && { npm ls >/dev/null 2>&1 || npm ci --no-audit --no-fund; } && npm install --no-save --no-audit --no-fund "$root"/dist/wse-client-*.tgz >/dev/null)
exec node "$root/tests/stages/run.mjs" --python "$venv/bin/python" "$@"
