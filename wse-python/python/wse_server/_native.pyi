"""The Rust engine as Python sees it: thin, private; `wse_server` is the public face."""

from collections.abc import Iterable
from typing import Any, Final, Self, final

from ._payload import Outcomes, Outgoing, Reading

# Kinds of events: the first item of every tuple that `EventQueue.drain` returns.
AUTHENTICATE: Final[int]  # (kind, connection, token: str | None, identity: tuple[str, dict] | None): the user's id and claims of a checked token
OPENED: Final[int]  # (kind, connection, identity: tuple[str, dict] | None, session: str | None): no identity where AUTHENTICATE had it, or nobody asks
MESSAGES: Final[int]  # (kind, connection, messages: Messages), in the order sent
CLOSED: Final[int]  # (kind, connection, code: int, reason: str)
PUBLISHED: Final[int]  # (kind, ticket: int, result: Receipt | WSEError, of publish_many Outcomes)
OUTBOUND: Final[int]  # (kind, connection): `Engine.take` has frames for a channel
WRITABLE: Final[int]  # (kind, connection): `Engine.push` has room again
SNAPSHOT: Final[int]  # (kind, connection, call: SnapshotCall): a topic's state is wanted

__version__: str

def check_options(options: dict[str, Any]) -> None:
    """Raises WSEConfigError, which names the field, unless an engine could have these settings."""

def filter_matches(filter: bytes, payload: bytes) -> bool:
    """Whether a payload passes a filter, both in JSON; what is not JSON passes none. ValueError, which names the fault, for a bad filter."""

@final
class EventQueue:
    """Events for one event loop; filled by the engine's thread, emptied by the loop in batches."""
    def __new__(cls) -> Self: ...
    def fileno(self) -> int:
        """A descriptor that is readable while events wait; -1 where the platform has none."""
    def drain(self, limit: int) -> list[tuple[Any, ...]]:
        """Events, oldest first, until they are `limit` or more, each message counted; clears the descriptor when it took all."""
    def wait(self, seconds: float) -> bool:
        """Blocks without the GIL until events wait (the portable fallback); False after `seconds` or once closed."""
    def close(self) -> None:
        """Events are dropped from here on; ends `wait`."""

@final
class Messages:
    """Messages of one connection, each (type, payload, id, cid): made when it is asked for, given once."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> tuple[str, Any, str | None, str | None]: ...

def check_scope(name: str) -> None:
    """Raises WSETopicError unless it is `*`, a pattern or the name of a topic."""

@final
class SnapshotCall:
    """A question for a topic's state; forgotten unanswered it has failed."""
    @property
    def topic(self) -> str: ...
    @property
    def user(self) -> str | None: ...
    @property
    def wanted(self) -> bool:
        """Whether it is unanswered and somebody still waits."""
    def answer(self, payload: bytes, format: str | None) -> None:
        """The state, as payloads are; WSEPayloadError where it is not what it is said to be, and then it may still be failed."""
    def fail(self, message: str) -> None: ...

