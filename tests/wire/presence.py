"""Clients that enter topics, and watchers that keep who is in them, as [P-60] to [P-64] say."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conftest import PATIENCE, Client, Server


def room() -> str:
    return f"room:{uuid.uuid4().hex[:12]}"


def key() -> str:
    return uuid.uuid4().hex


async def presence(client: Client, action: str, topic: str, **keys: Any) -> dict[str, Any]:
    """The answer to it. What comes before is kept for `receive`."""
    await client.protocol("presence", {"action": action, "topic": topic, **keys}, cid="presence")
    kept = []
    while (message := await client.receive()).get("cid") != "presence":
        kept.append(message)
    client._waiting.extendleft(reversed(kept))
    return message


async def enter(client: Client, topic: str, data: Any = None, **keys: Any) -> str:
    """The member's id."""
    answer = await presence(client, "enter", topic, data=data, **keys)
    assert answer["t"] == "reply", answer
    return answer["p"]["id"]


class Watcher:
    """Who is in a topic, by its log."""

    def __init__(self, client: Client, topic: str, prefix: str = "@presence:") -> None:
        self.client, self.topic, self.log = client, topic, prefix + topic
        self.members: dict[str, Any] = {}
        self.count = -1
        self.messages: list[dict[str, Any]] = []
        """What the log told after the state."""
        self.states = 0
        self.position: dict[str, Any] = {}
        self.entry: dict[str, Any] = {}

    async def begin(self, position: "dict[str, Any] | None" = None) -> "Watcher":
        """Subscribes; without a position the state comes first."""
        [self.entry] = await self.client.subscribe(self.log, **({"positions": {self.log: position}} if position else {}))
        assert self.entry["status"] in {"live", "recovered", "resync"}, self.entry
        self.position = {"e": self.entry["e"], "seq": self.entry["seq"]}
        if position is None:
            assert self.entry["snapshot"] is True
        if self.entry.get("snapshot"):
            await self.next()
        return self

    async def next(self) -> None:
        """Takes in the next message of the log."""
        while (message := await self.client.receive()).get("tp") != self.log:
            assert message["t"] != "error", message
        self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        payload, self.position = message["p"], {"e": message["e"], "seq": message["seq"]}
        self.count = payload["count"]
        if message.get("c") == "S":
            self.states += 1
            assert (payload["e"], message["t"]) == (message["e"], "snapshot") and payload["seq"] >= message["seq"]
            self.members = {member["id"]: member for member in payload.get("members", [])}
            self.exact = payload["seq"]
            return
        self.messages.append(message)
        if self.log.startswith("@count:"):
            assert message["t"] == "presence_count" and payload.keys() == {"count"}
        else:
            assert message["t"] == "presence" and len(payload["set"]) + len(payload["gone"]) <= 500
            self.members |= {member["id"]: member for member in payload["set"]}
            for gone in payload["gone"]:
                self.members.pop(gone, None)

    async def until(self, *ids: str) -> None:
        """Until exactly these are in it."""
        async with asyncio.timeout(PATIENCE):
            while self.members.keys() != {*ids}:
                await self.next()

    async def counts(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.count != count:
                await self.next()

    async def sees_nothing(self, seconds: float) -> None:
        """Nothing of the log comes for so long."""
        known = len(self.messages)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.next()
        except TimeoutError:
            assert len(self.messages) == known, self.messages[known:]

    def told(self, what: str) -> list[str]:
        """Whom the messages set, or told to be gone, in order."""
        return [entry["id"] if what == "set" else entry for message in self.messages for entry in message["p"][what]]


@asynccontextmanager
async def watching(server: Server, topic: str, prefix: str = "@presence:", hello: "dict[str, Any] | None" = None) -> AsyncIterator[Watcher]:
    async with server.agreed(hello) as client:
        yield await Watcher(client, topic, prefix).begin()
