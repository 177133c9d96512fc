#!/usr/bin/env python3
"""Runs the Autobahn testsuite against the echo example, which is the engine's frame layer and nothing else.

It needs cargo, network for the first run, and a Python 2.7 (the suite runs on nothing newer). All it makes is in `.work/autobahn`;
`reports/index.html` there shows each case with its bytes. Which cases run is in `fuzzingclient.json`, next to this file.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / ".work" / "autobahn"
REPORTS = WORK / "reports"
SUITE = "autobahntestsuite==25.10.1"
VIRTUALENV = "virtualenv==20.15.1"  # the last that runs on Python 2.7
AGENT = "wse"
STOP_SECONDS = 10
SUITE_SECONDS = 600
GOOD = {"OK"}
ALLOWED = {"NON-STRICT", "INFORMATIONAL"}
ANSWERED = {1002, 1007, 1009}
CASES = 301  # what 1-7, 9 and 10 of this suite are


def python27() -> str:
    """The path of a Python 2.7: `$PYTHON27`, pyenv's, or the one on the PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(pyenv.glob("versions/2.7*/bin/python2.7"), reverse=True)
    for candidate in [os.environ.get("PYTHON27"), *installed, shutil.which("python2.7")]:
        if candidate and is_python27(str(candidate)):
            return str(candidate)
    sys.exit("conformance: no Python 2.7 found. `pyenv install 2.7.18` gives one; or set PYTHON27 to its path.")


def is_python27(path: str) -> bool:
    try:
        done = subprocess.run([path, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == "(2, 7)"


def wstest() -> str:
    """The suite's command; installs it once."""
    command = WORK / "venv" / "bin" / "wstest"
    stamp = WORK / "venv" / "installed"
    if not (stamp.exists() and stamp.read_text() == SUITE):
        install(python27())
        stamp.write_text(SUITE)
    return str(command)


def install(python: str) -> None:
    print(f"installing {SUITE} for {python}, once: about a minute", flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    bootstrap, venv = WORK / "bootstrap", WORK / "venv"
    env = {**os.environ, "PYTHONPATH": str(bootstrap), "PYTHONWARNINGS": "ignore"}
    run([python, "-m", "pip", "install", "-q", "--target", str(bootstrap), VIRTUALENV])
    run([python, "-m", "virtualenv", "-q", str(venv)], env=env)
    run([str(venv / "bin" / "python"), "-m", "pip", "install", "-q", SUITE])


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    """Runs quietly; on failure shows what the command said, and ends."""
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nconformance: `{' '.join(command)}` failed")


def build() -> Path:
    command = ["cargo", "build", "--release", "-p", "wse-server", "--example", "echo", "--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("conformance: the echo example does not build")
    artifacts = [json.loads(line) for line in done.stdout.splitlines()]
    return next(Path(a["executable"]) for a in artifacts if a.get("executable") and a["target"]["name"] == "echo")


@contextmanager
def echo(binary: Path) -> Iterator[str]:
    """The running echo's URL; it picks a free port itself and says which."""
    with (WORK / "echo.log").open("w") as log:
        process = subprocess.Popen([str(binary), "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit(f"conformance: the echo did not start: {(WORK / 'echo.log').read_text()}")
        yield line.removeprefix("listening on ").strip()
        if process.poll() is not None:
            sys.exit(f"conformance: the echo ended while it was tested: {(WORK / 'echo.log').read_text()}")
    finally:
        process.terminate()
        process.wait(timeout=STOP_SECONDS)


def fuzz(command: str, url: str) -> dict[str, dict]:
    """Runs every case against `url`; gives the report of each by its number."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    spec = json.loads((HERE / "fuzzingclient.json").read_text())
    spec.update(outdir=str(REPORTS), servers=[{"agent": AGENT, "url": url}])
    (WORK / "spec.json").write_text(json.dumps(spec))
    suite = [command, "-m", "fuzzingclient", "-s", str(WORK / "spec.json")]
    with (WORK / "wstest.log").open("w") as log:
        try:
            subprocess.run(suite, cwd=WORK, stdout=log, stderr=subprocess.STDOUT, timeout=SUITE_SECONDS)
        except subprocess.TimeoutExpired:
            sys.exit(f"conformance: the suite did not end within {SUITE_SECONDS} s")
    index = REPORTS / "index.json"
    if not index.exists():
        sys.exit(f"conformance: the suite wrote no report: {(WORK / 'wstest.log').read_text()[-2000:]}")
    cases = json.loads(index.read_text())[AGENT]
    return {number: json.loads((REPORTS / case["reportfile"]).read_text()) for number, case in cases.items()}


def fault(case: dict) -> str | None:
    """What is wrong with a case: its behaviour, its closing, or a protocol error that was answered with no code or another."""
    if case["behavior"] not in GOOD | ALLOWED:
        return f"behavior {case['behavior']}: {case['result']}"
    if case["behaviorClose"] not in GOOD | ALLOWED:
        return f"behaviorClose {case['behaviorClose']}: {case['resultClose']}"
    expected = set(case["expectedClose"].get("closeCode", []))
    if expected & ANSWERED and case["remoteCloseCode"] not in expected:
        return f"answered with {case['remoteCloseCode']} where {sorted(expected)} was due"
    return None


def report(cases: dict[str, dict]) -> int:
    """Prints what is not plainly good, then the counts; gives how many failed."""
    failed = 0
    for number, case in sorted(cases.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        if wrong := fault(case):
            failed += 1
            print(f"FAILED {number}: {wrong}")
        elif allowed := ALLOWED & {case["behavior"], case["behaviorClose"]}:
            print(f"{', '.join(sorted(allowed))} {number}: closed with {case['remoteCloseCode']}")
    print(f"{len(cases) - failed} passed, {failed} failed", flush=True)
    return failed


def main() -> int:
    command, binary = wstest(), build()
    started = time.monotonic()
    with echo(binary) as url:
        cases = fuzz(command, f"{url}/any/path?at=all")
    print(f"reports: {REPORTS.relative_to(ROOT)}/index.html ({time.monotonic() - started:.0f} s)")
    if len(cases) != CASES:
        sys.exit(f"conformance: {len(cases)} cases ran, of {CASES}")
    return 1 if report(cases) else 0


if __name__ == "__main__":
    sys.exit(main())
