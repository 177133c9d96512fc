"""Every setting of WSE, checked when it is made; the defaults come from the one table."""

import dataclasses
import difflib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from . import _defaults as table
from . import _native, policy
from .errors import WSEConfigError
from .policy import TopicPolicy

if TYPE_CHECKING:
    from .connection import AuthResult, Connection

    AuthHandler = Callable[[Connection], "Awaitable[Any | AuthResult | None] | Any | AuthResult | None"]

_SECONDS = (
    "heartbeat", "idle_timeout", "handshake_timeout", "auth_timeout", "publish_timeout",
    "history_age", "meta_age", "restart_retry", "drain_timeout", "rate_patience", "breaker_cooldown", "snapshot_timeout",
    "redis_backoff_base", "redis_backoff_cap", "idempotency_age",
    "outcome_age", "outcome_lease", "dead_letter_age", "direct_age", "session_grace", "presence_lease", "presence_interval",
)  # fmt: skip
_COUNTS = (
    "message_bytes", "subscriptions", "outbound_bytes", "handover_bytes",
    "handler_queue", "history_messages", "history_bytes", "history_budget_bytes", "compression_from", "compression_level",
    "batch_messages", "batch_bytes", "message_burst", "patterns", "pattern_topics", "filter_limit", "breaker_failures", "snapshot_calls",
    "redis_reorder_messages", "redis_reorder_bytes", "idempotency_keys",
    "snapshot_pin_bytes", "outcome_messages", "outcome_bytes", "outcome_reply_bytes", "outcome_producers", "outcome_budget_bytes",
    "dead_letters", "dead_letter_bytes", "direct_messages", "direct_bytes", "direct_budget_bytes", "presence_members", "presence_topics",
    "presence_data_bytes",
)  # fmt: skip
_OPTIONAL_COUNTS = ("connections", "messages_per_second", "bytes_per_second", "shards")
_SWITCHES = ("msgpack", "compression", "batch")
_LARGEST = 2**53 - 1
_LARGEST_OF = {
    "compression_level": 9, "shards": 64, "messages_per_second": 2**32 - 1, "message_burst": 2**32 - 1, "bytes_per_second": 2**32 - 1,
    "breaker_failures": 2**32 - 1,
}  # fmt: skip
_NAMES = ("redis_prefix", "token_query_parameter", "token_cookie")


class Takeover(StrEnum):
    """Whether the engine takes a connection's socket over from the server."""

    AUTO = "auto"  # where it can: uvicorn over plain TCP
    ALWAYS = "always"  # or refuse the connection
    NEVER = "never"  # every frame goes through the ASGI server


