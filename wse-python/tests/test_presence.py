"""Who is in a topic, as Python sees it: members of every kind, over workers, and what is wrong with a call."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from wse_server import Member, Presence, TopicPolicy, WSEConfig, WSETopicError, create_wse_router

from .support import servers
from .support.client import Client
from .support.servers import Server

APP = "tests.apps.rooms:app"
GRACE = 1.0


@pytest.fixture(scope="module", params=["auto", "never"], ids=["native", "asgi"])
def rooms(request: pytest.FixtureRequest) -> Any:
    with servers.running(servers.uvicorn(app=APP, takeover=request.param, auth=True, presence_grace=GRACE)) as server:
        yield server


async def say(client: Client, action: str, topic: str, **more: Any) -> dict[str, Any]:
    """Tells the server about the client's presence; its reply or error."""
    cid = f"{action}-{id(more)}"
    await client.send({"v": 2, "c": "WSE", "t": "presence", "cid": cid, "p": {"action": action, "topic": topic, **more}})
    while (answer := await client.receive()).get("cid") != cid:
        pass
    return answer


async def seen(server: Server, topic: str) -> list[tuple[str | None, Any]]:
    """What `wse.presence` says, which `wse.presence_count` agrees with: at once, unless someone came or left between the two."""
    for _ in range(3):
        found = await asyncio.to_thread(server.get, f"/presence/{topic}")
        if agreed := found["counts"] == [len(found["members"])] * 2:
            break
    assert agreed, found
    return sorted(((user, data) for _, user, data in found["members"]), key=repr)


async def until(server: Server, topic: str, members: list[tuple[str | None, Any]], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while await seen(server, topic) != members:
            await asyncio.sleep(0.05)


async def test_members_are_users_and_anonymous_clients_with_what_they_said_last(rooms: Server) -> None:
    """[P-60] [P-61]"""
    async with Client(rooms.ws(), token="ann") as ann, Client(rooms.ws(), token="ann") as tab, Client(rooms.ws(), token="bob") as bob:
        assert await seen(rooms, "room:1") == []
        reply = await say(ann, "enter", "room:1", data={"name": "Ann", "at": [1, 2.5, None, True]})
        assert reply["t"] == "reply", reply
        await say(bob, "enter", "room:1")
        await until(rooms, "room:1", [("ann", {"name": "Ann", "at": [1, 2.5, None, True]}), ("bob", None)])
        again = await say(tab, "enter", "room:1", data="newest")
        assert again["p"] == reply["p"], "both connections are one member"
        await until(rooms, "room:1", [("ann", "newest"), ("bob", None)])
        await say(tab, "leave", "room:1")
        await say(bob, "update", "room:1", data=0)
        await until(rooms, "room:1", [("ann", {"name": "Ann", "at": [1, 2.5, None, True]}), ("bob", 0)])
    await until(rooms, "room:1", [])


async def test_an_anonymous_client_is_a_member_by_its_key(free: Server) -> None:
    """[P-61]"""
    async with Client(free.ws()) as one, Client(free.ws()) as same, Client(free.ws()) as other:
        keys = [(one, "k"), (same, "k"), (other, "l")]
        ids = [(await say(client, "enter", "room:2", data=n, key=key))["p"]["id"] for n, (client, key) in enumerate(keys)]
        assert ids[0] == ids[1] != ids[2]
        await until(free, "room:2", [(None, 1), (None, 2)])
        assert (await say(other, "enter", "room:2"))["p"]["code"] == "INVALID_MESSAGE"


@pytest.fixture(scope="module")
def free() -> Any:
    with servers.running(servers.uvicorn(app=APP, presence_grace=GRACE)) as server:
        yield server


async def test_who_is_lost_stays_for_the_grace_and_who_closes_does_not(rooms: Server) -> None:
    """[P-62]"""
    async with Client(rooms.ws(), token="ann") as lost, Client(rooms.ws(), token="bob") as bob, Client(rooms.ws(), token="cleo") as cleo:
        for client in (lost, bob, cleo):
            await say(client, "enter", "room:3")
        await until(rooms, "room:3", [("ann", None), ("bob", None), ("cleo", None)])
        lost.socket.transport.abort()
        await bob.socket.close()
        await cleo.socket.close(None)  # type: ignore[arg-type]  # without a code
        await until(rooms, "room:3", [("ann", None)], GRACE / 2)
        await until(rooms, "room:3", [], 3 * GRACE)


async def test_topics_without_presence_and_names_that_are_none_say_whose_fault_it_is(rooms: Server) -> None:
    for topic, code in [
        ("prices", "PRESENCE_OFF"),
        ("room:a b", "INVALID_TOPIC"),
        ("@presence:room:1", "RESERVED_TOPIC"),
        ("room:" + "x" * 190, "INVALID_TOPIC"),
    ]:
        found = await asyncio.to_thread(rooms.get, f"/presence/{topic}")
        assert found == {"error": ["WSETopicError", code, topic]}
    async with Client(rooms.ws(), token="ann") as client:
        assert (await say(client, "enter", "prices"))["p"]["code"] == "PRESENCE_OFF"


async def test_without_a_server_a_router_says_that_nobody_is_there() -> None:
    wse = create_wse_router(WSEConfig(topics={"room": TopicPolicy(presence=True)}))
    assert await wse.presence("room") == Presence(0, [])
    assert await wse.presence_count("room") == 0
    with pytest.raises(WSETopicError, match="presence"):
        await wse.presence_count("other")
    assert Member("m", "ann", {"a": 1}).data == {"a": 1}


@contextlib.asynccontextmanager
async def on_each_worker(server: Server) -> AsyncIterator[dict[int, Client]]:
    """A client of user ann on each of two workers, by the worker's process."""
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(60):
        found: dict[int, Client] = {}
        while len(found) < 2:
            client = await stack.enter_async_context(Client(server.ws(), token="ann"))
            pid = (await client.request("pid", None))["p"]
            found.setdefault(pid, client)
        yield found


async def test_two_workers_with_redis_say_the_same_and_one_that_is_killed_takes_its_own_with_it(redis_url: str) -> None:
    """[P-61] [P-62] G8"""
    settings = {"redis_url": redis_url, "redis_prefix": "rooms", "auth": True, "presence_grace": GRACE, "presence_lease": 2.0}
    with servers.running(servers.uvicorn("--workers", "2", app=APP, **settings)) as server:
        async with on_each_worker(server) as clients:
            (doomed, first), (_, second) = clients.items()
            await say(first, "enter", "room:4", data="first")
            await say(second, "enter", "room:4", data="second")
            await until(server, "room:4", [("ann", "second")])
            await say(first, "enter", "room:5", data="only here")
            await until(server, "room:5", [("ann", "only here")])
            os.kill(doomed, signal.SIGKILL)
            await until(server, "room:5", [], 20)
            await until(server, "room:4", [("ann", "second")])
