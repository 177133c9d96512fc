"""A message that Redis announced and that never arrived: what comes while it is read is kept within bounds, and clients have all of it in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from conftest import PATIENCE, Server, start
from test_redis_away import Way

OTHER = "holes-of-others"


class Switch(Way):
    """A way to Redis that knows what passes: it can lose what is announced of a topic, hold back the answer of who reads its log, or break there."""

    def __init__(self, target: int, topic: str) -> None:
        super().__init__(target)
        self.topic = topic.encode()
        self.losing = 0
        """Announcements of the topic that are still to be lost."""
        self.reads = 0
        """How often its log was read."""
        self.holding = False
        self.held, self.let_go = asyncio.Event(), asyncio.Event()
        self.breaking = False
        """At the next read of its log all connections end, and new ones are refused until it is opened again."""
        self.broken = asyncio.Event()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self.ends |= {writer, back}
        reads = asyncio.Event()
        await asyncio.gather(self.ask(reader, back, reads), self.answer(there, writer, reads))

    async def ask(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, reads: asyncio.Event) -> None:
        while asked := await value(reader):
            if b"EVALSHA" in asked and self.topic in asked:
                self.reads += 1
                reads.set()
                if self.breaking:
                    self.breaking = False
                    self.close()
                    self.broken.set()
                    return
            back.write(asked)
        back.close()

    async def answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, reads: asyncio.Event) -> None:
        while answered := await value(there):
            if b"\r\nmessage\r\n" in answered and self.topic in answered and self.losing:
                self.losing -= 1
                continue
            if reads.is_set() and self.holding:
                self.held.set()
                await self.let_go.wait()
            reads.clear()
            writer.write(answered)
        writer.close()


async def value(reader: asyncio.StreamReader) -> bytes:
    """The next value of Redis' protocol as it stands; nothing at the end."""
    try:
        line = await reader.readuntil(b"\r\n")
        kind, count = line[:1], line[1:-2]
        if kind == b"$" and count != b"-1":
            return line + await reader.readexactly(int(count) + 2)
        parts = int(count) if kind == b"*" else 0
        return line + b"".join([await value(reader) for _ in range(parts)])
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def behind(switch: Switch, kind: str, **settings: str) -> AsyncIterator[Server]:
    await switch.open()
    server, process = await asyncio.to_thread(start, kind, REDIS_URL=f"redis://127.0.0.1:{switch.port}", **settings)
    try:
        yield server
    finally:
        switch.let_go.set()
        process.terminate()
        await asyncio.to_thread(process.wait, PATIENCE)
        switch.close()


@pytest.mark.parametrize("kind", ["native", "asgi", "rust"])
@pytest.mark.parametrize(
    ("bounds", "kept", "dropped", "reads"),
    [
        pytest.param({}, 5, 0, 1, id="as-it-is"),
        pytest.param({"REORDER": "3 1000000"}, 2, 3, 2, id="three-messages"),
        pytest.param({"REORDER": "1 1000000"}, 0, 5, 2, id="one-message"),
        pytest.param({"REORDER": "4096 1"}, 0, 6, 2, id="one-byte"),
    ],
)
async def test_what_comes_while_a_lost_message_is_read_follows_it_without_being_read_again_as_far_as_it_is_kept(
    well: tuple[Server, int], kind: str, bounds: dict[str, str], kept: int, dropped: int, reads: int, request: pytest.FixtureRequest
) -> None:
    """G1 G2: 4 is not announced, 5 shows that something is missing, 6 to 10 come while the log is read for it.

    What is kept begins with 5, for which the read is too."""
    publisher, port = well
    topic = f"holes-{request.node.callspec.id}"
    switch = Switch(port, topic)
    async with behind(switch, kind, **bounds) as server, server.agreed() as client, publisher.agreed() as source:
        await client.subscribe(topic, OTHER)
        await source.publish(topic, count=3)
        assert [(m["tp"], m["seq"]) for m in [await client.receive() for _ in range(3)]] == [(topic, seq) for seq in (1, 2, 3)]
        before, switch.reads, switch.losing, switch.holding = await asyncio.to_thread(server.health), 0, 1, True
        await source.publish(topic, count=2)
        async with asyncio.timeout(PATIENCE):
            await switch.held.wait()
        await source.publish(topic, count=5)
        # Announced on the same connection behind those: when it is here, they were dealt with.
        await source.publish(OTHER)
        assert (await client.receive())["tp"] == OTHER, "nothing of the topic comes before what is missing"
        switch.let_go.set()
        rest = [await client.receive() for _ in range(7)]
        assert [(m["tp"], m["seq"]) for m in rest] == [(topic, seq) for seq in range(4, 11)]
        assert switch.reads == reads
        health = await asyncio.to_thread(server.health)
        counted = [health[name] - before[name] for name in ("reordered", "reorder_dropped", "resyncs")]
        assert counted == [kept, dropped, 0]
