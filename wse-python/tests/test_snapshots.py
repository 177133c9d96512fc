"""States of topics ([P-56] to [P-59], G7): whose they are, who gives them, what goes wrong."""

import asyncio
import time
from typing import Any

import pytest
from wse_server import Connection, WSEConfig, WSETopicError, WSEUsageError, _native, create_wse_router

from .support.client import Client
from .support.servers import Server
from .test_knobs import Peer, engine


async def state(client: Client, topic: str) -> Any:
    while (message := await client.receive()).get("tp") != topic:
        assert message["t"] != "error", message
    assert message["c"] == "S"
    return message["p"]


async def test_users_get_their_own_states_and_share_their_calls(guarded: Server) -> None:
    before = guarded.get("/wse/health")
    async with asyncio.timeout(20):
        clients = [await Client(guarded.ws(), token=f"token-{user}").__aenter__() for user in ("ann", "bob", "ann", "bob", "ann")]
        for client in clients:
            [entry] = await client.subscribe("account:1")
            assert entry["snapshot"] is True
        owners = [(await state(client, "account:1"))["owner"] for client in clients]
        for client in clients:
            await client.__aexit__(None, None, None)
    assert owners == ["ann", "bob", "ann", "bob", "ann"]
    health = guarded.get("/wse/health")
    asked, shared = (health[name] - before[name] for name in ("snapshots", "snapshots_shared"))
    assert asked + shared == 5 and asked >= 2


async def test_a_plain_function_and_a_provider_of_several_topics_serve_too(both: Server) -> None:
    async with Client(both.ws()) as client:
        await client.subscribe("thread:a")
        assert await state(client, "thread:a") == "thread:a"
        topics = [f"stock:{n}" for n in range(10)]
        await client.subscribe(*topics)
        states = [await client.kind("snapshot") for _ in topics]
        assert {message["tp"] for message in states} == set(topics)
        last = states[-1]["p"]
        assert last["user"] is None and sum(count for _, count in last["asked"]) >= 10
        assert len(last["asked"]) < 10, "what is asked at once is one question"


async def test_what_goes_wrong_is_an_error_of_the_topic_and_in_the_log(both: Server) -> None:
    async with Client(both.ws()) as client:
        for topic in ("stock:unknown", "wrong:payload"):
            await client.subscribe(topic)
            error = (await client.kind("error"))["p"]
            assert (error["code"], error["topic"]) == ("SNAPSHOT_FAILED", topic)
            assert topic in error["message"] and "log" in error["message"]
            assert topic in both.log
    assert "2^53-1" in both.log


def test_wrong_uses_are_refused_at_once() -> None:
    wse = create_wse_router()

    async def fine(connection: Connection, topic: str) -> None: ...

    with pytest.raises(WSETopicError):
        wse.snapshot("a b")(fine)
    with pytest.raises(WSEUsageError, match="connection and topic"):

        @wse.snapshot("a")
        async def three(connection: Connection, topic: str, more: int) -> None: ...

    wse.snapshot("a")(fine)
    with pytest.raises(WSEUsageError, match="already"):
        wse.snapshot("a")(fine)
    with pytest.raises(WSEUsageError, match="get_snapshot"):
        wse.snapshot_provider("b", object())  # type: ignore[arg-type]


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_snapshot_timeout_and_snapshot_calls(at_a_time: int) -> None:
    with engine(snapshot_timeout=0.5, snapshot_calls=at_a_time) as running:
        running.register_snapshot("s:*", False)
        peer, began = Peer(running), time.monotonic()
        peer.subscribe("s:1", "s:2", "s:3")
        while time.monotonic() - began < 0.3:
            peer.wait(0.1)
        assert len([event for event in peer.events if event[0] == _native.SNAPSHOT]) == at_a_time
        errors = [peer.until("error") for _ in range(3)]
        assert 0.4 < time.monotonic() - began < 5
    assert {(error["topic"], error["code"]) for error in errors} == {(f"s:{n}", "SNAPSHOT_FAILED") for n in (1, 2, 3)}


def test_snapshot_pin_bytes() -> None:
    def seen(**settings: Any) -> tuple[Any, ...]:
        with engine(history_messages=2, **settings) as running:
            running.register_snapshot("s", False)
            peer = Peer(running)
            [entry] = peer.subscribe("s")
            while not (calls := [event[2] for event in peer.events if event[0] == _native.SNAPSHOT]):
                peer.events += peer.queue.drain(100)
            for _ in range(10):
                running.publish_blocking(("s", b"1", None, None, 5, None, None, None))
            while running.health()["snapshot_pinned_bytes"] + running.health()["snapshot_pins_broken"] == 0:
                pass
            [call] = calls
            call.answer(b"7", None)
            first = peer.receive()
            return first["t"], first["p"]

    assert seen() == ("snapshot", 7)
    kind, update = seen(snapshot_pin_bytes=1)
    assert (kind, update["topics"][0]["reason"]) == ("subscription_update", "history")


def test_a_call_is_answered_once_and_forgotten_it_has_failed() -> None:
    with engine() as running:
        running.register_snapshot("s:*", True)
        peer = Peer(running)
        peer.subscribe("s:1")
        while not (calls := [event[2] for event in peer.events if event[0] == _native.SNAPSHOT]):
            peer.events += peer.queue.drain(100)
        call = calls.pop()
        assert (call.topic, call.user, call.wanted) == ("s:1", None, True)
        with pytest.raises(TypeError):
            call.answer(b"{", "json")
        call.answer(b"[1]", "json")
        assert not call.wanted
        with pytest.raises(RuntimeError):
            call.fail("too late")
        assert peer.until("snapshot") == [1]


def test_it_may_be_registered_while_the_engine_runs() -> None:
    wse = create_wse_router(WSEConfig())
    wse.publish_sync("warm", 1)

    @wse.snapshot("late")
    async def late(connection: Connection, topic: str) -> int:
        return 1

    try:
        peer = Peer(wse._host.engine())
        [entry] = peer.subscribe("late")
        assert entry["snapshot"] is True
    finally:
        wse._host.stop()
