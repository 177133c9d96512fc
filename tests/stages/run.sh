#!/usr/bin/env bash
# Shows that each stage's tests need it: see run.mjs, whose options it takes. Needs dist/ (make dist) for the tests' environment, and Redis.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/test-venv.sh"
"$root/tools/setup.sh" apt redis-server
exec node "$root/tests/stages/run.mjs" --python "$venv/bin/python" "$@"
