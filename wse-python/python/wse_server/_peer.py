"""One connection's events in order: authentication, connect, messages, disconnect, one after the other."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable
from typing import Any, Final

from . import _native, _payload
from ._auth import Authenticator
from ._handlers import Handlers, InvalidPayload
from ._pump import Event
from .codes import ErrorCode
from .connection import Connection

_ACKNOWLEDGE: Final = 128  # messages per `handled`: few crossings, and room again long before the queue is full
_ACKNOWLEDGE_SECONDS: Final = 0.1  # but slow handlers report at once, or the engine takes them for stuck
_RESUME_SECONDS: Final = 0.1  # after a cancellation, by when a loop that ends is gone

log = logging.getLogger("wse_server")


class Channel:
    """What the ASGI driver waits for."""

    __slots__ = ("outbound", "writable")

    def __init__(self) -> None:
        self.outbound = asyncio.Event()
        """Set when `take` has frames."""
        self.writable = asyncio.Event()
        """Set when `push` has room again."""


class Peer:
    """Drains its connection's events in one task, which exists only while there are any; an idle one has no queue and no event either."""

    __slots__ = (
        "_acknowledged_at", "_authenticator", "_engine", "_gone", "_handlers", "_inbox", "_is_gone", "_number", "_opened", "_task",
        "_unacknowledged", "channel", "connection",
    )  # fmt: skip

    def __init__(self, engine: _native.Engine, number: int, connection: Connection, handlers: Handlers, authenticator: Authenticator) -> None:
        self.connection = connection
        self.channel: Channel | None = None
        """Of a connection that is served by ASGI."""
        self._engine = engine
        self._number = number
        self._handlers = handlers
        self._authenticator = authenticator
        self._inbox: deque[Event] | None = None  # bounded by handler_queue: the engine stops reading
        self._task: asyncio.Task[None] | None = None  # None: nothing waits
        self._opened = False
        self._gone: asyncio.Event | None = None
        self._is_gone = False
        self._unacknowledged = 0
        self._acknowledged_at = 0.0

    async def gone(self) -> None:
        """Waits until the connection is closed and every hook has run."""
        if not self._is_gone:
            self._gone = self._gone or asyncio.Event()
            await self._gone.wait()

    def feed(self, event: Event) -> None:
        """Handles an event at once where nothing is to be awaited for it; otherwise queues it behind those before it."""
        if self._task is None and self._handled_at_once(event):
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(event)
        if self._task is None:
            self._start()

    def _handled_at_once(self, event: Event) -> bool:
        """Begin and end of a connection without hooks cost no task."""
        if event[0] == _native.OPENED and not self._handlers.connect:
            self._open(*event[2:])
            return True
        if event[0] == _native.CLOSED and not (self._opened and self._handlers.disconnect):
            self._end()
            return True
        return False

    async def _drain(self) -> None:
        while self._inbox:
            if self._inbox[0][0] == _native.MESSAGES:
                await self._messages(self._inbox[0][2])  # stays there until all are given
                self._inbox.popleft()
            else:
                await self._handle(self._inbox.popleft())
            if not self._inbox:
                self._acknowledge()
        self._inbox = self._task = None

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._drain())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Who is cancelled, even before it began, leaves the rest to another: later, because a loop that ends cancels its tasks too."""
        if self._task is task:
            task.get_loop().call_later(_RESUME_SECONDS, self._start)

    async def _handle(self, event: Event) -> None:
        kind = event[0]
        if kind == _native.AUTHENTICATE:
            self._identify(event[3])
            await self._authenticator.authenticate(self._engine, self._number, self.connection, event[2])
        elif kind == _native.OPENED:
            self._open(*event[2:])
            for hook in self._handlers.connect:
                await self._hook(hook(self.connection))
        elif kind == _native.CLOSED:
            await self._closed(*event[2:])

    def _open(self, identity: tuple[str, dict[str, Any]] | None, session: str | None) -> None:
        self._opened = True
        self.connection.session = session
        self._identify(identity)

    def _identify(self, identity: tuple[str, dict[str, Any]] | None) -> None:
        """What the engine's own check of the token found."""
        if identity is not None:
            self.connection.user, self.connection.claims = identity

    async def _messages(self, messages: _native.Messages) -> None:
        types = self._handlers.types
        for name, payload, reference, cid in messages:
            self._unacknowledged += 1
            try:
                handler = types.get(name)
                if handler is None:
                    self._fail(cid or reference, ErrorCode.NO_HANDLER, f"the server has no handler for {name!r}")
                else:
                    reply = await handler.call(payload, name, reference, self.connection)
                    if cid is not None:
                        self._engine.reply(self._number, cid, *_payload.encode(reply))
            except InvalidPayload as error:
                self._fail(cid or reference, ErrorCode.INVALID_MESSAGE, str(error))
            except asyncio.CancelledError:
                if _cancelled_from_outside():
                    self._fail(cid or reference, ErrorCode.OUTCOME_UNKNOWN, "the server ended while it handled the message")
                    raise
                self._failed(name, cid or reference)
            except Exception:
                self._failed(name, cid or reference)
            self._acknowledge_if_due()

    async def _closed(self, code: int, reason: str) -> None:
        try:
            if self._opened:
                for hook in self._handlers.disconnect:
                    await self._hook(hook(self.connection, code, reason))
        finally:
            self._end()

    def _end(self) -> None:
        self._is_gone = True
        if self._gone is not None:
            self._gone.set()

    async def _hook(self, call: Awaitable[Any]) -> None:
        try:
            await call
        except Exception:
            log.exception("a connection hook raised; the connection goes on")

    def _failed(self, type: str, cid: str | None) -> None:
        log.exception("the handler of %r raised", type)
        self._fail(cid, ErrorCode.HANDLER_FAILED, f"the handler of {type!r} failed; the server's log says why")

    def _fail(self, cid: str | None, code: ErrorCode, message: str) -> None:
        self._engine.fail(self._number, cid, code, message)

    def _acknowledge_if_due(self) -> None:
        if self._unacknowledged >= _ACKNOWLEDGE or time.monotonic() - self._acknowledged_at > _ACKNOWLEDGE_SECONDS:
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self._unacknowledged:
            self._engine.handled(self._number, self._unacknowledged)
            self._unacknowledged = 0
            self._acknowledged_at = time.monotonic()


def _cancelled_from_outside() -> bool:
    """Whether this task itself is being ended, rather than something that a handler awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
