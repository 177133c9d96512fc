"""Carries the engine's events into one event loop: one wake-up, one batch."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from . import _native

Event = tuple[Any, ...]

_BATCH: Final = 1024  # events per turn of the loop; what is left wakes the loop again
_WATCH_SECONDS: Final = 1.0  # how often the portable fallback looks whether its loop is gone

log = logging.getLogger("wse_server")


class Pump:
    """One loop's queue of events. Made and used on that loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Event], None]) -> None:
        self.loop = loop
        self.queue = _native.EventQueue()
        self._deliver = deliver
        self._tickets: dict[int, asyncio.Future[Any]] = {}
        self._drained = threading.Event()
        self._start()

    def answer(self, ticket: int) -> "asyncio.Future[Any]":
        """What the PUBLISHED event of this ticket will bring."""
        future: asyncio.Future[Any] = self.loop.create_future()
        self._tickets[ticket] = future
        return future

    def close(self) -> None:
        """Drops what is queued; the loop is gone."""
        self.queue.close()
        self._drained.set()

    def _start(self) -> None:
        descriptor = self.queue.fileno()
        if descriptor >= 0:
            with contextlib.suppress(NotImplementedError):  # a proactor loop watches no descriptors
                self.loop.add_reader(descriptor, self._turn)
                return
        threading.Thread(target=self._watch, name="wse-events", daemon=True).start()

    def _watch(self) -> None:
        """The portable fallback: waits on a thread, wakes the loop, and lets it empty the queue before waiting again."""
        while not self.loop.is_closed():
            if not self.queue.wait(_WATCH_SECONDS):
                continue
            self._drained.clear()
            try:
                self.loop.call_soon_threadsafe(self._turn)
            except RuntimeError:  # closed between the check and the call
                break
            while not self._drained.wait(_WATCH_SECONDS) and not self.loop.is_closed():
                pass
        self.queue.close()

    def _turn(self) -> None:
        for event in self.queue.drain(_BATCH):
            try:
                if event[0] == _native.PUBLISHED:
                    self._resolve(event[1], event[2])
                else:
                    self._deliver(event)
            except Exception:  # one event's bug must not take the batch with it
                log.exception("an event of the engine was lost: %r", event)
        self._drained.set()

    def _resolve(self, ticket: int, result: object) -> None:
        future = self._tickets.pop(ticket, None)
        if future is None or future.done():  # the publisher was cancelled; the message is stored all the same
            return
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


class Pumps:
    """The pump of every loop that runs; those of closed loops are dropped when the next one is made."""

    def __init__(self, deliver: Callable[[Event], None]) -> None:
        self._deliver = deliver
        self._pumps: dict[asyncio.AbstractEventLoop, Pump] = {}
        self._lock = threading.Lock()

    def current(self) -> Pump:
        """The running loop's pump."""
        loop = asyncio.get_running_loop()
        pump = self._pumps.get(loop)
        return pump if pump is not None else self._add(loop)

    def close(self) -> None:
        """Closes every queue."""
        with self._lock:
            while self._pumps:
                self._pumps.popitem()[1].close()

    def _add(self, loop: asyncio.AbstractEventLoop) -> Pump:
        with self._lock:
            for closed in [known for known in self._pumps if known.is_closed()]:
                self._pumps.pop(closed).close()
            pump = self._pumps[loop] = Pump(loop, self._deliver)
        return pump
