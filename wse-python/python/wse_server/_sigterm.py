"""SIGTERM: clients are sent to other workers first, then whoever handled it before does (uvicorn, gunicorn's worker, hypercorn, nobody)."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final

_LOOPS_OWN: Final = ("asyncio.unix_events", "uvloop._noop")  # what stands in for a handler that an event loop keeps for itself

log = logging.getLogger("wse_server")


class Sigterm:
    """The handler of this process, and the one that it took the place of."""

    def __init__(self, loop: asyncio.AbstractEventLoop, drain: Callable[[], Awaitable[None]], before: Any) -> None:
        self._loop = loop
        self._drain = drain
        self._before = before
        """As `signal.signal` gave it, or the handle of an event loop."""
        self._draining: asyncio.Task[None] | None = None
        self._passed_on = False

    @classmethod
    def chain(cls, drain: Callable[[], Awaitable[None]]) -> "Sigterm | None":
        """Takes SIGTERM over on the running loop; None where it is not ours to take: then the server's shutdown alone tells clients."""
        if threading.current_thread() is not threading.main_thread():
            return None
        loop = asyncio.get_running_loop()
        of_loop = getattr(loop, "_signal_handlers", {}).get(signal.SIGTERM)  # no public way leads to it
        if of_loop is not None:
            chained = cls(loop, drain, of_loop)
            loop.add_signal_handler(signal.SIGTERM, chained._handle)
            return chained
        before = signal.getsignal(signal.SIGTERM)
        if before is None or before is signal.SIG_IGN or getattr(before, "__module__", None) in _LOOPS_OWN:
            return None
        chained = cls(loop, drain, before)
        signal.signal(signal.SIGTERM, chained._interrupt)
        return chained

    def unchain(self) -> None:
        """Puts back what was there, unless somebody has taken our place."""
        if isinstance(self._before, asyncio.Handle):
            ours = getattr(self._loop, "_signal_handlers", {}).get(signal.SIGTERM)
            if getattr(ours, "_callback", None) == self._handle:
                self._loop.add_signal_handler(signal.SIGTERM, self._before._callback, *self._before._args)  # type: ignore[attr-defined]
        elif signal.getsignal(signal.SIGTERM) == self._interrupt:
            signal.signal(signal.SIGTERM, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Between any two steps of the program: so no more than a word to the loop."""
        self._loop.call_soon_threadsafe(self._handle)

    def _handle(self) -> None:
        """On the loop. The second time somebody is in a hurry."""
        if self._draining is not None:
            return self._pass_on()
        log.info("SIGTERM: clients are sent to other workers; again to end at once")
        self._draining = self._loop.create_task(self._drained())

    async def _drained(self) -> None:
        try:
            await self._drain()
        except Exception:
            log.exception("clients could not be sent to other workers; the server ends all the same")
        self._loop.call_soon(self._pass_on)

    def _pass_on(self) -> None:
        if self._passed_on:
            return
        self._passed_on = True
        self.unchain()
        if isinstance(self._before, asyncio.Handle):
            self._before._run()
        elif callable(self._before):
            self._before(signal.SIGTERM, None)
        else:
            signal.raise_signal(signal.SIGTERM)
