"""Filters, beacons and patterns over real sockets, on every server."""

import asyncio
import time

import pytest
from conftest import Client, Server

NEVER = {"n": {"$lt": 0}}


async def passing(client: Client, topic: str, count: int, position: dict[str, object]) -> list[dict[str, object]]:
    """So many messages; each names the one before it that passed, so that none is missing ([P-34])."""
    got = await client.topic(topic, count)
    at = position["seq"]
    for message in got:
        assert message["ps"] <= at < message["seq"], message
        at = message["seq"]
    return got


async def test_only_what_passes_arrives_and_says_what_was_before_it(server: Server) -> None:
    """[P-34] [P-70]"""
    async with server.agreed() as client:
        before = server.health()["filter_classes"]
        [entry] = await client.subscribe("sieve", filters={"sieve": {"n": {"$in": [3, 4, 11, 19]}}})
        assert server.health()["filter_classes"] == before + 1
        await client.publish("sieve", count=20)
        got = await passing(client, "sieve", 4, entry)
    assert [m["p"]["n"] for m in got] == [3, 4, 11, 19]
    top = entry["seq"]
    assert [(m["ps"], m["seq"]) for m in got[1:]] == [(top + 4, top + 5), (top + 5, top + 12), (top + 12, top + 20)]


async def test_a_filtered_stream_that_is_quiet_is_told_where_it_stands(server: Server) -> None:
    """[P-38]"""
    async with server.agreed() as client, server.agreed() as publisher:
        [entry] = await client.subscribe("quiet", filters={"quiet": NEVER})
        top, began = await publisher.publish("quiet", count=3), time.monotonic()
        beacon = await client.receive("beacon", "ping")
        assert time.monotonic() - began < 2.5, "before the heartbeat"
    assert (beacon["tp"], beacon["e"], beacon["seq"], "p" in beacon) == ("quiet", entry["e"], top, False)
    assert beacon["ps"] <= entry["seq"], "nothing is missing between"


async def test_a_topic_that_moved_is_told_with_the_heartbeat(server: Server) -> None:
    """[P-38]"""
    async with server.agreed() as client:
        [entry] = await client.subscribe("pulse")
        top = await client.publish("pulse")
        await client.until("ping")
        beacon = await client.until("beacon")
    assert (beacon["tp"], beacon["e"], beacon["seq"], beacon.get("ps", top)) == ("pulse", entry["e"], top, top)


async def keep_publishing(publisher: Client, topic: str) -> None:
    while True:
        await publisher.publish(topic)
        await asyncio.sleep(0.2)


async def test_a_busy_stream_that_is_filtered_is_told_where_it_stands_all_the_same(server: Server) -> None:
    """[P-38]"""
    async with server.agreed() as client, server.agreed() as publisher:
        [entry] = await client.subscribe("hurried", filters={"hurried": NEVER})
        began, busy = time.monotonic(), asyncio.create_task(keep_publishing(publisher, "hurried"))
        beacons = [await client.receive("beacon", "ping") for _ in range(2)]
        busy.cancel()
    assert [beacon["t"] for beacon in beacons] == ["beacon"] * 2 and time.monotonic() - began < 3, "each after a second, not a heartbeat"
    assert entry["seq"] < beacons[0]["seq"] < beacons[1]["seq"]


async def test_a_busy_connection_has_its_heartbeat_with_word_of_the_topic_at_rest(server: Server) -> None:
    """[P-26] [P-38]"""
    async with server.agreed() as client, server.agreed() as publisher:
        await client.subscribe("steady", "calm")
        top = await publisher.publish("calm")
        busy = asyncio.create_task(keep_publishing(publisher, "steady"))
        await client.until("ping")
        while (beacon := await client.until("beacon"))["tp"] != "calm":
            pass
        busy.cancel()
    assert beacon["seq"] == top


async def test_a_bad_filter_is_refused_with_the_place_of_its_fault(server: Server) -> None:
    """[P-23] [P-79]"""
    async with server.agreed() as client:
        fine, bad = await client.subscribe("fine", "bad", filters={"bad": {"price": {"$near": 1}}})
    assert (fine["status"], bad["status"], bad["code"]) == ("live", "refused", "INVALID_FILTER")
    assert "price.$near" in bad["message"]


