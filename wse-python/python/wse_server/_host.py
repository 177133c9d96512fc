"""One engine's life: it starts on first use, serves any number of event loops, drains, and starts anew if used again."""

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from . import _native, _payload, hostlock
from ._auth import Authenticator
from ._handlers import Handlers
from ._peer import Peer
from ._pump import Event, Pumps
from ._sigterm import Sigterm
from .config import WSEConfig
from .connection import Connection, Headers
from .errors import WSEForkError, WSEStartupError, WSEUnavailable, WSEUsageError
from .priority import Priority
from .snapshots import Snapshots

_RETRY_SECONDS: Final = 1.0  # a start that failed is not tried again sooner: every try waits for the bus
_PRIORITIES: Final = frozenset(Priority)
_NORMAL: Final = Priority.NORMAL  # an enum is slow to hash
_HOOK_SECONDS: Final = 5.0  # how long shutdown waits for on_disconnect hooks


class Host:
    """The engine of one router or publisher in this process."""

    def __init__(self, config: WSEConfig) -> None:
        self.config = config
        self.handlers = Handlers()
        self.snapshots = Snapshots(config.snapshot_timeout)
        self.authenticator = Authenticator(config.auth_handler, config.auth_timeout, config.jwt_key is not None)
        self.pumps = Pumps(self._deliver)
        self._peers: dict[int, Peer] = {}
        self._engine: _native.Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._lifespans = 0
        self._drained = False
        self._sigterm: Sigterm | None = None
        self._failure: tuple[float, Exception] | None = None

    @property
    def running(self) -> "_native.Engine | None":
        """The engine, if this process has started it."""
        return self._engine if self._pid == os.getpid() else None

    def engine(self) -> _native.Engine:
        """The engine; starts it, which blocks while the bus is being reached."""
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._start()
        if self._pid != os.getpid():
            raise WSEForkError(self._pid)
        return self._engine

    async def ready(self) -> _native.Engine:
        """The engine, started without blocking the loop."""
        return self.engine() if self._engine is not None else await asyncio.to_thread(self.engine)

    async def serving(self) -> _native.Engine:
        """The engine for connections: a drained one takes none, so that another takes its place."""
        if self._drained:
            await asyncio.to_thread(self.stop)
        self.authenticator.warn_if_open()
        engine = await self.ready()
        engine.serve()
        return engine

    async def startup(self) -> None:
        """The router's lifespan begins. It may be included twice; the last one to end drains."""
        await self.serving()
        self._lifespans += 1
        if self._lifespans == 1 and self.config.redis_url is not None and self.config.drain_window > 0:
            self._sigterm = Sigterm.chain(self.drain)

    async def drain(self, window: float | None = None) -> None:
        """See `WSERouter.drain`. What comes meanwhile is refused; the engine goes on until it is stopped."""
        engine = self.running
        if engine is not None:
            await asyncio.to_thread(engine.drain, self.config.drain_window if window is None else window, self.config.drain_timeout)
            await _all([peer.gone() for peer in list(self._peers.values())], _HOOK_SECONDS)

    async def shutdown(self) -> None:
        """The router's lifespan ends: clients are told to return, hooks run, publishing goes on."""
        self._lifespans -= 1
        if self._lifespans:
            return
        if self._sigterm is not None:
            self._sigterm.unchain()
            self._sigterm = None
        if self.running is not None:
            self._drained = True
            hostlock.release(self.config.redis_prefix)
            await self.drain(0)

    def stop(self) -> None:
        """Ends the engine; the next use starts another."""
        with self._lock:
            engine, self._engine, self._drained = self.running, None, False
            self.pumps.close()
            self._peers.clear()
        hostlock.release(self.config.redis_prefix)
        if engine is not None:
            engine.stop()

    def has_snapshots(self) -> None:
        """More topics have a state: an engine that runs is told."""
        engine = self.running
        if engine is not None:
            self.snapshots.register(engine)

    def handle(self, type: str, function: Callable[..., Any], idempotent: bool) -> None:
        """Registers the handler of a message type; the engine knows which types may run twice."""
        self.handlers.add(type, function, idempotent)
        if idempotent and self.running is not None:
            self.running.mark_idempotent(type)

    def register(self, number: int, headers: Headers, client: tuple[str, int] | None) -> Peer:
        """Events of this connection go to the peer returned. Call it before the loop turns."""
        connection = Connection(self.engine(), number, headers, client)
        peer = self._peers[number] = Peer(self.engine(), number, connection, self.handlers, self.authenticator)
        return peer

    async def publish(self, topic: _payload.To, payload: object, *options: Any) -> _native.Receipt:
        """See `Publishing.publish`. Suspends only where the engine has to start, or the bus to be waited for."""
        message = _outgoing(topic, payload, *options)
        engine = self.running or await self.ready()
        pump = self.pumps.current()
        result = engine.publish(pump.queue, message)
        if isinstance(result, int):
            ticket: asyncio.Future[_native.Receipt] = pump.answer(result)
            return await ticket
        return result

    async def publish_many(self, messages: Iterable[Any], arguments: Callable[[Any], tuple[Any, ...]]) -> _payload.Outcomes:
        """Each a pair of topic and payload, or what `arguments` makes those of `publish` of."""
        engine = self.running or await self.ready()
        pump = self.pumps.current()
        result = engine.publish_many(pump.queue, messages, _payload.reading(lambda message: _outgoing(*arguments(message))))
        if isinstance(result, int):
            ticket: asyncio.Future[_payload.Outcomes] = pump.answer(result)
            return await ticket
        return result

    def publish_sync(self, topic: _payload.To, payload: object, *options: Any) -> _native.Receipt:
        """See `Publishing.publish_sync`."""
        if self.config.redis_url is not None and _on_loop():
            raise WSEUsageError("publish_sync would block this event loop while Redis answers: use `await wse.publish(...)` here")
        return self.engine().publish_blocking(_outgoing(topic, payload, *options))

    def _start(self) -> _native.Engine:
        if self._failure is not None and time.monotonic() - self._failure[0] < _RETRY_SECONDS:
            raise self._failure[1]
        try:
            engine = _native.Engine(self.config.options())
            if self.config.redis_url is None:
                hostlock.acquire(self.config.redis_prefix)
            for name in [name for name, handler in self.handlers.types.items() if handler.idempotent]:
                engine.mark_idempotent(name)
            engine.start()
            self.snapshots.register(engine)
        except WSEUnavailable as error:
            self._failure = (time.monotonic(), _unreachable(self.config.redis_url, error))
            raise self._failure[1] from None
        self._pid = os.getpid()
        weakref.finalize(self, _stop_in, self._pid, engine)
        return engine

    def _deliver(self, event: Event) -> None:
        kind, number = event[0], event[1]
        peer = self._peers.get(number)
        if peer is None:
            return
        if kind == _native.MESSAGES:
            peer.feed(event)
        elif kind == _native.OUTBOUND and peer.channel is not None:
            peer.channel.outbound.set()
        elif kind == _native.WRITABLE and peer.channel is not None:
            peer.channel.writable.set()
        elif kind == _native.SNAPSHOT:
            self.snapshots.serve(peer.connection, event[2])
        else:
            peer.feed(event)
        if kind == _native.CLOSED:
            if peer.channel is not None:
                peer.channel.writable.set()  # whoever waits for room learns that there will be none
            del self._peers[number]


