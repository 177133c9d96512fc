#!/usr/bin/env bash
# Runs the named cases, then seeds of faults, against the built packages: `run.sh [SEEDS] [FROM]`. Installs what it lacks; needs dist/ (make dist).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
node --test --test-reporter=dot check.test.mjs rosters.test.mjs
PYTHON="$venv/bin/python" timeout --kill-after=20 420 node --test --test-concurrency=1 --test-reporter=../e2e/lib/reporter.mjs cases.test.mjs states.test.mjs sends.test.mjs rooms.test.mjs
exec node run.mjs --seeds "${1:-50}" --from "${2:-1}" --jobs "${JOBS:-4}" --python "$venv/bin/python"