async def test_a_forced_filter_can_be_narrowed_and_never_widened(server: Server) -> None:
    """[P-70] G7"""
    async with server.agreed() as client, server.agreed() as narrow:
        [entry] = await client.subscribe("tenant:x", filters={"tenant:x": {"$or": [{"tenant": "b"}, {"tenant": "a"}]}})
        await narrow.subscribe("tenant:x", filters={"tenant:x": {"n": {"$gte": 2}}})
        for tenant in ("b", "a", "b"):
            await client.publish("tenant:x", count=3, payload={"tenant": tenant})
        seen = await passing(client, "tenant:x", 3, entry)
        assert {m["p"]["tenant"] for m in seen} == {"a"}
        assert [m["p"]["n"] for m in await narrow.topic("tenant:x", 1)] == [2]
        returning = {"positions": {"tenant:x": {"e": entry["e"], "seq": entry["seq"]}}, "topics": ["tenant:*"]}
        async with server.agreed(returning) as late:
            await late.until("subscription_update")
            assert {m["p"]["tenant"] for m in await late.topic("tenant:x", 3)} == {"a"}
        await client.publish("tenant:x", payload={"tenant": "a", "end": True})
        assert [m["p"].get("end") for m in await client.topic("tenant:x", 1)] == [True], "and nothing of b between"


async def test_a_topic_has_so_many_filters_and_one_encoding_for_each(server: Server) -> None:
    """G5: `filter_limit`"""
    async with server.agreed() as watcher:
        await watcher.subscribe("many")
        async with asyncio.timeout(10):
            clients, entries = [], []
            for n in range(17):  # on both shards
                manager = server.agreed()
                clients.append((manager, await manager.__aenter__()))
                [entry] = await clients[-1][1].subscribe("many", filters={"many": {"n": n}})
                entries.append(entry)
            assert [entry.get("code") for entry in entries] == [None] * 8 + ["FILTER_LIMIT"] * 9
            [entry] = await clients[7][1].subscribe("many", filters={"many": {"n": {"$gte": 7}}})
            assert entry["status"] == "live", "its old one goes"
            [entry] = await clients[1][1].subscribe("many", filters={"many": {"n": {"$eq": 0}}})
            assert entry["status"] == "live", "another client has it"
            [entry] = await watcher.subscribe("many", filters={"many": {"n": {"$lt": 0}}})
            assert entry["status"] == "live", "the place of the one that is nobody's any more"
            [entry] = await clients[0][1].subscribe("many", filters={"many": {"n": {"$gt": 99}}})
            assert entry["code"] == "FILTER_LIMIT"
            await watcher.publish("many")
            assert [m["p"]["n"] for m in await clients[0][1].topic("many", 1)] == [0], "a refused change leaves it as it was"
            [entry] = await clients[0][1].subscribe("many", filters={"many": {"n": {"$eq": 0}}})
            assert entry["status"] == "live", "it means the same as one that is there"
            for manager, _ in clients:
                await manager.__aexit__(None, None, None)


async def test_a_pattern_stands_for_topics_that_are_there_and_those_that_come(server: Server) -> None:
    """[P-39]"""
    async with server.agreed() as client, server.agreed() as publisher:
        await publisher.publish("flock:old", count=2)
        [entry] = await client.subscribe("flock:*")
        assert (entry["status"], [topic["tp"] for topic in entry["topics"]]) == ("live", ["flock:old"])
        await publisher.publish("flock:old")
        await publisher.publish("flock:new", count=3)
        born = (await client.until("subscription_update"))["p"]["topics"][0]
        assert (born["tp"], [topic["tp"] for topic in born["topics"]]) == ("flock:*", ["flock:new"])
        assert born["seq"] > entry["seq"]
        new = await client.topic("flock:new", 3)
        assert [m["seq"] for m in new] == [1, 2, 3]
        await publisher.publish("flock:old")
        assert [m["seq"] for m in await client.topic("flock:old", 1)] in ([3], [4])


async def test_a_topic_followed_by_name_and_by_pattern_comes_once(server: Server) -> None:
    """[P-39]"""
    async with server.agreed() as client:
        await client.subscribe("twice:a", "twice:c", "end", filters={"twice:c": {"n": {"$gte": 3}}})
        await client.subscribe("twice:*")
        await client.publish("twice:a", count=5)
        await client.publish("twice:c", count=5)
        await client.publish("twice:b", count=1)
        await client.publish("end")
        got = []
        while not got or got[-1]["tp"] != "end":
            message = await client.receive()
            got += [message] if "tp" in message else []
    assert [m["seq"] for m in got if m["tp"] == "twice:a"] == [1, 2, 3, 4, 5]
    assert [m["seq"] for m in got if m["tp"] == "twice:b"] == [1]
    assert [m["seq"] for m in got if m["tp"] == "twice:c"] == [4, 5], "the filter of what was asked for by name holds"


