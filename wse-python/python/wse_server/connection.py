"""What handlers see: the connection, the message, and the answer of an `auth_handler`."""

import marshal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .codes import CloseCode

if TYPE_CHECKING:
    from ._native import Engine


class Headers(Mapping[str, str]):
    """The request's headers; names are case-insensitive, of repeated ones the first is given."""

    __slots__ = ("_decoded", "_packed")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._packed = marshal.dumps([(bytes(name), bytes(value)) for name, value in raw])  # one object, where the pairs are three for each header
        self._decoded: dict[str, str] | None = None

    @property
    def _values(self) -> dict[str, str]:
        """Decoded when somebody looks: most connections' headers are never read."""
        if self._decoded is None:
            self._decoded = {}
            for name, value in marshal.loads(self._packed):
                self._decoded.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
            self._packed = b""
        return self._decoded

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


@dataclass(frozen=True, slots=True)
class AuthResult:
    """What an `auth_handler` may return to say more than the user."""

    user: Any
    """Becomes `connection.user`."""
    id: str | None = None
    """The user's id on the wire; None: taken from `user` (itself, or its `id`)."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Becomes `connection.claims`; empty: those of the token stay, where `jwt_key` checked one."""


class Connection:
    """One client's connection."""

    __slots__ = ("_engine", "_number", "claims", "client", "headers", "session", "token", "user")

    def __init__(self, engine: "Engine", number: int, headers: Headers, client: tuple[str, int] | None) -> None:
        self._engine = engine
        self._number = number
        self.headers = headers
        self.client = client
        """The peer's address, as the server reports it: (host, port)."""
        self.token: str | None = None
        """The credential that the client sent, for `auth_handler`; None where only `jwt_key` checks it."""
        self.user: Any = None
        """What `auth_handler` returned; without one, the user's id of a token that `jwt_key` checked; None: anonymous."""
        self.claims: Mapping[str, Any] = {}
        """The claims of the checked token, or of an `AuthResult`."""
        self.session: str | None = None
        """What `send_to_session` reaches the client by, on this connection and those that resume it; None where it asked for no session."""

    @property
    def id(self) -> str:
        """The id that the client was told in `server_ready`; unique among the workers."""
        return self._engine.name_of(self._number)

    @property
    def topics(self) -> list[str]:
        """What the client is subscribed to now."""
        return self._engine.topics(self._number)

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Closes the connection once what was sent has gone out. A code from 4400 to 4499 tells the client to stay away."""
        self._engine.close(self._number, code, reason)

    def __repr__(self) -> str:
        return f"<Connection {self.id} user={self.user!r}>"


@dataclass(frozen=True, slots=True)
class Message:
    """What a handler may know of a message besides its payload."""

    type: str
    id: str | None
    """The id that the client gave the message, if any."""
    connection: Connection
