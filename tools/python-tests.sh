#!/usr/bin/env bash
# The Python package's suite (lint and types are tests of it), with the wheel of dist/ in an environment of its own.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/test-venv.sh"
cd "$root/wse-python"
"$venv/bin/ruff" check -q ../tests/wire ../tests/tools
exec "$venv/bin/python" -m pytest -q -rs "$@"