@final
class Receipt:
    """A stored publish."""
    @property
    def id(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def epoch(self) -> str: ...
    @property
    def seq(self) -> int: ...

@final
class StoredMany:
    """What one `publish_many` stored, in the order of its messages."""
    def __len__(self) -> int: ...
    def at(self, index: int) -> Receipt: ...

@final
class Admission:
    """The engine's judgement of one HTTP upgrade request."""
    @property
    def http_status(self) -> int | None:
        """The status to refuse with; None: upgrade (a refusal may still follow inside the WebSocket, [P-7])."""
    @property
    def message(self) -> str: ...
    @property
    def subprotocol(self) -> str | None: ...

@final
class Engine:
    """One process's engine. `options` holds every setting by its `WSEConfig` name; a wrong one raises WSEConfigError."""
    def __new__(cls, options: dict[str, Any]) -> Self: ...
    def start(self) -> None:
        """Starts the thread and connects the bus (blocks without the GIL); idempotent. WSEUnavailable if Redis does not answer."""
    def serve(self) -> None:
        """This process takes connections: others that drain may send their clients here."""
    def drain(self, window: float, seconds: float) -> None:
        """Sends every connection away and waits for them to go, without the GIL; new ones are refused. Publishing still works.

        Where another process serves, those that can move do so within the window, and have `seconds` after it; the others get 1012.
        """
    def stop(self) -> None:
        """Ends the thread; closes the bus."""
    def publish(self, queue: EventQueue, message: Outgoing) -> Receipt | int:
        """A receipt when done at once; otherwise a ticket that one PUBLISHED event answers."""
    def publish_many(self, queue: EventQueue, messages: Iterable[Any], reading: Reading) -> Outcomes | int:
        """The same for several; a bad one raises before any is published. Pairs of a topic and what is bytes or plain data are read here."""
    def publish_blocking(self, message: Outgoing) -> Receipt:
        """`publish` for threads; waits without the GIL."""
    def admit(self, headers: list[tuple[bytes, bytes]], query: bytes, client: tuple[str, int] | None, secure: bool) -> Admission:
        """Judges an upgrade request (origin, limits, subprotocol). `headers` as in an ASGI scope."""
    def adopt_socket(self, queue: EventQueue, admission: Admission, descriptor: int, leftover: bytes) -> int:
        """Takes ownership of a connected TCP descriptor, answers 101 and serves it; returns the connection's number."""
    def open_channel(self, queue: EventQueue, admission: Admission) -> int:
        """The same session over `push` and `take` (the ASGI driver)."""
    def push(self, connection: int, frame: str | bytes) -> bool:
        """A frame from the peer. False: taken, but wait for WRITABLE before the next one."""
    def take(self, connection: int, limit: int) -> list[str | bytes | tuple[int, str]]:
        """Frames for the peer, oldest first; a tuple is a close (code, reason) and the last."""
    def hang_up(self, connection: int, code: int) -> None:
        """The peer or its transport has gone."""
    def welcome(self, connection: int, user: str | None) -> None:
        """Authentication succeeded; `user` is the id that `server_ready` shows."""
    def refuse(self, connection: int, code: str, message: str) -> None:
        """Authentication failed with an error code of the wire."""
    def register_snapshot(self, pattern: str, shared: bool) -> None:
        """From now on SNAPSHOT events come for these topics; one that is known is passed over."""
    def reply(self, connection: int, cid: str, payload: bytes, format: str | None) -> None: ...
    def fail(self, connection: int, cid: str | None, code: str, message: str) -> None: ...
    def mark_idempotent(self, type: str) -> None:
        """Handlers of this type may run again for a message of which it is not known whether they have."""
    def dead_letters(self, limit: int) -> list[tuple[str, int, int, str | None, str, str | None, str, Any]]:
        """(id, time in milliseconds, attempts, user, type, message id, error, payload), oldest first. Waits without the GIL, as the three below."""
    def claim_dead_letter(self, id: str) -> tuple[str, int, int, str | None, str, str | None, str, Any]:
        """Takes one for a minute; WSEDeadLetterError where that cannot be."""
    def release_dead_letter(self, id: str) -> None: ...
    def remove_dead_letter(self, id: str) -> bool: ...
    def presence(self, topic: str) -> tuple[int, list[tuple[str, str | None, Any]]]:
        """How many are in a topic, and each one's (id, user, data), in no order; WSETopicError where it has no presence. Waits without the GIL."""
    def presence_count(self, topic: str) -> int: ...
    def handled(self, connection: int, count: int) -> None:
        """So many messages are done with; unhandled ones are what holds back reading."""
    def close(self, connection: int, code: int, reason: str) -> None: ...
    def topics(self, connection: int) -> list[str]:
        """What the connection is subscribed to."""
    def name_of(self, connection: int) -> str:
        """The id that the client was told (`server_ready.connection`)."""
    def health(self) -> dict[str, Any]:
        """Counts and gauges; asks every shard, which takes up to a second where one is stalled. Waits without the GIL."""
