"""Who is in a topic."""

import asyncio
from dataclasses import dataclass
from typing import Any

from ._host import Host


@dataclass(frozen=True, slots=True)
class Member:
    """One user in a topic, over however many connections, or one anonymous client."""

    id: str
    """The same at every time and in every topic."""
    user: str | None
    """The user's id; None: anonymous."""
    data: Any
    """What the client gave when it entered or changed it last; another's input, to be checked as any."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is in a topic."""

    count: int
    """How many they are."""
    members: list[Member]
    """Everybody, in no order."""


class Attendance:
    """`presence` and `presence_count` over a host."""

    _host: Host

    async def presence(self, topic: str) -> Presence:
        """Who is in the topic now, on all workers; clients enter it with `usePresence`.

        Raises `WSETopicError` unless the topic's policy says `TopicPolicy(presence=True)`, and `WSEUnavailable` when the bus does not
        answer. For the number alone `presence_count` costs less.
        """
        engine = await self._host.ready()
        count, members = await asyncio.to_thread(engine.presence, topic)
        return Presence(count, [Member(*member) for member in members])

    async def presence_count(self, topic: str) -> int:
        """How many are in the topic now, on all workers."""
        engine = await self._host.ready()
        return await asyncio.to_thread(engine.presence_count, topic)
