#!/usr/bin/env bash
# Shows that the tests of faults find mistakes: see mutations/run.mjs, whose options it takes. Needs dist/ (make dist), and some minutes to build a mutated copy below /tmp.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
exec node mutations/run.mjs --jobs "${JOBS:-4}" --python "$venv/bin/python" "$@"
