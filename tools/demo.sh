#!/usr/bin/env bash
# Builds everything and serves the dashboard at http://localhost:8000; PORT= and HOST= change that, REDIS_URL= takes Redis as the bus.
# `demo.sh --build` stops before serving. The second run builds only what has changed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
port=${PORT:-8000}
host=${HOST:-127.0.0.1}
venv="$root/.venv"
web="$root/examples/dashboard/web"

case $port in
  '' | *[!0-9]*) fail "PORT must be a number, not '$port'." ;;
esac

# Says whether the port can be listened on, as the server will.
port_is_free() {
  "$venv/bin/python" - "$host" "$port" <<'PYTHON'
import socket, sys
family, *_, address = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), type=socket.SOCK_STREAM)[0]
with socket.socket(family) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(address)
    except OSError as error:
        sys.exit(f"Port {sys.argv[2]} cannot be used ({error.strerror.lower()}): stop what listens there, or choose another port, as in PORT=8080 make demo.")
PYTHON
}

install_wheel() {
  "$venv/bin/pip" install 'uvicorn[standard]>=0.30'
  "$venv/bin/pip" install "$(echo "$root"/dist/wse_server-*.whl)"
  "$venv/bin/pip" install --force-reinstall --no-deps "$(echo "$root"/dist/wse_server-*.whl)"
}

build_page() {
  cd "$web"
  npm ls react vite >/dev/null 2>&1 || npm ci --no-audit --no-fund
  # The very package that users install; it is in no lock file, because its content changes with every build.
  npm install --no-save --no-audit --no-fund "$(echo "$root"/dist/wse-client-*.tgz)"
  npm run build
}

"$root/tools/setup.sh" python
[ "${1:-}" = --build ] || port_is_free || exit 1
"$root/tools/dist.sh"

wheel_hash=$(cat "$root/dist/.wheel")
wheel_stamp="$venv/.wse-wheel"
# `maturin develop` puts another build into the same place, and leaves no trace but the native module.
installed=$("$venv/bin/python" -c 'import hashlib, wse_server._native as n; print(hashlib.sha256(open(n.__file__, "rb").read()).hexdigest())' 2>/dev/null || true)
if ! is_fresh "$wheel_stamp" "$wheel_hash $installed"; then
  step install "Wheel and uvicorn into .venv" install_wheel
  installed=$("$venv/bin/python" -c 'import hashlib, wse_server._native as n; print(hashlib.sha256(open(n.__file__, "rb").read()).hexdigest())')
  echo "$wheel_hash $installed" >"$wheel_stamp"
fi

page_hash=$(fingerprint examples/dashboard/web)$(cat "$root/dist/.client")
page_stamp="$root/examples/dashboard/web/node_modules/.built"
if [ -f "$root/examples/dashboard/static/index.html" ] && is_fresh "$page_stamp" "$page_hash"; then
  echo "==> Dashboard page: unchanged"
else
  rm -f "$page_stamp"
  step page "Dashboard page" build_page
  echo "$page_hash" >"$page_stamp"
fi

[ "${1:-}" = --build ] && exit 0
case $host in
  127.0.0.1 | 0.0.0.0 | ::) shown=localhost ;;
  *) shown=$host ;;
esac
printf '\n    The dashboard is at  http://%s:%s  (Ctrl-C ends it)\n\n' "$shown" "$port"
cd "$root/examples/dashboard"
exec "$venv/bin/python" -m uvicorn main:app --host "$host" --port "$port" --no-access-log
