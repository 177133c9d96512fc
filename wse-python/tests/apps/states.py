"""States of topics, of each kind that an application may have."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from wse_server import Connection, WSERouter


class Account(BaseModel):
    """A state that is encoded as payloads are."""

    owner: Any
    topic: str


class Repository:
    """Asked for several topics at once; counts how often."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, int]] = []

    async def get_snapshot(self, user_id: str | None, topics: Sequence[str]) -> Mapping[str, Any]:
        self.asked.append((user_id, len(topics)))
        return {topic: {"user": user_id, "asked": self.asked} for topic in topics if topic != "stock:unknown"}


def register(wse: WSERouter) -> None:
    """All of them."""

    @wse.snapshot("account:*")
    async def account(connection: Connection, topic: str) -> Account:
        await asyncio.sleep(0.05)
        return Account(owner=connection.user, topic=topic)

    @wse.snapshot("thread:*")
    def in_thread(connection: Connection, topic: str) -> str:
        time.sleep(0.01)
        return topic

    @wse.snapshot("wrong:*")
    async def wrong(connection: Connection, topic: str) -> Any:
        return {"big": 2**60} if topic == "wrong:payload" else await asyncio.sleep(60)

    wse.snapshot_provider("stock:*", Repository())