def _outgoing(
    topic: _payload.To, payload: object, type: str | None, priority: int, key: str | None, ttl: float | None, idempotency_key: str | None
) -> _payload.Outgoing:
    """A publish's arguments as the engine takes them."""
    if priority is not _NORMAL and priority not in _PRIORITIES:
        raise WSEUsageError(f"priority must be one of {', '.join(f'{p.name} ({p})' for p in Priority)}, not {priority!r}")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float) or not ttl > 0):
        raise WSEUsageError(f"ttl must be a number of seconds above 0, not {ttl!r}")
    return topic, *_payload.encode(payload), type, int(priority), key, None if ttl is None else round(ttl * 1000), idempotency_key


def _on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _all(waits: list[Coroutine[Any, Any, Any]], seconds: float) -> None:
    """Waits for all of them, but no longer than that."""
    if not waits:
        return
    _, pending = await asyncio.wait([asyncio.ensure_future(wait) for wait in waits], timeout=seconds)
    for task in pending:
        task.cancel()


def _unreachable(url: str | None, error: WSEUnavailable) -> WSEStartupError:
    """The password in the URL stays out of the text."""
    parts = urlsplit(url or "")
    where = f"{parts.hostname}:{parts.port or 6379}"
    return WSEStartupError(f"Redis at {where} does not answer ({error}): start it, or leave redis_url out to run one worker on the in-process bus")


def _stop_in(pid: int, engine: _native.Engine) -> None:
    """At exit or collection; a fork must not touch its parent's engine."""
    if os.getpid() == pid:
        engine.stop()
