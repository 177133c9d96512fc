"""What one message may name, over real sockets, on every server ([P-23]): too many names cost neither the server's memory nor the others' time."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, SERVERS, Client, Server, start

Started = tuple[Server, "subprocess.Popen[bytes]"]
LIMITS = json.loads((Path(__file__).parents[2] / "vectors/names.json").read_text())["limits"]
MOST = LIMITS["subscriptions"] + LIMITS["names_beyond"]
"""Names of one message: more than a connection may hold by `names_beyond`."""
LIMIT = "TOO_MANY_SUBSCRIPTIONS"
MEMORY = 96 * 2**20
"""Messages of less than 1 MiB, of which none takes more than 80 bytes for each of its own (docs/SECURITY.md), and their answers; it was 17 MiB."""
NEIGHBOURS = 4
"""The servers have two shards at most, so that one of these is beside whoever asks for much."""


@pytest.fixture(scope="module", params=SERVERS)
def started(request: pytest.FixtureRequest) -> Iterator[Started]:
    """A server that no other test has made large, and its process."""
    server, process = start(request.param)
    try:
        yield server, process
    finally:
        process.kill()  # one without the bound would not end by itself for a long while
        process.wait(PATIENCE)


@asynccontextmanager
async def unharmed(started: Started) -> AsyncIterator[Server]:
    """Whoever else is connected is answered all the while, and the server's memory stays within what is stated."""
    server, process = started
    async with server.agreed() as a, server.agreed() as b, server.agreed() as c, server.agreed() as d:
        neighbours = [a, b, c, d]
        assert len(neighbours) == NEIGHBOURS
        before, done = resident(process), asyncio.Event()
        async with asyncio.TaskGroup() as serving:
            for neighbour in neighbours:
                serving.create_task(served(neighbour, done))
            yield server
            done.set()
        grown = resident(process, "VmHWM") - before
        assert grown < MEMORY, f"{grown / 2**20:.0f} MiB more at the most"


async def served(client: Client, done: asyncio.Event) -> None:
    """Asks until all is done; no answer may take as long as a test has patience."""
    while not done.is_set():
        assert (await client.ask("echo", 1))["p"] == 1
        await asyncio.sleep(0.02)


def resident(process: "subprocess.Popen[bytes]", line: str = "VmRSS") -> int:
    """Bytes of memory that the server has now, or had at the most."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(rest for name, _, rest in (row.partition(":") for row in status.splitlines()) if name == line).split()[0]) * 1024


def names(count: int) -> list[str]:
    return [f"t{n}" for n in range(count)]


async def entries(client: Client, cid: str | None) -> list[dict[str, Any]]:
    update = await client.until("subscription_update")
    assert update.get("cid") == cid
    return update["p"]["topics"]


async def test_of_a_hello_of_a_hundred_thousand_names_the_first_ones_are_served(started: Started) -> None:
    async with unharmed(started) as server, server.agreed({"topics": names(100_000)}) as client:
        error = await client.until("error")
        assert (error["p"]["code"], "cid" in error) == (LIMIT, False)
        assert f"{MOST} topics" in error["p"]["message"] and "100000" in error["p"]["message"]
        got = await entries(client, None)
        assert [entry["tp"] for entry in got] == names(MOST)
        assert [entry["status"] for entry in got] == ["live"] * 128 + ["refused"] * 1024
        assert {entry["code"] for entry in got[128:]} == {LIMIT}
        await client.publish("t127")
        assert (await client.topic("t127", 1))[0]["p"] == {"n": 0}


@pytest.mark.parametrize("kind", ["hello", "subscription"])
async def test_a_pattern_that_stands_sixty_thousand_times_counts_once(started: Started, kind: str) -> None:
    positions = {f"many:{n}": {"e": "gone", "seq": 1} for n in range(200)}
    asked = {"topics": ["many:*"] * 60_000, "positions": positions}
    async with unharmed(started) as server, server.agreed(asked if kind == "hello" else {}) as client:
        if kind == "hello":
            got = await entries(client, None)
        else:
            await client.protocol("subscription", {"action": "subscribe", **asked}, cid="q")
            got = await entries(client, "q")
        assert [(entry["tp"], entry["status"]) for entry in got] == [("many:*", "live")]
        assert (await client.ask("echo", 1))["p"] == 1, "no error came"


@pytest.mark.parametrize("count", [MOST + 1, 90_000])
@pytest.mark.parametrize("asked", [{"action": "subscribe"}, {"action": "unsubscribe"}, {}], ids=["subscribe", "unsubscribe", "snapshot"])
async def test_a_request_that_names_too_many_is_refused_whole(started: Started, asked: dict[str, str], count: int) -> None:
    kind = "subscription" if asked else "snapshot_request"
    async with unharmed(started) as server, server.agreed() as client:
        await client.protocol(kind, {**asked, "topics": names(count)}, cid="q")
        error = await client.receive()
        assert (error["t"], error["cid"], error["p"]["code"]) == ("error", "q", LIMIT), json.dumps(error)[:300]
        assert await client.subscribe("t0"), "its connection stays"
        assert (await client.ask("echo", 1))["p"] == 1


async def test_a_request_that_names_as_many_as_it_may_is_answered_for_each(started: Started) -> None:
    async with unharmed(started) as server, server.agreed() as client:
        await client.protocol("subscription", {"action": "subscribe", "topics": names(MOST)}, cid="q")
        assert len(await entries(client, "q")) == MOST
        await client.protocol("snapshot_request", {"topics": names(MOST)}, cid="q")
        answers = [await client.receive() for _ in range(MOST)]
        assert {(answer["cid"], answer["p"]["code"]) for answer in answers} == {("q", "NO_SNAPSHOT")}
        assert {answer["p"]["topic"] for answer in answers} == set(names(MOST))


async def test_the_patterns_of_a_connections_filters_cost_no_more_than_stated_together(started: Started) -> None:
    """[P-78]: each of these costs nearly 512, and all that one connection has may cost 4,096."""
    filters = {name: {"a": {"$regex": f"^{name}.{{62}}"}} for name in names(128)}
    async with unharmed(started) as server, server.agreed() as client:
        await client.protocol("subscription", {"action": "subscribe", "topics": names(128), "filters": filters}, cid="q")
        got = await entries(client, "q")
        assert [(entry["tp"], entry.get("code")) for entry in got] == [
            (name, None if n < 8 else "INVALID_FILTER") for n, name in enumerate(names(128))
        ]
        assert (await client.ask("echo", 1))["p"] == 1
