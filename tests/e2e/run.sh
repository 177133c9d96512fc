#!/usr/bin/env bash
# Runs the end-to-end tests in headless Chromium and Node; `run.sh dashboard` runs one file. Installs what it lacks. UPDATE_SCREENSHOT=1 replaces docs/dashboard.png.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/steps.sh"
here="$root/tests/e2e"

"$root/tools/setup.sh" apt redis-server chromium
"$root/tools/demo.sh" --build
cd "$here"
npm ls >/dev/null 2>&1 || step e2e "Playwright and what pages are built with" npm ci --no-audit --no-fund
# The very package that users install; it is in no lock file, because its content changes with every build.
npm install --no-save --no-audit --no-fund "$root"/dist/wse-client-*.tgz >/dev/null
rm -f "$root"/.work/e2e/*.log

# Together they take about seven minutes; fifteen mean that something hangs.
files=()
for name in "${@:-demo client hello outbox drain examples dashboard presence network install}"; do for each in $name; do files+=("$each.test.mjs"); done; done
exec timeout --kill-after=20 900 node --test --test-concurrency=1 --test-reporter=./lib/reporter.mjs "${files[@]}"
