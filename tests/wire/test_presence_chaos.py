"""Clients that come, change, leave and vanish while workers stand still and are killed, and Redis stands still and is lost: watchers are never
told what does not add up, and in the end they see exactly those who are there."""

import asyncio
import base64
import hashlib
import os
import random
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from conftest import Client, Server
from presence import Watcher, key, room
from test_presence_workers import LEASE, Workers
from test_presence_workers import workers as workers
from websockets.exceptions import ConnectionClosed, InvalidHandshake

SEEDS = [int(seed) for seed in os.environ.get("PRESENCE_SEEDS", "1 2").split()]
SECONDS = float(os.environ.get("PRESENCE_SECONDS", "8"))
SETTLED = 30
"""Seconds after the last fault within which everybody sees who is there."""


class Strict(Watcher):
    """A watcher that lives through everything but the end of its worker, and finds what does not add up."""

    async def follow(self) -> None:
        while True:
            message = await self.client._next()
            if message["t"] == "error" and message["p"]["code"] == "SNAPSHOT_FAILED":
                await self.client.protocol("snapshot_request", {"topics": [self.log]})
            elif message["t"] == "ping":
                await self.client.protocol("pong", message["p"])
            elif message.get("tp") == self.log and message["t"] != "beacon":
                self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        before, known = self.position, dict(self.members)
        if message.get("c") == "S":
            # Read from a Redis that began anew it is of another epoch than the subscription, which is told so then.
            self.states += 1
            self.position, self.exact = {"e": message["e"], "seq": message["seq"]}, message["p"]
            self.members, self.count = {member["id"]: member for member in message["p"]["members"]}, message["p"]["count"]
            assert len(self.members) == self.count
            return
        super().take(message)
        assert self.position == {"e": before["e"], "seq": before["seq"] + 1}, f"{before} is followed by {message}"
        if message["e"] == self.exact["e"] and message["seq"] <= self.exact["seq"]:
            self.members = known
            return
        assert len(self.members) == self.count, f"{message} after {known}"


class Guest:
    """One client of one member: a connection at a time."""

    def __init__(self, topic: str) -> None:
        self.topic, self.key, self.data = topic, key(), 0
        self.member = base64.urlsafe_b64encode(hashlib.sha256(b"wse-presence\0key\0" + self.key.encode()).digest()[:12]).decode()
        self.worker = -1
        self.stack, self.client = AsyncExitStack(), None

    async def says(self, action: str, data: int = 0) -> None:
        self.data = data
        assert isinstance(self.client, Client)
        with suppress(ConnectionClosed):
            await self.client.protocol("presence", {"action": action, "topic": self.topic, "data": data, "key": self.key})

    async def comes(self, worker: int, server: Server, data: int) -> None:
        self.stack = AsyncExitStack()
        with suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
            self.client = await self.stack.enter_async_context(server.agreed(close_timeout=0.1, open_timeout=2))
            self.worker = worker
            await self.says("enter", data)

    async def goes(self, for_good: bool) -> None:
        client, self.client, self.data, self.worker = self.client, None, 0, -1
        if client is not None and not for_good:
            client.socket.transport.abort()
        with suppress(ConnectionClosed):
            await self.stack.aclose()


class Chaos:
    """Three workers over one Redis, guests, and what befalls them. The first worker is never killed."""

    def __init__(self, workers: Workers, seed: int) -> None:
        self.all, self.random, self.topic = workers, random.Random(seed), room()
        self.workers = [workers.start() for _ in range(3)]
        self.guests = [Guest(self.topic) for _ in range(12)]
        self.asleep: set[int] = set()
        self.said = 0
        self.log: list[str] = []

    async def something(self) -> None:
        guest = self.random.choice(self.guests)
        self.said += 1
        if guest.client is None:
            awake = [number for number in range(len(self.workers)) if number not in self.asleep]
            if awake:
                number = self.random.choice(awake)
                await guest.comes(number, self.workers[number][0], self.said)
            return
        acts: list[Callable[[], Coroutine[Any, Any, None]]] = [
            lambda: guest.says("update", self.said),
            lambda: guest.says("enter", self.said),
            lambda: guest.says("leave"),
            lambda: guest.goes(for_good=True),
            lambda: guest.goes(for_good=False),
        ]
        await self.random.choice(acts)()

    async def something_bad(self) -> None:
        number = self.random.randrange(3)
        bad = self.random.choice([self.freeze_worker, self.kill_worker, self.lose_redis, self.freeze_redis])
        self.log.append(f"{bad.__name__} {number}")
        await bad(number)

    async def freeze_worker(self, number: int) -> None:
        self.asleep.add(number)
        self.workers[number][1].send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.random.uniform(0.3, LEASE * 1.8))
        self.workers[number][1].send_signal(signal.SIGCONT)
        self.asleep.discard(number)

    async def kill_worker(self, number: int) -> None:
        if number == 0:
            return
        self.asleep.add(number)
        self.workers[number][1].kill()
        for guest in self.guests:
            if guest.worker == number:
                await guest.goes(for_good=False)
        self.workers[number] = await asyncio.to_thread(self.all.start)
        self.asleep.discard(number)

    async def lose_redis(self, _: int) -> None:
        self.all.kill_redis()
        await asyncio.sleep(self.random.uniform(0.1, LEASE))
        await asyncio.to_thread(self.all.start_redis)

    async def freeze_redis(self, _: int) -> None:
        self.all.redis.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.random.uniform(0.1, LEASE))
        self.all.redis.send_signal(signal.SIGCONT)

    async def go_on(self, seconds: float) -> None:
        async def again(what: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
            end = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < end:
                await what()
                await asyncio.sleep(self.random.uniform(0, pause))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(again(self.something, 0.05))
            tasks.create_task(again(self.something_bad, 1.0))

    def inside(self) -> dict[str, int]:
        """Who is there, and what each said last."""
        return {guest.member: guest.data for guest in self.guests if guest.client is not None and guest.data}


def seen(watcher: Watcher) -> dict[str, int]:
    return {member: entry["data"] for member, entry in watcher.members.items()}


@pytest.mark.parametrize("workers", ["native"], indirect=True)
@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_befalls_them_watchers_see_who_is_there_in_the_end(workers: Workers, seed: int) -> None:
    """[P-61] to [P-64] G5"""
    chaos = Chaos(workers, seed)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(chaos.workers[0][0].agreed()) for _ in range(2)]
        watchers = [await Strict(client, chaos.topic).begin() for client in clients]
        following = [asyncio.create_task(watcher.follow()) for watcher in watchers]
        await chaos.go_on(SECONDS)
        expected = chaos.inside()
        for number in range(3):
            client = await stack.enter_async_context(chaos.workers[number][0].agreed())
            watchers.append(await Strict(client, chaos.topic).begin())
            following.append(asyncio.create_task(watchers[-1].follow()))
        for _ in range(SETTLED * 10):
            if all(seen(watcher) == expected for watcher in watchers) or any(task.done() for task in following):
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail(f"seed {seed}, {chaos.log}: {expected} are there, seen are {[seen(watcher) for watcher in watchers]}")
        await asyncio.sleep(LEASE)
        for task in following:
            assert not task.done() or task.result()
            task.cancel()
        assert [seen(watcher) for watcher in watchers] == [expected] * 5, f"seed {seed}, {chaos.log}"
        assert expected, chaos.log
        for guest in chaos.guests:
            await guest.goes(for_good=False)
