"""Who is in a topic where several workers serve it over one Redis: seen on each, whatever becomes of another."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from conftest import PATIENCE, Server, free_port, start, wait_for
from presence import Watcher, enter, key, presence, room, watching

GRACE, LEASE = 1.0, 2.0
"""Of the services."""


class Workers:
    """A Redis and as many workers as a test begins."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind, self.folder, self.redis_port = kind, folder, free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start_redis()

    def start_redis(self) -> None:
        command = ["redis-server", "--port", str(self.redis_port), "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self.redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.processes.append(self.redis)
        wait_for(self.redis_port, self.redis)

    def kill_redis(self) -> None:
        self.redis.kill()
        self.redis.wait(PATIENCE)

    def start(self, **more: str) -> "tuple[Server, subprocess.Popen[bytes]]":
        server, process = start(self.kind, REDIS_URL=f"redis://127.0.0.1:{self.redis_port}", **more)
        self.processes.append(process)
        return server, process

    def close(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(PATIENCE)


@pytest.fixture(params=["native", "rust"])
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(tmp_path, request.param)) as workers:
        yield workers


async def test_who_is_on_one_worker_is_seen_on_the_others(workers: Workers) -> None:
    """[P-61] [P-64]"""
    (one, _), (two, _) = workers.start(), workers.start()
    topic, mine = room(), key()
    async with watching(two, topic) as there, watching(one, topic) as here, watching(two, topic, "@count:") as count:
        async with one.agreed() as client, two.agreed() as other:
            ada = await enter(client, topic, "one", key=mine)
            for watcher in (there, here):
                await watcher.until(ada)
            assert await enter(other, topic, "two", key=mine) == ada
            while there.members[ada]["data"] != "two":
                await there.next()
            await count.counts(1)
            assert there.count == 1
            assert await client.order("count", topic) == 1
            await presence(other, "leave", topic)
            await there.next()
            assert there.members[ada]["data"] == "one"
            await presence(client, "leave", topic)
            await there.until()
        await here.until()
        assert there.told("gone") == here.told("gone") == [ada]
        assert there.messages == here.messages, "every watcher is told the same"


async def test_the_members_of_a_worker_that_is_killed_leave_once_after_its_lease(workers: Workers) -> None:
    """[P-62] G5: two others find it dead at the same time."""
    (one, process), (two, _), (three, _) = workers.start(), workers.start(), workers.start()
    topic = room()
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(watching(server, topic)) for server in (two, three)]
        stays = await enter(await stack.enter_async_context(two.agreed()), topic, key=key())
        ids = [await enter(await stack.enter_async_context(one.agreed()), topic, n, key=key()) for n in range(20)]
        shared, twice = key(), []
        for server in (one, three):
            twice.append(await enter(await stack.enter_async_context(server.agreed()), topic, "both", key=shared))
        for watcher in watchers:
            await watcher.until(*ids, stays, *twice)
        process.kill()
        killed = time.monotonic()
        for watcher in watchers:
            await watcher.until(stays, *twice)
        assert LEASE * 0.6 < time.monotonic() - killed < LEASE * 3
        for watcher in watchers:
            await watcher.sees_nothing(LEASE)
            assert sorted(watcher.told("gone")) == sorted(ids) and watcher.count == 2
        assert watchers[0].messages == watchers[1].messages


async def test_a_worker_that_stood_still_for_too_long_has_its_members_come_again(workers: Workers) -> None:
    """[P-62]"""
    (one, process), (two, _) = workers.start(), workers.start()
    topic = room()
    async with watching(two, topic) as watcher, one.agreed() as client, watching(one, topic) as own:
        ada = await enter(client, topic, "still here", key=key())
        await watcher.until(ada)
        process.send_signal(signal.SIGSTOP)
        await watcher.until()
        process.send_signal(signal.SIGCONT)
        await watcher.until(ada)
        assert watcher.members[ada]["data"] == "still here" and watcher.told("gone") == [ada]
        await own.until(ada)
        while own.position != watcher.position:
            await own.next()
        assert own.members == watcher.members
        await watcher.sees_nothing(LEASE)
        assert (await one.reaches("presence_lapses", 1))["presence_lapses"] == 1
        assert (await two.reaches("presence_lapsed", 1))["presence_lapsed"] == 1
        await presence(client, "leave", topic)
        await watcher.until()


