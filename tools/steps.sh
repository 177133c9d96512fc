# Sourced by the other scripts: steps with progress, and one build per content.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs="$root/.work/logs"
mkdir -p "$logs"
export npm_config_loglevel=error npm_config_update_notifier=false PIP_DISABLE_PIP_VERSION_CHECK=1

# fail SENTENCE: says what is wrong and what to do, and ends the script.
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# need COMMAND SENTENCE: ends unless the command is there.
need() {
  command -v "$1" >/dev/null 2>&1 || fail "$1 is missing: $2"
}

_sha=sha256sum
command -v sha256sum >/dev/null 2>&1 || _sha='shasum -a 256' # macOS

# fingerprint PATH...: one hash over names and contents of the files below the paths, build products left out.
fingerprint() {
  (cd "$root" && find "$@" \( -name node_modules -o -name dist -o -name target -o -name __pycache__ -o -name .vite -o -name tests \) -prune \
    -o -type f ! -name '*.so' ! -name '*.pyc' ! -name '*.tsbuildinfo' -print0 | LC_ALL=C sort -z | xargs -0 $_sha | $_sha | cut -c1-64)
}

# is_fresh STAMP HASH: whether the stamp file holds the hash.
is_fresh() {
  [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

# step NAME TITLE COMMAND...: runs it with its output in a log, shows that it moves and how long it took; on failure shows the log's end.
step() {
  local name=$1 title=$2 log="$logs/$1.log" began=$SECONDS pid code=0 shown=0
  shift 2
  printf '==> %s\n' "$title"
  "$@" >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    [ $((SECONDS - began - shown)) -ge "${STEP_SECONDS:-10}" ] || continue
    shown=$((SECONDS - began))
    printf '    %3d s  %.90s\n' "$shown" "$(_last_line "$log")"
  done
  wait "$pid" || code=$?
  if [ "$code" -ne 0 ]; then
    tail -n 40 "$log" >&2
    fail "$title: failed after $((SECONDS - began)) s; all of its output is in ${log#"$root"/}"
  fi
  printf '    done in %d s\n' "$((SECONDS - began))"
}

# The last line of a log that says something, without colours.
_last_line() {
  tail -n 5 "$1" | tr '\r' '\n' | sed 's/\x1b\[[0-9;]*m//g; s/^ *//' | grep -v '^$' | tail -n 1
}
