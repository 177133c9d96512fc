"""Messages to one user or one session, wherever their connections are."""

from . import _payload
from ._host import Host
from ._native import Receipt
from .errors import WSEUsageError
from .priority import Priority


class Sending:
    """`send_to_user`, `send_to_session` and their `_sync` forms over a host."""

    _host: Host

    async def send_to_user(
        self,
        user: str | int,
        type: str,
        payload: object,
        *,
        priority: int = Priority.NORMAL,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Sends an event to every connection of a user, on whatever worker; the receipt means that the bus has stored it.

        `user` is the id that `server_ready` tells the client: what `auth_handler` returned, or its `id`, or the token's `sub`. Who is away
        gets it on return, for `direct_age` seconds, and costs nothing else. Other arguments and errors are those of `publish`;
        `WSEUsageError` for an id of more than about 190 bytes. Nobody who is anonymous can be reached so.
        """
        return await self._host.publish(_user(user), payload, type, priority, None, ttl, idempotency_key)

    async def send_to_session(
        self,
        session: str,
        type: str,
        payload: object,
        *,
        priority: int = Priority.NORMAL,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Sends an event to one client, by its `connection.session`: on that connection, or the one that resumes it within `session_grace`."""
        return await self._host.publish(_session(session), payload, type, priority, None, ttl, idempotency_key)

    def send_to_user_sync(
        self,
        user: str | int,
        type: str,
        payload: object,
        *,
        priority: int = Priority.NORMAL,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """`send_to_user` for `def` endpoints, threads and scripts; blocks until the bus has stored the message."""
        return self._host.publish_sync(_user(user), payload, type, priority, None, ttl, idempotency_key)

    def send_to_session_sync(
        self,
        session: str,
        type: str,
        payload: object,
        *,
        priority: int = Priority.NORMAL,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """`send_to_session` for `def` endpoints, threads and scripts; blocks until the bus has stored the message."""
        return self._host.publish_sync(_session(session), payload, type, priority, None, ttl, idempotency_key)


def _user(user: object) -> _payload.To:
    if isinstance(user, bool) or not isinstance(user, str | int):
        raise WSEUsageError(f"a user is named by the id that clients connect as, a text or an integer, not {user!r}")
    return "user", str(user)


def _session(session: object) -> _payload.To:
    if not isinstance(session, str):
        raise WSEUsageError(f"a session is named by connection.session, not {session!r}: a client that asks for none has none")
    return "session", session
