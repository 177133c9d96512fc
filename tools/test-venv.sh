# Sourced by the Python suites: `venv`, an environment with the newest wheel of dist/ and what the tests need.
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
venv="$root/.work/test-venv"
wheel=$(ls "$root"/dist/wse_server-*.whl 2>/dev/null | tail -n 1)
[ -n "$wheel" ] || fail "dist/ holds no wheel: run make dist first."
hash=$(sha256sum "$wheel" "$root/wse-python/pyproject.toml" | sha256sum | cut -c1-64)

install_tests() {
  "$root/.venv/bin/python" -m venv "$venv"
  "$venv/bin/pip" install --disable-pip-version-check -q --force-reinstall --no-deps "$wheel"
  "$venv/bin/pip" install --disable-pip-version-check -q "wse-server[test,dev] @ file://$wheel"
}

if ! is_fresh "$root/.work/test-venv.stamp" "$hash"; then
  step test-venv "Python environment for the tests" install_tests
  echo "$hash" >"$root/.work/test-venv.stamp"
fi
