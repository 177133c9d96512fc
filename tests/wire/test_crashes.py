"""What a killed server, a cut connection and a lost Redis do to messages whose effect the client wants to know (G3). Effects are counted in a
file that outlives the server."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import HERE, PATIENCE, Client, Server, free_port, wait_for
from test_effects import ask, tracked


class Fixture:
    """A Redis and a server that can be killed and started again in its place."""

    def __init__(self, folder: Path, takeover: str) -> None:
        self.folder, self.effects_file = folder, folder / "effects"
        self.port, self.redis_port = free_port(), free_port()
        self.environment = {**os.environ, "TAKEOVER": takeover, "EFFECTS": str(self.effects_file), "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}"}
        self.server = Server(takeover, self.port)
        self.start_redis()
        self.start()

    def start_redis(self) -> None:
        command = ["redis-server", "--port", str(self.redis_port), "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self.redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.redis_port, self.redis)

    def start(self, **environment: str) -> None:
        command = [sys.executable, "-m", "uvicorn", "effects_app:app", "--log-level", "warning", "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=HERE, env={**self.environment, **environment})
        wait_for(self.port, self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def kill_and_start(self) -> None:
        self.kill()
        self.start(restarted="yes")

    def lose_redis(self) -> None:
        self.redis.kill()
        self.redis.wait(PATIENCE)
        self.start_redis()

    def effects(self) -> list[str]:
        return self.effects_file.read_text().splitlines() if self.effects_file.exists() else []

    async def effect(self, line: str) -> None:
        end = time.monotonic() + PATIENCE
        while line not in self.effects():
            assert time.monotonic() < end, f"{line!r} is not in {self.effects()}"
            await asyncio.sleep(0.02)

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """On a connection of its own."""
        async with self.server.client() as client:
            return await ask(client, message)

    async def epoch(self) -> str:
        async with self.server.client() as client:
            return (await client.until("server_ready"))["p"]["producers"]

    def http(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def stop(self) -> None:
        for process in (self.process, self.redis):
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(params=["always", "never"], ids=["native", "asgi"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fixture]:
    world = Fixture(tmp_path, request.param)
    try:
        yield world
    finally:
        world.stop()


@pytest.fixture
def producer() -> str:
    return uuid.uuid4().hex


async def test_what_was_done_before_the_server_died_is_answered_with_its_reply(world: Fixture, producer: str) -> None:
    """[P-53] G3"""
    epoch = await world.epoch()
    first = await world.ask(tracked(producer, 1, "order", {"n": 1}))
    world.kill_and_start()
    again = await world.ask(tracked(producer, 1, "order", {"n": 1}, pe=epoch))
    assert again == first
    assert world.effects() == ["order 1"]


async def test_what_a_handler_was_doing_when_the_server_died_is_unknown_and_not_done_again(world: Fixture, producer: str) -> None:
    """[P-53] G3"""
    epoch = await world.epoch()
    async with world.server.client() as client:
        await client.send(tracked(producer, 1, "order", {"n": 1, "nap": 60}))
        await client.send(tracked(producer, 2, "order", {"n": 2}))
        await world.effect("order 1")
        world.kill_and_start()
    async with world.server.client() as client:
        unknown = await ask(client, tracked(producer, 1, "order", {"n": 1}, pe=epoch))
        second = await ask(client, tracked(producer, 2, "order", {"n": 2}, pe=epoch))
    assert (unknown["t"], unknown["p"]["code"]) == ("error", "OUTCOME_UNKNOWN")
    assert second["p"]["done"] == 2, "what no handler had begun is done, once"
    assert world.effects() == ["order 1", "order 2"]


async def test_an_idempotent_handler_runs_again_where_the_server_died(world: Fixture, producer: str) -> None:
    """[P-53] G3"""
    epoch = await world.epoch()
    async with world.server.client() as client:
        await client.send(tracked(producer, 1, "set", {"n": 1, "nap": 60}))
        await world.effect("set 1")
        world.kill_and_start()
    reply = await world.ask(tracked(producer, 1, "set", {"n": 1}, pe=epoch))
    assert (reply["t"], reply["p"]["done"]) == ("reply", 1)
    assert await world.ask(tracked(producer, 1, "set", {"n": 1}, pe=epoch)) == reply
    assert world.effects() == ["set 1", "set 1"]


async def test_a_repetition_that_comes_while_the_first_still_runs_waits_for_its_outcome(world: Fixture, producer: str) -> None:
    """[P-53] G3: the connection was cut, the server lives."""
    epoch = await world.epoch()
    async with world.server.client() as client:
        await client.send(tracked(producer, 1, "order", {"n": 1, "nap": 3}))
        await world.effect("order 1")
        client.socket.transport.abort()
    began = time.monotonic()
    reply = await world.ask(tracked(producer, 1, "order", {"n": 1}, pe=epoch))
    assert reply["p"]["done"] == 1
    assert time.monotonic() - began > 1, "longer than a lease would be too long, at once too short"
    assert world.effects() == ["order 1"]


async def test_a_redis_that_lost_everything_makes_repetitions_unknown_and_takes_what_is_new(world: Fixture, producer: str) -> None:
    """[P-52] [P-53] G3"""
    epoch = await world.epoch()
    await world.ask(tracked(producer, 1, "order", {"n": 1}))
    world.lose_redis()
    unknown = await world.ask(tracked(producer, 1, "order", {"n": 1}, pe=epoch))
    assert unknown["p"]["code"] == "OUTCOME_UNKNOWN"
    assert (await world.ask(tracked(producer, 2, "order", {"n": 2})))["p"]["done"] == 2
    assert await world.epoch() != epoch
    assert world.effects() == ["order 1", "order 2"]


async def test_redis_away_holds_messages_back_and_loses_none(world: Fixture, producer: str) -> None:
    """[P-53] G3: neither handled without being begun, nor refused."""
    async with world.server.client() as client:
        await client.until("server_ready")
        world.redis.kill()
        world.redis.wait(PATIENCE)
        for n in range(1, 6):
            await client.send(tracked(producer, n, "order", {"n": n}))
        await asyncio.sleep(1)
        assert world.effects() == []
        world.start_redis()
        replies = [(await client.until("reply"))["p"]["done"] for _ in range(5)]
    assert replies == [1, 2, 3, 4, 5]
    assert world.effects() == [f"order {n}" for n in range(1, 6)]


async def test_of_a_hundred_messages_a_kill_makes_at_most_one_unknown(world: Fixture, producer: str) -> None:
    """[P-53] [P-55] G3: the client repeats what it has no outcome of, in order."""
    epoch, outcomes = await world.epoch(), dict[int, str]()

    async def collect(client: Client, until: int) -> None:
        while len(outcomes) < until:
            answer = await client.receive()
            if "cid" in answer:
                outcomes[int(answer["cid"].split(":")[1])] = answer["t"] if answer["t"] == "reply" else answer["p"]["code"]

    async with world.server.client() as client:
        for n in range(1, 101):
            await client.send(tracked(producer, n, "order", {"n": n}))
        await collect(client, 30)
        world.kill()
    world.start()
    async with world.server.client() as client:
        for n in range(1, 101):
            if n not in outcomes:
                await client.send(tracked(producer, n, "order", {"n": n}, pe=epoch))
        await collect(client, 100)
    lines = world.effects()
    assert len(lines) == len(set(lines)), "no effect twice"
    unknown = [n for n, outcome in outcomes.items() if outcome == "OUTCOME_UNKNOWN"]
    assert len(unknown) <= 1
    assert {f"order {n}" for n, outcome in outcomes.items() if outcome == "reply"} <= set(lines)
    assert lines == sorted(lines, key=lambda line: int(line.split()[1])), "in the order sent"


async def test_dead_letters_outlive_the_server_and_can_be_replayed_and_removed(world: Fixture, producer: str) -> None:
    """[P-53]"""
    flag = world.folder / "flag"
    for n in (1, 2):
        answer = await world.ask(tracked(producer, n, "flaky", {"n": n, "file": str(flag)}))
        assert answer["p"]["code"] == "HANDLER_FAILED"
    await world.ask({"t": "flaky", "cid": "plain", "p": {"n": 3, "file": str(flag)}})
    world.kill_and_start()
    letters = world.http("GET", "/letters")
    assert [(one["type"], one["payload"]["n"], one["user"], one["attempts"]) for one in letters] == [("flaky", 1, None, 0), ("flaky", 2, None, 0)]
    first, second = (one["id"] for one in letters)
    assert world.http("POST", f"/letters/{first}") == {"error": "ValueError: not yet"}
    assert [one["attempts"] for one in world.http("GET", "/letters")] == [1, 0]
    flag.touch()
    assert world.http("POST", f"/letters/{first}") == {"reply": 1}
    assert "WSEDeadLetterError" in world.http("POST", f"/letters/{first}")["error"]
    assert world.http("DELETE", f"/letters/{second}") is True
    assert world.http("DELETE", f"/letters/{second}") is False
    assert world.http("GET", "/letters") == []
    assert world.effects() == ["flaky 1"]
