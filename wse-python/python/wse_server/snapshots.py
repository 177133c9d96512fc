"""States of topics: who has them, and how the engine's calls reach them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from . import _native, _payload
from ._handlers import arity, asynchronous
from .connection import Connection
from .errors import WSEUsageError

_GATHER_SECONDS: Final = 0.001  # the topics that a client subscribes at once come within it, and are one question

log = logging.getLogger("wse_server")


@runtime_checkable
class SnapshotProvider(Protocol):
    """Has the state of several topics at once, such as a repository over a database."""

    async def get_snapshot(self, user_id: str | None, topics: Sequence[str]) -> Mapping[str, Any]:
        """The state of each topic for a user (None: anonymous), each at least as new as everything published before the call."""
        ...


class Snapshots:
    """What one router's application has registered, and the calls under way."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._sources: dict[str, tuple[_Function | _Provider, bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # bounded by snapshot_calls: the engine asks for no more at a time

    def add_function(self, pattern: str, function: Callable[..., Any], shared: bool) -> None:
        """Registers a function of (connection, topic)."""
        self._add(pattern, _Function(function), shared)

    def add_provider(self, pattern: str, provider: SnapshotProvider, shared: bool) -> None:
        """Registers a provider."""
        if not isinstance(provider, SnapshotProvider):
            raise WSEUsageError(f"a snapshot provider has `async def get_snapshot(user_id, topics)`, which {provider!r} has not")
        self._add(pattern, _Provider(provider), shared)

    def register(self, engine: _native.Engine) -> None:
        """Tells an engine which topics have a state."""
        for pattern, (_, shared) in self._sources.items():
            engine.register_snapshot(pattern, shared)

    def serve(self, connection: Connection, call: _native.SnapshotCall) -> None:
        """Answers a call, in a task: a connection's messages do not wait for it."""
        source = next((source for pattern, (source, _) in self._sources.items() if _holds(pattern, call.topic)), None)
        if source is None:
            return call.fail("the server has no snapshot of the topic")
        if isinstance(source, _Function):
            return self._spawn([call], self._state(source, connection, call))
        if not source.waiting:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._ask, source)
        source.waiting.setdefault(call.user, []).append(call)

    def _add(self, pattern: str, source: "_Function | _Provider", shared: bool) -> None:
        _native.check_scope(pattern)
        if pattern in self._sources:
            raise WSEUsageError(f"{pattern!r} has a snapshot already; a name or pattern has one")
        self._sources[pattern] = (source, shared)

    def _ask(self, source: "_Provider") -> None:
        waiting, source.waiting = source.waiting, {}
        for user, calls in waiting.items():
            self._spawn(calls, self._states(source, user, calls))

    def _spawn(self, calls: list[_native.SnapshotCall], answering: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._answered(calls, answering))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, calls: list[_native.SnapshotCall], answering: Coroutine[Any, Any, None]) -> None:
        topics = ", ".join(repr(call.topic) for call in calls)
        try:
            async with asyncio.timeout(self._timeout):
                await answering
        except TimeoutError:
            log.error("the snapshot of %s did not come within snapshot_timeout (%s s)", topics, self._timeout)
        except Exception:
            log.exception("the snapshot of %s failed", topics)
        for call in calls:
            if call.wanted:
                call.fail(f"the snapshot of {call.topic!r} failed; the server's log says why")

    async def _state(self, source: "_Function", connection: Connection, call: _native.SnapshotCall) -> None:
        call.answer(*_payload.encode(await source(connection, call.topic)))

    async def _states(self, source: "_Provider", user: str | None, calls: list[_native.SnapshotCall]) -> None:
        states = await source.provider.get_snapshot(user, [call.topic for call in calls])
        for call in calls:
            if call.topic in states:
                call.answer(*_payload.encode(states[call.topic]))
            else:
                log.error("get_snapshot gave no state of %r; give None where it is empty", call.topic)


class _Function:
    """A function registered with `snapshot`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._call: Callable[..., Awaitable[Any]] = asynchronous(function)
        self._arity: Final = arity(function, 2, "connection and topic")

    async def __call__(self, connection: Connection, topic: str) -> Any:
        return await self._call(*(connection, topic)[: self._arity])


class _Provider:
    """A provider, and the calls that it is about to be asked, by user."""

    def __init__(self, provider: SnapshotProvider) -> None:
        self.provider = provider
        self.waiting: dict[str | None, list[_native.SnapshotCall]] = {}


def _holds(pattern: str, topic: str) -> bool:
    """`*`, `namespace:*`, or the topic itself."""
    return pattern in ("*", topic) or (pattern.endswith(":*") and topic.split(":", 1)[0] == pattern[:-2] and ":" in topic)
