"""Tells the second worker of one server that the in-process bus does not reach the first."""

import contextlib
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Final

from .errors import WSEStartupError

# Where the servers that spawn workers start a worker: anything else under `multiprocessing` is the user's own process.
_WORKERS: Final = ("uvicorn._subprocess", "uvicorn.supervisors", "hypercorn.", "granian.")
_PATIENCE_SECONDS: Final = 3.0  # a graceful reload starts the new worker just before it stops the old one

_SENTENCE: Final = (
    "a second worker of this server cannot share the in-process bus, so its clients would miss the others' messages: "
    "set WSEConfig(redis_url=...) or run one worker"
)

_held: dict[str, IO[bytes]] = {}


def acquire(prefix: str) -> None:
    """Takes the lock of this server's one worker; `WSEStartupError` if another worker holds it."""
    if not is_worker() or prefix in _held or sys.platform == "win32":
        return
    file = _path(prefix).open("ab")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _lock(file):
        if time.monotonic() > deadline:
            file.close()
            raise WSEStartupError(_SENTENCE)
        time.sleep(0.05)
    _held[prefix] = file


def release(prefix: str) -> None:
    """Lets the next worker start; harmless without the lock."""
    file = _held.pop(prefix, None)
    if file is not None:
        file.close()


def is_worker() -> bool:
    """Whether a server has started this process as a worker, perhaps one of several."""
    if "gunicorn.arbiter" in sys.modules:
        return True
    if multiprocessing.parent_process() is None:
        return False
    target = getattr(multiprocessing.current_process(), "_target", None)
    return target is None or str(getattr(target, "__module__", "")).startswith(_WORKERS)


def _path(prefix: str) -> Path:
    user = os.getuid() if sys.platform != "win32" else 0
    name = hashlib.sha256(prefix.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"wse-{user}-{os.getppid()}-{name}.lock"


def _lock(file: IO[bytes]) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