@pytest.mark.parametrize("named_first", [True, False])
async def test_a_topic_whose_subscription_by_name_ends_goes_on_with_its_patterns_filter(server: Server, named_first: bool) -> None:
    """[P-39]"""
    topic, pattern = f"ends{named_first}:a", f"ends{named_first}:*"
    filters = {topic: {"n": 2}, pattern: {"n": {"$ne": 2}}}
    async with server.agreed() as client:
        await client.publish(topic)
        for name in [topic, pattern] if named_first else [pattern, topic]:
            await client.subscribe(name, filters={name: filters[name]})
        top = await client.publish(topic, count=3)
        [last] = await client.topic(topic, 1)
        assert (last["seq"], last["p"]["n"]) == (top, 2), "by the filter of the name"
        await client.protocol("subscription", {"action": "unsubscribe", "topics": [topic]})
        await client.until("subscription_update")
        await client.publish(topic, count=5)
        got = await passing(client, topic, 4, last)
    assert [m["p"]["n"] for m in got] == [0, 1, 3, 4]


async def test_births_while_a_client_was_away_are_recovered_from_the_first_message(server: Server) -> None:
    """[P-39]"""
    async with server.agreed() as publisher:
        async with server.agreed() as client:
            await publisher.publish("away:known", count=2)
            [entry] = await client.subscribe("away:*")
        known = entry["topics"][0]
        await publisher.publish("away:known", count=3)
        await publisher.publish("away:born", count=4)
        positions = {"away:*": {"e": entry["e"], "seq": entry["seq"]}, "away:known": {"e": known["e"], "seq": known["seq"]}}
        async with server.agreed({"topics": ["away:*"], "positions": positions}) as client:
            [back] = (await client.until("subscription_update"))["p"]["topics"]
            statuses = {topic["tp"]: (topic["status"], topic.get("recovered")) for topic in back["topics"]}
            assert statuses == {"away:known": ("recovered", 3), "away:born": ("recovered", 4)}
            assert (back["status"], back["recovered"]) == ("recovered", 1), "one was born"
            got = [await client.receive() for _ in range(7)]
    assert [m["seq"] for m in got if m["tp"] == "away:known"] == [3, 4, 5]
    assert [m["seq"] for m in got if m["tp"] == "away:born"] == [1, 2, 3, 4]


async def test_patterns_and_their_topics_are_counted(server: Server) -> None:
    """[P-32] [P-39]"""
    async with server.agreed() as client:
        entries = await client.subscribe(*(f"count{n}:*" for n in range(17)))
        assert [entry.get("code") for entry in entries[15:]] == [None, "TOO_MANY_PATTERNS"]
    async with server.agreed() as client, server.agreed() as publisher:
        for n in range(51):
            await publisher.publish(f"crowd:{n}")
        [entry] = await client.subscribe("crowd:*")
        assert (entry["status"], entry["code"]) == ("refused", "TOO_MANY_TOPICS")
        [entry] = await client.subscribe("grow:*")
        assert entry["status"] == "live"
        for n in range(51):
            await publisher.publish(f"grow:{n}")
        born: dict[str, object] = {}
        while born.get("status") != "resync":
            born = (await client.until("subscription_update"))["p"]["topics"][0]
        assert (born["tp"], born["reason"]) == ("grow:*", "births")
    async with server.agreed() as client:
        await client.subscribe(*(f"name{n}" for n in range(50)))
        await client.publish("few:1")
        [entry] = await client.subscribe("few:*")
        assert (entry["status"], entry["code"]) == ("refused", "TOO_MANY_TOPICS"), "those that were asked for by name count too"


@pytest.mark.parametrize("formats", [["json"], ["msgpack"]])
async def test_a_hello_with_positions_and_filters_resumes_in_one_round_trip(server: Server, formats: list[str]) -> None:
    """[P-20]"""
    topic = f"resume:{formats[0]}"
    async with server.agreed() as publisher:
        [entry] = await publisher.subscribe(topic)
        last = await publisher.publish(topic, count=10)
        hello = {
            "formats": formats,
            "topics": [topic],
            "positions": {topic: {"e": entry["e"], "seq": last - 8}},
            "filters": {topic: {"n": {"$gte": 5}}},
        }
        async with server.agreed(hello) as client:
            [back] = (await client.until("subscription_update"))["p"]["topics"]
            assert (back["status"], back["recovered"]) == ("recovered", 8), "those that the filter is held against"
            assert [m["p"]["n"] for m in await passing(client, topic, 5, back)] == [5, 6, 7, 8, 9]