@dataclass(frozen=True, slots=True, kw_only=True)
class WSEConfig:
    """Settings of one engine. Times are seconds. A wrong value raises `WSEConfigError`, which names the field."""

    redis_url: str | None = None
    """`redis://[user:password@]host:6379/0` (no TLS yet); None: the in-process bus, for one worker."""
    redis_prefix: str = "wse"
    """What every key in Redis begins with; two applications on one Redis need two."""
    auth_handler: "AuthHandler | None" = None
    """`(connection) -> user | AuthResult | None`, sync or async; None refuses. Without it and without `jwt_key` everyone is anonymous."""
    jwt_key: str | bytes | Mapping[str, str | bytes] | None = field(default=None, repr=False)
    """Checks clients' JSON Web Tokens with this secret (32 bytes or more) or PEM public key, or with several by their ids (`kid`): only
    clients with a valid token connect; with `auth_handler` too, it is asked after. Checked when a client connects; the connection outlives it."""
    jwt_algorithms: Sequence[str] = ("HS256",)
    """The algorithms that are allowed, and no others: HS256, HS384, HS512 with secrets; RS256, PS256, ES256, EdDSA and their kin with public keys."""
    jwt_issuer: str | None = None
    """The `iss` that tokens must have; None: any."""
    jwt_audience: str | None = None
    """The `aud` that tokens must have, alone or in a list; None: only tokens without one are taken."""
    jwt_leeway: float = 5.0
    """How far the issuer's clock may be off, for `exp`, `nbf` and `iat`. `exp` is required."""
    jwt_user_claim: str = "sub"
    """The claim that is the user's id, a string or an integer."""
    allowed_origins: Sequence[str] | None = None
    """Origins of pages that may connect, as `https://app.example.com`; `["*"]`: any. None: the same origin, and any port on loopback."""
    token_query_parameter: str | None = None
    """Also take the token from this query parameter. Off by default: URLs end up in logs."""
    token_cookie: str | None = None
    """Also take the token from this cookie."""
    takeover: Takeover = Takeover.AUTO
    """Whether the engine takes sockets over from the server: "auto", "always" or "never"."""
    heartbeat: float = table.HEARTBEAT_MS / 1000
    """The client is pinged so often, whatever else it is sent; quiet topics are told of then."""
    idle_timeout: float = table.IDLE_TIMEOUT_MS / 1000
    """A connection from which nothing came for this long is closed."""
    handshake_timeout: float = table.HANDSHAKE_TIMEOUT_MS / 1000
    """How long a client may take for its first frame."""
    auth_timeout: float = table.AUTH_TIMEOUT_MS / 1000
    """How long `auth_handler` may take."""
    restart_retry: float = table.RESTART_RETRY_MS / 1000
    """The window in which clients spread their return after a restart."""
    drain_window: float = table.DRAIN_WINDOW_MS / 1000
    """Where other workers serve on the same Redis, `drain` and SIGTERM have clients go on there, spread over so long, without a break. 0: all
    are closed at once and return, and SIGTERM is left to the server."""
    drain_timeout: float = 5.0
    """How long the last of them may take after the window, and how long shutdown waits for connections to go."""
    message_bytes: int = table.MESSAGE_BYTES
    """The largest message, either way."""
    msgpack: bool = True
    """Whether clients may choose MessagePack. A topic with clients of both formats costs one encoding for each."""
    compression: bool = True
    """Whether clients may choose zlib for frames; each is compressed once for all of them."""
    compression_from: int = table.COMPRESSION_FROM_BYTES
    """Bytes from which a frame is compressed. Less: more CPU for little gain."""
    compression_level: int = table.COMPRESSION_LEVEL
    """zlib's level, 1 (fast) to 9 (small)."""
    batch: bool = True
    """Whether clients may choose to get what comes at once of a topic in one frame."""
    batch_messages: int = table.BATCH_MESSAGES
    """Messages in one such frame at most."""
    batch_bytes: int = table.BATCH_BYTES
    """Bytes in one such frame, about."""
    messages_per_second: int | None = table.MESSAGES_PER_SECOND
    """Messages that a client may send each second; above it its socket is not read, and nothing is lost. None: any number."""
    message_burst: int = table.MESSAGE_BURST
    """Messages that a client may send at once."""
    bytes_per_second: int | None = table.BYTES_PER_SECOND
    """Bytes that a client may send each second, and one `message_bytes` at once. None: any number."""
    rate_patience: float = table.RATE_PATIENCE_MS / 1000
    """How long a client may press against its rate before it is closed with `RATE_LIMITED`."""
    connections: int | None = None
    """Connections that this process serves at once; None: as many as it has descriptors for."""
    subscriptions: int = table.SUBSCRIPTIONS
    """Topics and patterns per connection."""
    patterns: int = table.PATTERNS
    """Patterns, as `orders:*`, per connection."""
    pattern_topics: int = table.PATTERN_TOPICS
    """Topics that one connection may follow where it follows patterns, and new ones that may wait for a client that does not read."""
    filter_limit: int = table.FILTER_LIMIT
    """Different filters on one topic, of all clients of this process. Each costs a judgement of every payload, and an encoding of those that pass."""
    topics: Mapping[str, TopicPolicy] = field(default_factory=dict)
    """What holds for topics, by name, namespace (`orders:*`) or all (`*`); the first entry that fits counts. Default: slow clients recover."""
    snapshot_timeout: float = table.SNAPSHOT_TIMEOUT_MS / 1000
    """How long a client waits for a topic's state, a wait for its turn included, before it gets `SNAPSHOT_FAILED`."""
    snapshot_calls: int = table.SNAPSHOT_CALLS
    """States that are asked for at the same time; more wait their turn."""
    snapshot_pin_bytes: int = table.SNAPSHOT_PIN_BYTES
    """Bytes of messages kept beside the history while states are made; above it the history is all that follows a state."""
    outbound_bytes: int = table.OUTBOUND_BYTES
    """What may wait for one connection; then topics give way by their `TopicPolicy.slow`: by default they catch up as the client reads."""
    handover_bytes: int = table.HANDOVER_BYTES
    """What may wait between `publish` and the engine before `publish` waits."""
    handler_queue: int = table.HANDLER_QUEUE
    """Messages of one connection that may wait for handlers before its socket is no longer read."""
    history_age: float = table.HISTORY_AGE_MS / 1000
    """How long a topic keeps messages for those who return."""
    history_messages: int = table.HISTORY_MESSAGES
    """How many messages a topic keeps."""
    history_bytes: int = table.HISTORY_BYTES
    """How many bytes a topic keeps."""
    history_budget_bytes: int = table.HISTORY_BUDGET_BYTES
    """How many bytes all topics of the in-process bus keep together."""
    history_compress_after: float | None = table.HISTORY_COMPRESS_AFTER_MS / 1000
    """From which age the in-process bus keeps payloads as lz4, so that more fit the history. None: never."""
    meta_age: float = table.META_AGE_MS / 1000
    """How long a topic without messages is still known."""
    publish_timeout: float = table.PUBLISH_TIMEOUT_MS / 1000
    """How long a publish waits for the bus before it raises `WSEUnavailable`."""
    idempotency_age: float = table.IDEMPOTENCY_AGE_MS / 1000
    """How long a publish with the same `idempotency_key` to the same topic is the same message; later it is another one."""
    idempotency_keys: int = table.IDEMPOTENCY_KEYS
    """Such keys that the in-process bus remembers; above it the oldest is forgotten early. In Redis each is kept for its time."""
    breaker_failures: int = table.BUS_BREAKER_FAILURES
    """Publishes in a row that Redis may leave unanswered; then further ones raise at once."""
    breaker_cooldown: float = table.BUS_BREAKER_COOLDOWN_MS / 1000
    """How often one publish tries Redis again meanwhile."""
    redis_backoff_base: float = table.BUS_BACKOFF_BASE_MS / 1000
    """The most that the first wait before another attempt at Redis may be; each failure doubles it, and the wait is drawn below it."""
    redis_backoff_cap: float = table.BUS_BACKOFF_CAP_MS / 1000
    """The most that any of these waits may be."""
    redis_reorder_messages: int = table.BUS_REORDER_MESSAGES
    """Messages of one topic that are kept while what was missed before them is read from Redis; what is above is read again."""
    redis_reorder_bytes: int = table.BUS_REORDER_BYTES
    """Bytes of these."""
    outcome_age: float = table.OUTCOME_AGE_MS / 1000
    """How long after a client's last message that asks for its effect its outcomes are remembered; not below the 24 h that clients keep messages."""
    outcome_lease: float = table.OUTCOME_LEASE_MS / 1000
    """How long a worker that is not heard of is taken to live; then what its handlers were doing is unknown."""
    outcome_messages: int = table.OUTCOME_MESSAGES
    """Messages of one client's outbox whose outcomes are remembered; above it the oldest becomes unknown."""
    outcome_bytes: int = table.OUTCOME_BYTES
    """Bytes of such outcomes."""
    outcome_reply_bytes: int = table.OUTCOME_REPLY_BYTES
    """The largest reply that is remembered; a repetition of a message with a larger one gets `REPLY_NOT_KEPT`."""
    outcome_producers: int = table.OUTCOME_PRODUCERS
    """Outboxes that are remembered; above it the one that was silent longest is forgotten."""
    outcome_budget_bytes: int = table.OUTCOME_BUDGET_BYTES
    """Bytes of all outcomes; above it the outbox that was silent longest is forgotten."""
    dead_letters: int = table.DEAD_LETTERS
    """Messages whose handlers raised that are kept; above it the oldest goes."""
    dead_letter_bytes: int = table.DEAD_LETTER_BYTES
    """Bytes of these."""
    dead_letter_age: float = table.DEAD_LETTER_AGE_MS / 1000
    """How long they are kept."""
    direct_age: float = table.DIRECT_AGE_MS / 1000
    """How long messages to a user are kept for one who is away."""
    session_grace: float = table.SESSION_GRACE_MS / 1000
    """How long messages to a session are kept for a client that resumes it."""
    direct_messages: int = table.DIRECT_MESSAGES
    """Messages kept for one user, or one session; above it the oldest goes, and a client that missed it is told `resync`."""
    direct_bytes: int = table.DIRECT_BYTES
    """Bytes of these."""
    direct_budget_bytes: int = table.DIRECT_BUDGET_BYTES
    """Bytes that the in-process bus keeps for all users and sessions together; they give way to topics."""
    presence_grace: float = table.PRESENCE_GRACE_MS / 1000
    """How long a client whose connection was lost is still in what it had entered, so that nobody sees a short break. 0: not at all."""
    presence_lease: float = table.PRESENCE_LEASE_MS / 1000
    """How long a worker that is not heard of is taken to live; then others are told that the members it had have left."""
    presence_interval: float = table.PRESENCE_INTERVAL_MS / 1000
    """Members that come, change and leave within it are told together; what comes first is told at once."""
    presence_members: int = table.PRESENCE_MEMBERS
    """Members of one topic; above it `PRESENCE_FULL`, also for a member of a worker that stood still while others took the place."""
    presence_topics: int = table.PRESENCE_TOPICS
    """Topics that one connection may have entered; above it `TOO_MANY_PRESENCES`."""
    presence_data_bytes: int = table.PRESENCE_DATA_BYTES
    """Bytes of JSON that a member shows to others; above it `PRESENCE_DATA_TOO_LARGE`."""
    shards: int | None = None
    """Threads that serve connections; None: half of the cores. The other half is Python's."""
    flush_interval: float = 0
    """Messages that come within it are written together, at most 1 s; 0: each at once. 0.01 to 0.02 saves CPU near the server's limit."""

    def __new__(cls, *_: object, **given: object) -> Self:
        """Names an unknown setting, and the one that was meant."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in given.keys() - known:
            near = difflib.get_close_matches(name, known, 1)
            raise WSEConfigError(name, f"no such setting{f'; did you mean {near[0]}?' if near else ''}")
        return object.__new__(cls)

    def __post_init__(self) -> None:
        for name in _SECONDS:
            _check_seconds(name, getattr(self, name))
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        for name in _NAMES:
            _check_name(name, getattr(self, name))
        for name in _OPTIONAL_COUNTS:
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise WSEConfigError(name, f"must be True or False, not {getattr(self, name)!r}")
        if self.history_compress_after is not None:
            _check_seconds("history_compress_after", self.history_compress_after)
        for name in ("drain_window", "presence_grace", "flush_interval"):
            if getattr(self, name) != 0:
                _check_seconds(name, getattr(self, name))
        if self.flush_interval > 1:
            raise WSEConfigError("flush_interval", f"must be at most 1 s, since messages wait for it, not {self.flush_interval!r}")
        _check_redis_url(self.redis_url)
        _check_origins(self.allowed_origins)
        _check_jwt(self)
        if self.auth_handler is not None and not callable(self.auth_handler):
            raise WSEConfigError("auth_handler", f"must be a function of a connection, or None, not {self.auth_handler!r}")
        if self.idle_timeout <= self.heartbeat:
            raise WSEConfigError("idle_timeout", f"must be more than heartbeat ({self.heartbeat} s), or healthy connections are closed")
        if self.redis_backoff_cap < self.redis_backoff_base:
            raise WSEConfigError("redis_backoff_cap", f"must not be below redis_backoff_base ({self.redis_backoff_base} s)")
        object.__setattr__(self, "takeover", _takeover(self.takeover))
        _native.check_options(self.options())

    def options(self) -> dict[str, Any]:
        """Every setting by its name, as the engine takes them."""
        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return options | {"topics": policy.options(self.topics)}


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise WSEConfigError(name, f"must be a number of seconds above 0, not {value!r}")


def _check_count(name: str, value: object) -> None:
    most = _LARGEST_OF.get(name, _LARGEST)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
        upper = f", at most {most}" if isinstance(value, int) and value > most else ""
        raise WSEConfigError(name, f"must be a whole number above 0{upper}, not {value!r}")


def _check_name(name: str, value: object) -> None:
    if value is None and name != "redis_prefix":
        return
    if not isinstance(value, str) or not value or any(c.isspace() or c in "{}=;&" for c in value):
        raise WSEConfigError(name, f"must be a name without spaces, braces and separators, not {value!r}")


def _check_redis_url(url: object) -> None:
    if url is None:
        return
    if isinstance(url, str) and url.startswith("rediss://"):
        raise WSEConfigError("redis_url", "TLS to Redis is not supported yet; use redis:// on a private network, or a TLS tunnel")
    if not isinstance(url, str) or not url.startswith("redis://"):
        raise WSEConfigError("redis_url", f"must look like redis://localhost:6379, or be left out for the in-process bus, not {url!r}")


def _check_origins(origins: object) -> None:
    if origins is None:
        return
    if isinstance(origins, str | bytes) or not isinstance(origins, Sequence):
        raise WSEConfigError("allowed_origins", f"must be a list of origins, as [{str(origins)!r}]")
    for origin in origins:
        if origin != "*" and (not isinstance(origin, str) or "://" not in origin or origin.count("/") != 2):
            raise WSEConfigError("allowed_origins", f"{origin!r} is no origin; write scheme, host and port only, as 'https://app.example.com'")


def _check_jwt(config: WSEConfig) -> None:
    """Their types; whether keys and algorithms fit one another is the engine's to say."""
    texts = ("jwt_issuer", "jwt_audience", "jwt_user_claim")
    for name in texts:
        value = getattr(config, name)
        if not isinstance(value, str) and (value is not None or name == "jwt_user_claim"):
            raise WSEConfigError(name, f"must be a text, not {value!r}")
    if isinstance(config.jwt_algorithms, str | bytes) or not isinstance(config.jwt_algorithms, Sequence):
        raise WSEConfigError("jwt_algorithms", f"must be a list of names, as [{str(config.jwt_algorithms)!r}]")
    if config.jwt_leeway != 0:
        _check_seconds("jwt_leeway", config.jwt_leeway)
    if config.jwt_key is None and (config.jwt_issuer is not None or config.jwt_audience is not None):
        raise WSEConfigError("jwt_key", "is missing, so that jwt_issuer and jwt_audience would check nothing and anyone could connect")


def _takeover(value: str) -> Takeover:
    try:
        return Takeover(value)
    except ValueError:
        raise WSEConfigError("takeover", f"must be 'auto', 'always' or 'never', not {value!r}") from None
