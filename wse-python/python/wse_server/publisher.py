"""Publishing: the calls that every face of WSE shares, and a publisher for processes that serve no sockets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, overload

from ._host import Host
from ._native import Receipt, StoredMany
from .config import WSEConfig
from .direct import Sending
from .errors import WSEConfigError, WSEUnavailable, WSEUsageError
from .priority import Priority


@dataclass(frozen=True, slots=True)
class Publication:
    """One message of `publish_many`: the arguments of `publish`."""

    topic: str
    payload: object
    type: str | None = None
    priority: int = Priority.NORMAL
    key: str | None = None
    idempotency_key: str | None = None
    ttl: float | None = None


class _Receipts(Sequence[Receipt]):
    """The receipts of one `publish_many`, in the order of its messages; each is made when it is asked for."""

    __slots__ = ("_stored",)

    def __init__(self, stored: StoredMany) -> None:
        self._stored = stored

    def __len__(self) -> int:
        return len(self._stored)

    @overload
    def __getitem__(self, index: int) -> Receipt: ...
    @overload
    def __getitem__(self, index: slice) -> list[Receipt]: ...
    def __getitem__(self, index: int | slice) -> Receipt | list[Receipt]:
        places = range(len(self._stored))[index]
        return self._stored.at(places) if isinstance(places, int) else [self._stored.at(place) for place in places]

    def __repr__(self) -> str:
        return repr(list(self))


class Publishing(Sending):
    """`publish`, `publish_many` and `publish_sync` over a host."""

    _host: Host

    async def publish(
        self,
        topic: str,
        payload: object,
        *,
        type: str | None = None,
        priority: int = Priority.NORMAL,
        key: str | None = None,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Publishes to every subscriber of the topic; the receipt means that the bus has stored it.

        `payload` is anything a FastAPI endpoint may return, bytes that are JSON already, or `Msgpack(...)`. `type` is the event's type
        (None: the topic). Where messages of several topics wait for a client, the topic whose highest `priority` is higher goes first.
        `key` names the thing it is about, for `SlowPolicy.LATEST`. After `ttl` seconds it is not handed to any client any more, new or
        returning; each is told of the hole. A retry with the same `idempotency_key` within `WSEConfig.idempotency_age` (300 s) is the
        same message. Raises `WSEPayloadError`, `WSETopicError`, or `WSEUnavailable` when the bus does not answer within `publish_timeout`.
        """
        return await self._host.publish(topic, payload, type, priority, key, ttl, idempotency_key)

    async def publish_many(self, messages: Iterable[Publication | tuple[str, object]]) -> Sequence[Receipt]:
        """Publishes several messages, each a `Publication` or `(topic, payload)`, in as few steps as the bus can.

        Those of one topic keep their order. What is wrong with one (`WSEPayloadError` names its number, `WSETopicError` its topic) is
        raised before any is published. Where the bus could not store all, raises `WSEUnavailable`, whose `outcomes` has a receipt or an
        error for each: one that failed fails those of its topic behind it, and none of other topics.
        """
        stored, failed = await self._host.publish_many(messages, _arguments)
        if failed is not None:
            if isinstance(failed[0], WSEUnavailable):
                failed[0].outcomes = failed[1]
            raise failed[0]
        return _Receipts(stored)

    def publish_sync(
        self,
        topic: str,
        payload: object,
        *,
        type: str | None = None,
        priority: int = Priority.NORMAL,
        key: str | None = None,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """`publish` for `def` endpoints, threads and scripts; blocks until the bus has stored the message."""
        return self._host.publish_sync(topic, payload, type, priority, key, ttl, idempotency_key)


def _arguments(message: object) -> tuple[Any, ...]:
    """What `Host.publish` takes of a message."""
    if isinstance(message, tuple) and len(message) == 2:  # a named one
        message = Publication(*message)
    if not isinstance(message, Publication):
        raise WSEUsageError(f"publish_many takes (topic, payload) and Publication(...), not {message!r}")
    return message.topic, message.payload, message.type, message.priority, message.key, message.ttl, message.idempotency_key


class Publisher(Publishing):
    """Publishes, and sends to users, from a process that serves no sockets, such as a Celery worker or a script.

    `async with Publisher(redis_url=...) as p: await p.publish(...)`, or `with` and `publish_sync`.
    """

    def __init__(self, *, redis_url: str, redis_prefix: str = "wse") -> None:
        if redis_url is None:
            raise WSEConfigError("redis_url", "a publisher reaches other processes through Redis only, as redis://localhost:6379")
        self._host = Host(WSEConfig(redis_url=redis_url, redis_prefix=redis_prefix))

    async def __aenter__(self) -> Self:
        await self._host.ready()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __enter__(self) -> Self:
        self._host.engine()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the engine. Publishing again starts another."""
        self._host.stop()
