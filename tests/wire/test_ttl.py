"""Messages that expire, over real sockets, on every server: left out, and told ([P-43])."""

import asyncio

import pytest
from conftest import Client, Server


async def stream(client: Client, topic: str, position: dict[str, object], last: int) -> tuple[list[object], list[int]]:
    """Everything of a topic up to `last`: payload numbers, and the numbers that will not come; fails at a gap ([P-34])."""
    at, seen, left_out = position["seq"], [], []
    while at < last:
        message = await client.receive("beacon")
        if message.get("tp") != topic:
            continue
        holes = message["p"] if message["t"] == "skip" else None
        seq = holes["to"] if holes else message["seq"]
        assert message.get("ps", (holes["from"] if holes else seq) - 1) <= at < seq or message["t"] == "beacon", message
        if holes:
            assert holes["reason"] == "ttl"
            left_out += range(holes["from"], holes["to"] + 1)
        elif message["t"] != "beacon":
            seen.append(message["p"]["n"])
        at = seq
    return seen, left_out


@pytest.mark.parametrize("hello", [{}, {"formats": ["msgpack"], "compression": ["zlib"], "batch": True}], ids=["json", "msgpack"])
async def test_who_returns_gets_what_is_fresh_and_is_told_of_the_rest(server: Server, hello: dict[str, object]) -> None:
    """[P-43]"""
    topic = f"fresh{len(hello)}"
    async with server.agreed() as publisher:
        [entry] = await publisher.subscribe(topic)
        await publisher.publish(topic, count=3)
        await publisher.publish(topic, count=5, ttl=0.2)
        last = await publisher.publish(topic, count=4, ttl=60)
        seen, left_out = await stream(publisher, topic, entry, last)
        assert (len(seen), left_out) == (12, []), "in time nothing is left out"
        await asyncio.sleep(0.3)
        before = server.health()["expired"]
        async with server.agreed({**hello, "topics": [topic], "positions": {topic: {"e": entry["e"], "seq": entry["seq"]}}}) as client:
            [back] = (await client.until("subscription_update"))["p"]["topics"]
            assert (back["status"], back["recovered"]) == ("recovered", 12)
            assert await stream(client, topic, back, last) == ([0, 1, 2, 0, 1, 2, 3], list(range(last - 8, last - 3)))
        assert server.health()["expired"] == before + 5


async def test_only_what_would_have_passed_the_filter_is_told(server: Server) -> None:
    """[P-43]"""
    async with server.agreed() as publisher:
        [entry] = await publisher.subscribe("fresh:f")
        await publisher.publish("fresh:f", count=6, ttl=0.1)
        last = await publisher.publish("fresh:f", count=6)
        await asyncio.sleep(0.2)
        position = {"e": entry["e"], "seq": entry["seq"]}
        hello = {"topics": ["fresh:f"], "positions": {"fresh:f": position}, "filters": {"fresh:f": {"n": {"$in": [2, 5]}}}}
        async with server.agreed(hello) as client:
            [back] = (await client.until("subscription_update"))["p"]["topics"]
            first = last - 11
            assert await stream(client, "fresh:f", back, last) == ([2, 5], [first + 2, first + 5])


async def test_what_expires_while_a_state_is_made_is_left_out(server: Server) -> None:
    """[P-43] [P-57]"""
    async with server.agreed() as client, server.agreed() as publisher:
        before = server.health()["snapshots"]
        [entry] = await client.subscribe("own:ttl")
        await server.reaches("snapshots", before + 1)
        await publisher.publish("own:ttl", count=3, ttl=0.1)
        last = await publisher.publish("own:ttl", count=2)
        await asyncio.sleep(0.2)
        await publisher.ask("open", "own:ttl")
        assert (await client.receive())["c"] == "S"
        assert await stream(client, "own:ttl", entry, last) == ([0, 1], [last - 4, last - 3, last - 2])


async def test_what_expires_while_a_client_does_not_read_is_left_out_of_its_own_queue_too(server: Server) -> None:
    """[P-43] G5"""
    hello = {"formats": ["msgpack"], "batch": True}
    async with server.agreed() as publisher, server.stalled("fresh:slow", **hello) as client:
        before = server.health()
        last = await publisher.publish("fresh:slow", count=600, bytes=20_000, ttl=2)
        await server.reaches("fell_behind", before["fell_behind"] + 1)
        await asyncio.sleep(2.1)  # all have expired; what was written to the socket before comes all the same
        seen, left_out = await stream(client, "fresh:slow", {"seq": last - 600}, last)
        assert seen == list(range(len(seen)))
        assert left_out == list(range(last - 600 + len(seen) + 1, last + 1))
        assert server.health()["skipped_ttl"] > before["skipped_ttl"]
        fresh = await publisher.publish("fresh:slow", ttl=60)
        assert await stream(client, "fresh:slow", {"seq": last}, fresh) == ([0], [])
