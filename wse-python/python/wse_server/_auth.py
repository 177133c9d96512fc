"""Asks the application's `auth_handler` who a connection is, within its time. Tokens for `jwt_key` are checked in the engine, before."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ._handlers import asynchronous
from .codes import ErrorCode
from .connection import AuthResult, Connection
from .errors import WSEUsageError

if TYPE_CHECKING:
    from ._native import Engine
    from .config import AuthHandler

log = logging.getLogger("wse_server")


class Authenticator:
    """One engine's `auth_handler`, or none: without `jwt_key` everyone is anonymous then, and the log says so once."""

    def __init__(self, handler: "AuthHandler | None", timeout: float, tokens: bool = False) -> None:
        self._call = asynchronous(handler) if handler is not None else None
        self._timeout = timeout
        self._tokens = tokens
        self._warned = False

    @property
    def name(self) -> str:
        """What `health` says: "jwt", "handler", "jwt+handler" or "none"."""
        asked = [name for name, used in (("jwt", self._tokens), ("handler", self._call is not None)) if used]
        return "+".join(asked) or "none"

    def warn_if_open(self) -> None:
        """Says once that nobody is asked for credentials."""
        if self.name == "none" and not self._warned:
            self._warned = True
            log.warning("no jwt_key and no auth_handler is set: every connection is anonymous; pass one of them to WSEConfig")

    async def authenticate(self, engine: "Engine", number: int, connection: Connection, token: str | None) -> None:
        """Welcomes or refuses the connection; never raises."""
        connection.token = token
        if self._call is None:
            return engine.welcome(number, None)
        try:
            async with asyncio.timeout(self._timeout):
                result = await self._call(connection)
            if result is None or result is False:
                return engine.refuse(number, ErrorCode.AUTH_FAILED, "the credential was refused")
            engine.welcome(number, _identify(connection, result))
        except TimeoutError:
            log.error("auth_handler did not answer within auth_timeout (%s s)", self._timeout)
            engine.refuse(number, ErrorCode.AUTH_UNAVAILABLE, "authentication did not answer in time; try again")
        except Exception:
            log.exception("auth_handler raised")
            engine.refuse(number, ErrorCode.AUTH_UNAVAILABLE, "authentication failed to answer; try again")


def _identify(connection: Connection, result: Any) -> str:
    """Puts the user on the connection and returns the id for the wire."""
    given = result if isinstance(result, AuthResult) else AuthResult(result)
    user_id = given.id if given.id is not None else _user_id(given.user)
    connection.user = given.user
    connection.claims = given.claims or connection.claims  # those of a token stay unless the handler has its own
    return user_id


def _user_id(user: Any) -> str:
    """A user's own id: the value itself, or its `id`, or its "id" or "sub" key."""
    if isinstance(user, Mapping):
        user = user.get("id", user.get("sub"))
    elif not isinstance(user, str | int | UUID):
        user = getattr(user, "id", None)
    if isinstance(user, bool) or not isinstance(user, str | int | UUID) or user == "":
        raise WSEUsageError("auth_handler must return a user with an id (a str, an int, an object or dict with `id`), or AuthResult(user, id=...)")
    return str(user)
