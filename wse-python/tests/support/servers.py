"""Real servers in their own processes, on ports of their own, and what they logged."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20


class Server:
    """One server process (with its workers); `log` is what it has written so far."""

    def __init__(self, command: list[str], settings: dict[str, Any], port: int | None, cwd: Path = ROOT) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="wse-test-", suffix=".log")
        environment = os.environ | {
            "WSE_TEST_SETTINGS": json.dumps(settings),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(cwd), str(ROOT), os.environ.get("PYTHONPATH")])),
            "PYTHONUNBUFFERED": "1",
        }
        self.process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True)
        self._port = port

    @property
    def log(self) -> str:
        return Path(self._file.name).read_text(errors="replace")

    @property
    def port(self) -> int:
        if self._port is None:
            found = re.search(r"running on http://[^:]+:(\d+)", self.log)
            if found is None:
                raise ConnectionError("no port yet")
            self._port = int(found[1])
        return self._port

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ws(self, path: str = "/wse") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def post(self, path: str, seconds: float = 30, **body: Any) -> Any:
        return httpx.post(self.url(path), json=body, timeout=seconds).raise_for_status().json()

    def get(self, path: str) -> Any:
        return httpx.get(self.url(path), timeout=30).raise_for_status().json()

    def health(self) -> Any:
        return self.get("/wse/health")

    def wait_ready(self) -> "Server":
        wait_for(lambda: self._answers(), START_SECONDS, lambda: f"the server did not start:\n{self.log}")
        return self

    def wait_log(self, text: str, seconds: float = START_SECONDS) -> None:
        wait_for(lambda: text in self.log, seconds, lambda: f"{text!r} is not in the log:\n{self.log}")

    def wait_exit(self, seconds: float = START_SECONDS) -> int:
        return self.process.wait(seconds)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
                pytest.fail(f"the server did not stop:\n{self.log}")
        self._file.close()

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the server ended with {self.process.returncode}:\n{self.log}")
        with contextlib.suppress(OSError, httpx.TransportError):
            return httpx.get(self.url("/pid"), timeout=5).status_code < 500
        return False


def uvicorn(*options: str, app: str = "tests.apps.suite:app", port: int | None = None, cwd: Path = ROOT, **settings: Any) -> Server:
    """A uvicorn that binds a port of its own choice, or `port`."""
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port or 0), *options]
    return Server(command, settings, port, cwd)


def hypercorn(app: str = "tests.apps.suite:app", **settings: Any) -> Server:
    port = free_port()
    return Server([sys.executable, "-m", "hypercorn", app, "--bind", f"127.0.0.1:{port}"], settings, port)


def hypercorn_alone(app: str = "tests.apps.suite:app", **settings: Any) -> Server:
    """In one process, whose event loop has the signals."""
    port = free_port()
    return Server([sys.executable, "-m", "hypercorn", app, "--workers", "0", "--bind", f"127.0.0.1:{port}"], settings, port)


def granian(app: str = "tests.apps.suite:app", **settings: Any) -> Server:
    port = free_port()
    return Server([sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), app], settings, port)


def daphne(app: str = "tests.apps.suite:app", **settings: Any) -> Server:
    port = free_port()
    return Server([sys.executable, "-m", "daphne", "-p", str(port), app], settings, port)


def gunicorn(workers: int, app: str = "tests.apps.suite:app", **settings: Any) -> Server:
    """With uvicorn's worker class."""
    port = free_port()
    options = ["-w", str(workers), "-k", "uvicorn_worker.UvicornWorker", "-b", f"127.0.0.1:{port}", "--no-control-socket"]
    return Server([sys.executable, "-m", "gunicorn", *options, app], settings, port)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server once it answers; stopped at the end."""
    try:
        yield server.wait_ready()
    finally:
        server.stop()


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis of this test's own; its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.fail("redis-server is missing: apt-get install -y redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [binary, "--port", str(port), "--save", "", "--appendonly", "no", "--dir", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: _listens(port), 10, lambda: "redis-server did not start")
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Any, seconds: float, complaint: Any) -> None:
    """Polls; fails the test with the complaint."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ConnectionError):
            if condition():
                return
        if time.monotonic() > deadline:
            pytest.fail(complaint())
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
