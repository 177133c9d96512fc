"""Messages to users and sessions from Python: from every process, over any number of workers, and what is wrong with a call."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from wse_server import Publisher, WSEConfig, WSETopicError, WSEUsageError, create_wse_router

from .support import servers
from .support.client import Client


async def told(client: Client, name: str) -> dict[str, Any]:
    """What the server says of one of its own names, which comes by itself."""
    while name not in client.direct:
        await client.request("pid", None)
    return client.direct[name]


async def test_two_workers_with_redis_reach_a_user_on_both_and_one_who_was_away(redis_url: str) -> None:
    """[P-65] G2 G7"""
    with servers.running(servers.uvicorn("--workers", "2", redis_url=redis_url, redis_prefix="users", auth=True)) as server:
        async with AsyncExitStack() as stack, asyncio.timeout(60), Publisher(redis_url=redis_url, redis_prefix="users") as publisher:
            anns: list[Client] = []
            pids: set[int] = set()
            while len(pids) < 2:
                ann = await stack.enter_async_context(Client(server.ws(), token="token-ann"))
                anns.append(ann)
                pids.add((await ann.request("pid", None))["p"])
                position = await told(ann, "@user:ann")
            assert (position["status"], position["seq"]) == ("live", 0)
            bob = await stack.enter_async_context(Client(server.ws(), token="token-bob"))
            await told(bob, "@user:bob")
            receipt = await publisher.send_to_user("ann", "note", {"n": 1})
            assert (receipt.topic, receipt.seq) == ("@user:ann", 1)
            await publisher.send_to_user("bob", "note", "for bob")
            for ann in anns:
                message = await ann.kind("note")
                assert (message["tp"], message["p"], message["seq"]) == ("@user:ann", {"n": 1}, 1)
            assert (await bob.kind("note"))["p"] == "for bob"
            await asyncio.to_thread(Publisher.send_to_user_sync, publisher_of(redis_url), "ann", "note", {"n": 2}, idempotency_key="k")
            again = await publisher.send_to_user("ann", "note", {"n": 3}, idempotency_key="k")
            assert again.seq == 2, "a retry is the same message"
            # From before the first message, as one who had connected and left before it.
            hello = {"positions": {"@user:ann": {"e": position["e"], "seq": 0}}, "away_ms": 1}
            late = await stack.enter_async_context(Client(server.ws(), token="token-ann", hello=hello))
            assert (await told(late, "@user:ann"))["recovered"] == 2


def publisher_of(redis_url: str) -> Publisher:
    return Publisher(redis_url=redis_url, redis_prefix="users")


async def test_a_session_is_reached_through_redis_and_connection_says_its_name(redis_url: str) -> None:
    """[P-66]"""
    with servers.running(servers.uvicorn(redis_url=redis_url, redis_prefix="sessions")) as server:
        async with asyncio.timeout(30), Publisher(redis_url=redis_url, redis_prefix="sessions") as publisher:
            async with Client(server.ws(), hello={"session": ""}) as one, Client(server.ws(), hello={"session": ""}) as other:
                session = (await one.request("who", None))["p"]["session"]
                for client in (one, other):
                    await told(client, "@session:" + (await client.request("who", None))["p"]["session"])
                await publisher.send_to_session(session, "note", 1)
                assert (await one.kind("note"))["p"] == 1
                assert (await other.request("pid", None))["t"] == "reply", "nothing came before it"
            async with Client(server.ws()) as none:
                assert (await none.request("who", None))["p"]["session"] is None


async def test_what_is_wrong_with_a_call_is_said() -> None:
    wse = create_wse_router(WSEConfig())
    for user in (None, True, 1.5, "", "x" * 300):
        with pytest.raises(WSEUsageError):
            await wse.send_to_user(user, "note", 1)  # type: ignore[arg-type]
    for session in (None, "", "x" * 32, "@session:" + "0" * 32):
        with pytest.raises(WSEUsageError, match=r"connection\.session"):
            await wse.send_to_session(session, "note", 1)  # type: ignore[arg-type]
    with pytest.raises(WSEUsageError, match="type"):
        await wse.send_to_user("ada", "", 1)
    with pytest.raises(WSETopicError):
        await wse.publish("@user:ada", 1)
    assert wse.send_to_user_sync(42, "note", 1).topic == "@user:42"
    assert wse.send_to_session_sync("0" * 32, "note", 1).seq == 1
