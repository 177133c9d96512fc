"""Messages whose handlers failed: to be looked at, handled again, or removed."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ._handlers import InvalidPayload
from ._host import Host
from .connection import Connection, Headers
from .errors import WSEDeadLetterError


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message whose handler raised."""

    id: str
    """For `replay` and `remove`."""
    at: datetime
    """When the handler raised, in UTC."""
    attempts: int
    """How often it was replayed."""
    user: str | None
    """The id of the user that sent it; None: anonymous."""
    type: str
    """The message's type."""
    message_id: str | None
    """The id that the client gave the message, if any."""
    error: str
    """What the client was told."""
    payload: Any
    """What the client sent."""


class DeadLetters:
    """The list of a router's messages whose handlers raised; bounded by `dead_letters`, `dead_letter_bytes` and `dead_letter_age`.

    With Redis every worker sees the same list. Only messages that their client numbers, to know of their effect, get into it. Their
    clients have been told `HANDLER_FAILED`.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    async def list(self, limit: int = 100) -> "list[DeadLetter]":
        """The oldest, at most `limit`. Raises `WSEUnavailable` when the bus does not answer."""
        engine = await self._host.ready()
        return [_letter(raw) for raw in await asyncio.to_thread(engine.dead_letters, limit)]

    async def replay(self, id: str) -> Any:
        """Calls the handler again and returns what it returns; then the letter is gone. Nothing is sent to the client.

        The message's connection has the id of the user that sent it as `user`, no headers, and is nobody's. If the handler raises, the
        letter stays and the exception comes out of here. `WSEDeadLetterError` where there is no such letter, somebody else replays it,
        its type has no handler, or its payload does not fit the handler's type.
        """
        engine = await self._host.ready()
        letter = _letter(await asyncio.to_thread(engine.claim_dead_letter, id))
        try:
            reply = await self._handle(Connection(engine, 0, Headers([]), None), letter)
        except BaseException:
            await asyncio.to_thread(engine.release_dead_letter, id)
            raise
        await asyncio.to_thread(engine.remove_dead_letter, id)
        return reply

    async def remove(self, id: str) -> bool:
        """Forgets a letter; whether it was there."""
        engine = await self._host.ready()
        return await asyncio.to_thread(engine.remove_dead_letter, id)

    async def _handle(self, connection: Connection, letter: DeadLetter) -> Any:
        handler = self._host.handlers.types.get(letter.type)
        if handler is None:
            raise WSEDeadLetterError(letter.id, f"there is no handler for {letter.type!r}")
        connection.user = letter.user
        try:
            return await handler.call(letter.payload, letter.type, letter.message_id, connection)
        except InvalidPayload as error:
            raise WSEDeadLetterError(letter.id, str(error)) from None


def _letter(raw: "tuple[str, int, int, str | None, str, str | None, str, Any]") -> DeadLetter:
    letter, at, *rest = raw
    return DeadLetter(letter, datetime.fromtimestamp(at / 1000, UTC), *rest)