async def test_who_has_lost_its_place_to_others_is_told_and_comes_in_again_when_there_is_room(workers: Workers) -> None:
    """[P-60] [P-62]"""
    (one, process), (two, _) = workers.start(ROOM="2"), workers.start(ROOM="2")
    topic, mine = room(), key()
    async with watching(two, topic) as watcher, one.agreed() as client, two.agreed() as other, two.agreed() as third:
        ada = await enter(client, topic, "first", key=mine)
        await watcher.until(ada)
        process.send_signal(signal.SIGSTOP)
        await watcher.until()
        others = [await enter(each, topic, key=key()) for each in (other, third)]
        process.send_signal(signal.SIGCONT)
        error = await client.until("error")
        assert (error["p"]["code"], error["p"]["topic"], error.get("cid")) == ("PRESENCE_FULL", topic, None)
        assert (await one.reaches("presence_evictions", 1))["presence_evictions"] == 1
        assert (await presence(client, "update", topic, data="second", key=mine))["p"]["code"] == "PRESENCE_FULL"
        assert (await presence(client, "leave", topic))["t"] == "reply", "it is not there"
        await watcher.until(*others)
        await presence(third, "leave", topic)
        assert await enter(client, topic, "third", key=mine) == ada
        await watcher.until(ada, others[0])
        assert watcher.members[ada]["data"] == "third"


async def test_a_redis_that_is_lost_and_began_anew_is_told_everybody_again(workers: Workers) -> None:
    """[P-62] G5: what clients say meanwhile is kept, and answered then."""
    one, _ = workers.start()
    topic, mine = room(), key()
    async with one.agreed() as client:
        ada = await enter(client, topic, 1, key=mine)
        workers.kill_redis()
        await client.protocol("presence", {"action": "update", "topic": topic, "data": 2, "key": mine}, cid="later")
        await asyncio.sleep(1)
        workers.start_redis()
        while (answer := await client.receive()).get("cid") != "later":
            pass
        assert answer["p"] == {"id": ada}
        async with one.agreed() as other:
            watcher = Watcher(other, topic)
            for _ in range(PATIENCE * 5):
                if (await other.subscribe(watcher.log))[0].get("snapshot"):
                    break
                await asyncio.sleep(0.2)
            while watcher.members.get(ada, {}).get("data") != 2:
                await watcher.next()


async def test_a_client_that_moves_between_workers_is_not_seen_to_leave(workers: Workers) -> None:
    """[P-62] [P-67]: nor is one that cannot move and comes back; one that does not come back is seen to."""
    (one, process), (two, _) = workers.start(), workers.start()
    topic, keys = room(), [key() for _ in range(3)]
    async with watching(two, topic) as watcher, AsyncExitStack() as stack:
        mover = await stack.enter_async_context(one.agreed({"move": True}))
        returns, stays_away = [await stack.enter_async_context(one.agreed()) for _ in range(2)]
        ids = [await enter(client, topic, "same", key=mine) for client, mine in zip((mover, returns, stays_away), keys, strict=True)]
        await watcher.until(*ids)
        process.terminate()
        await mover.until("move")
        assert await returns.closed() == 1012
        ended = time.monotonic()
        new = [await stack.enter_async_context(two.agreed()) for _ in range(2)]
        assert [await enter(client, topic, "same", key=mine) for client, mine in zip(new, keys, strict=False)] == ids[:2]
        await mover.socket.close(1000)
        await watcher.until(*ids[:2])
        assert time.monotonic() - ended < GRACE + LEASE * 3
        await watcher.sees_nothing(LEASE)
        assert watcher.told("gone") == [ids[2]] and sorted(watcher.told("set")) == sorted(ids)
        process.wait(PATIENCE)
