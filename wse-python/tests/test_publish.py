"""Publishing one message or several: what comes back, what is refused before anything is published, and what need not be waited for."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import msgpack
import pytest
from wse_server import (
    Msgpack,
    Priority,
    Publication,
    WSEConfig,
    WSEPayloadError,
    WSERouter,
    WSETopicError,
    WSEUnavailable,
    WSEUsageError,
    create_wse_router,
)

from .test_knobs import Peer, redis_process

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def wse() -> Iterator[WSERouter]:
    router = create_wse_router()
    yield router
    router._host.stop()


async def test_many_are_stored_in_order_with_their_options_and_reach_subscribers(wse: WSERouter) -> None:
    peer = await asyncio.to_thread(Peer, wse._host.engine())
    await asyncio.to_thread(peer.subscribe, "a", "b")
    keyed = Publication("b", {"x": 1}, type="tick", priority=Priority.CRITICAL, key="k", idempotency_key="once")
    receipts = await wse.publish_many([("a", 1), keyed, ("a", Msgpack(msgpack.packb({"n": 2}))), keyed])
    assert [(r.topic, r.seq) for r in receipts] == [("a", 1), ("b", 1), ("a", 2), ("b", 1)]
    assert receipts[1] == receipts[3] == receipts[-1], "a retry is the same message"
    assert (len(receipts), receipts[1:3], repr(receipts)) == (4, [receipts[1], receipts[2]], repr(list(receipts)))
    with pytest.raises(IndexError):
        receipts[4]
    got = [await asyncio.to_thread(peer.receive) for _ in range(3)]
    assert [m["p"] for m in got if m["tp"] == "a"] == [1, {"n": 2}]
    [told] = [m for m in got if m["tp"] == "b"]
    assert (told["t"], told["k"], told["pri"], told["p"], told["id"]) == ("tick", "k", 10, {"x": 1}, receipts[1].id)


async def test_each_of_many_may_be_whatever_one_may_be(wse: WSERouter) -> None:
    peer = await asyncio.to_thread(Peer, wse._host.engine())
    await asyncio.to_thread(peer.subscribe, "a")
    payloads = [None, {"d": Decimal("2.5")}, {1: "a"}, [timedelta(seconds=90)], b"[1]", bytearray(b"[2]"), memoryview(b"[3]"), (n for n in range(2))]
    await wse.publish_many(("a", payload) for payload in payloads)
    got = [(await asyncio.to_thread(peer.receive))["p"] for _ in payloads]
    assert got == [None, {"d": 2.5}, {"1": "a"}, [90.0], [1], [2], [3], [0, 1]]


async def test_none_is_published_where_one_is_wrong(wse: WSERouter) -> None:
    for wrong, error, text in (
        (("a b", 1), WSETopicError, "a b"),
        (("a", b"{"), WSEPayloadError, r"messages\[1\].payload: bytes must be JSON"),
        (("a", {"id": 2**53}), WSEPayloadError, r"messages\[1\].payload.id: "),
        (Publication("a", 1, priority=7), WSEUsageError, "priority must be one of"),
        (("a", 1, 5), WSEUsageError, "publish_many takes"),
    ):
        with pytest.raises(error, match=text):
            await wse.publish_many([("a", 0), wrong])  # type: ignore[list-item]
    assert (await wse.publish("a", 1)).seq == 1
    assert list(await wse.publish_many([])) == []


async def test_the_in_process_bus_is_not_waited_for(wse: WSERouter) -> None:
    await wse.publish("a", 0)
    for call in (wse.publish("a", 1), wse.publish_many([("a", 2), ("b", 3)])):
        with pytest.raises(StopIteration):
            call.send(None)
    assert (await wse.publish("a", 4)).seq == 4


async def test_many_wait_for_room_like_one_and_none_is_lost() -> None:
    wse = create_wse_router(WSEConfig(handover_bytes=2000, outbound_bytes=10_000_000))
    peer = await asyncio.to_thread(Peer, wse._host.engine())
    await asyncio.to_thread(peer.subscribe, "a")
    async with asyncio.timeout(20):
        receipts = await wse.publish_many(("a", "x" * 500) for _ in range(200))
    assert [receipt.seq for receipt in receipts] == list(range(1, 201))
    got = [(await asyncio.to_thread(peer.receive))["seq"] for _ in range(200)]
    assert got == list(range(1, 201))
    wse._host.stop()


async def test_redis_stores_many_and_one_that_is_down_has_an_outcome_for_each() -> None:
    with redis_process() as (url, process):
        wse = create_wse_router(WSEConfig(redis_url=url, publish_timeout=0.5, breaker_failures=1, breaker_cooldown=60))
        async with asyncio.timeout(20):
            assert [r.seq for r in await wse.publish_many([("a", 1), ("b", 1), ("a", 2)])] == [1, 1, 2]
            process.kill()
            process.wait(10)
            with pytest.raises(WSEUnavailable) as raised:
                await wse.publish_many([("a", 3), ("b", 2)])
        assert [type(outcome) for outcome in raised.value.outcomes] == [WSEUnavailable, WSEUnavailable]
        wse._host.stop()
