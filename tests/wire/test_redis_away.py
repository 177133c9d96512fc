"""Clients that return while Redis is out of reach, to what others on the same server follow: nothing is missing, and nothing is told as lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, Client, Server, free_port, redis, start
from test_direct import at, connected, notes, send, someone


class Way:
    """What lies between a server and its Redis."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self.ends: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self.server = await asyncio.start_server(self.carry, "127.0.0.1", self.port)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self.ends |= {writer, back}
        await asyncio.gather(self.pass_on(reader, back), self.pass_on(there, writer))

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
        except ConnectionError:
            pass
        writer.close()

    def close(self) -> None:
        self.server.close()
        for end in self.ends:
            end.transport.abort()
        self.ends.clear()


@asynccontextmanager
async def behind_a_way(kind: str, folder: Path) -> AsyncIterator[tuple[Server, Way]]:
    way = Way(free_port())
    processes = [await asyncio.to_thread(redis, way.target, folder)]
    try:
        await way.open()
        server, process = await asyncio.to_thread(start, kind, REDIS_URL=f"redis://127.0.0.1:{way.port}", USERS="1")
        processes.append(process)
        yield server, way
    finally:
        for process in reversed(processes):
            process.terminate()
            await asyncio.to_thread(process.wait, PATIENCE)
        way.close()


async def answers(client: Client, *names: str) -> dict[str, dict[str, Any]]:
    """What is told of these names."""
    told: dict[str, dict[str, Any]] = {}
    while not told.keys() >= {*names}:
        told |= {entry["tp"]: entry for entry in (await client.until("subscription_update"))["p"]["topics"]}
    return told


@pytest.mark.parametrize("kind", ["native", "asgi"])
async def test_who_returns_to_a_user_and_a_session_that_another_connection_has_misses_nothing(kind: str, tmp_path: Path) -> None:
    """[P-24] [P-65] [P-66] G2"""
    ada = someone()
    async with behind_a_way(kind, tmp_path) as (server, way), connected(server, ada) as (one, ready, entries):
        session = await one.order("session", None)
        names = [f"@user:{ada}", f"@session:{session}"]
        for whom in ({"user": ada}, {"session": session}):
            await send(one, count=3, **whom)
        got = await notes(one, 6)
        positions = {name: at(next(m for m in got if m["tp"] == name)) for name in names}
        assert entries.keys() == positions.keys()
        way.close()
        async with server.client(subprotocols=["wse.v2"]) as two:
            await two.protocol("client_hello", {"token": ada, "session": ready["session"], "positions": positions, "away_ms": 1})
            told = await answers(two, *names)
            assert told == {name: {"tp": name, "status": "recovered", "recovered": 2, **positions[name]} for name in names}
            await way.open()
            rest = [await two.receive() for _ in range(4)]
            assert sorted((m["tp"], m["seq"]) for m in rest) == sorted((name, seq) for name in names for seq in (2, 3))
            await send(one, user=ada)
            assert [m["seq"] for m in await notes(two, 1)] == [4]
