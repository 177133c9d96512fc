"""`flush_interval` over real sockets: what is published one by one is written together."""

import asyncio
import time

import pytest

from .support import servers
from .support.client import Client

INTERVAL = 0.5
COUNT = 30


@pytest.mark.parametrize("takeover", ["auto", "never"], ids=["native", "asgi"])
async def test_what_is_published_one_by_one_comes_in_a_batch_for_each_flush_interval(takeover: str) -> None:
    with servers.running(servers.uvicorn(takeover=takeover, flush_interval=INTERVAL)) as server:
        async with Client(server.ws(), topics=["ticks"], hello={"batch": True}) as client:
            begun = time.monotonic()
            for n in range(COUNT):
                await asyncio.to_thread(server.post, "/publish", topic="ticks", payload=n)
            took = time.monotonic() - begun
            frames: list[list[int]] = []
            while sum(map(len, frames)) < COUNT:
                frame = await client.receive()
                messages = frame["p"] if frame["t"] == "batch" else [frame]
                if frame["t"] != "beacon":
                    frames.append([message["p"] for message in messages])
    assert [n for frame in frames for n in frame] == list(range(COUNT))
    assert len(frames) <= took / INTERVAL + 2, f"{len(frames)} frames in {took:.2f} s"
