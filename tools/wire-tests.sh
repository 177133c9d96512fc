#!/usr/bin/env bash
# The wire suite, with the wheel of dist/ in an environment of its own.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/test-venv.sh"
cd "$root/tests/wire"
exec "$venv/bin/python" -m pytest -q -rs "$@"
