"""Clients that read too slowly, and clients that send too fast, over real sockets, on every server."""

import asyncio
import json
import time
import uuid
from collections import Counter
from typing import Any

from conftest import Client, Server

PIECE = 20_000  # bytes of a message that fills what lies between the server and a client that does not read


async def at_rest(server: Server) -> None:
    """Nothing more is handed to any client."""
    before, after = -1, 0
    while before != after:
        before = after
        await asyncio.sleep(0.3)
        after = (await asyncio.to_thread(server.health))["deliveries"]


async def everything(client: Client, last: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Messages and skips of the one topic until its last number; together they leave nothing out, in order ([P-43])."""
    messages, skips, at = [], [], None
    while at != last:
        message = await client.receive()
        if "seq" not in message and message["t"] != "skip":
            continue
        first, to = (message["p"]["from"], message["p"]["to"]) if message["t"] == "skip" else (message["seq"], message["seq"])
        assert at is None or first == at + 1, (at, message["t"], first)
        (skips if message["t"] == "skip" else messages).append(message)
        at = to
    return messages, skips


async def test_a_slow_client_recovers_whole_and_in_order(server: Server) -> None:
    """G1 G2 G5"""
    async with server.agreed() as publisher, server.stalled("slow") as client:
        before = server.health()
        last = await publisher.publish("slow", count=600, bytes=PIECE)
        after = await server.reaches("fell_behind", before["fell_behind"] + 1)
        messages, skips = await everything(client, last)
        assert ([m["p"]["n"] for m in messages], skips) == (list(range(600)), [])
        assert after["resyncs"] == before["resyncs"]


async def test_a_slow_client_that_asks_for_its_pattern_again_loses_nothing_that_waits(server: Server) -> None:
    """[P-25] [P-39] G2"""
    name = f"herd{uuid.uuid4().hex[:8]}"
    async with server.agreed() as publisher, server.stalled(f"{name}:*") as client:
        before = server.health()
        await publisher.publish(f"{name}:x", bytes=PIECE)
        # From here on it follows the topic live: one that still joins it reads the log, and is not behind.
        await server.reaches("deliveries", before["deliveries"] + 1)
        await publisher.publish(f"{name}:x", count=559, bytes=PIECE)  # more than the systems between them take, and less than the history
        await server.reaches("fell_behind", before["fell_behind"] + 1)
        await client.protocol("subscription", {"action": "subscribe", "topics": [f"{name}:*"]})
        await at_rest(server)
        last = await publisher.publish(f"{name}:x", count=100, bytes=PIECE)
        messages, skips = await everything(client, last)
        assert ([m["seq"] for m in messages], skips) == (list(range(1, 661)), [])


async def test_of_latest_a_slow_client_gets_the_newest_of_each_key(server: Server) -> None:
    """[P-43]"""
    async with server.agreed() as publisher, server.stalled("latest:x") as client:
        before = server.health()["skipped_latest"]
        last = await publisher.publish("latest:x", count=600, bytes=PIECE, keys=5)
        await server.reaches("skipped_latest", before + 1)
        await at_rest(server)  # all of it waits, or was left out
        left = server.health()["skipped_latest"] - before
        messages, skips = await everything(client, last)
    assert {m["k"]: m["p"]["n"] for m in messages} == {f"k{n}": 595 + n for n in range(5)}
    assert {skip["p"]["reason"] for skip in skips} == {"latest"}
    left_out = sum(skip["p"]["to"] - skip["p"]["from"] + 1 for skip in skips)
    assert len(messages) + left_out == 600 and left_out <= left


async def test_of_drop_low_a_slow_client_loses_the_lowest_first_and_nothing_critical(server: Server) -> None:
    """[P-43]"""
    async with server.agreed() as publisher, server.stalled("low:x") as client:
        before = server.health()["skipped_drop_low"]
        # So little of the highest that all of it fits.
        last = await publisher.publish("low:x", count=600, bytes=PIECE, priorities=[*[1, 3, 5, 8] * 5, 10])
        await server.reaches("skipped_drop_low", before + 1)
        await at_rest(server)  # what comes while the client reads finds room again
        messages, skips = await everything(client, last)
    first = min(skip["p"]["from"] for skip in skips)  # what is before it was on its way when the others began to wait
    got = Counter(m.get("pri", 5) for m in messages)
    waited = Counter(m.get("pri", 5) for m in messages if m["seq"] > first)
    assert got[10] == 600 // 21
    # What the system still takes for the client meanwhile is of every level, and comes too.
    assert 2 * waited[8] > 3 * max(waited[1], waited[3], waited[5]), waited
    assert {skip["p"]["reason"] for skip in skips} == {"drop_low"}


async def test_of_disconnect_a_slow_client_is_told_and_closed(server: Server) -> None:
    """[P-41] G5"""
    async with server.agreed() as publisher, server.stalled("cut:x") as client:
        before = server.health()["slow_consumers"]
        await publisher.publish("cut:x", count=600, bytes=PIECE)
        await server.reaches("slow_consumers", before + 1)
        assert (await client.until("error"))["p"]["code"] == "SLOW_CONSUMER"
        assert await client.closed() == 4001


async def test_a_slow_client_gets_what_is_critical_first(server: Server) -> None:
    """[P-36]"""
    async with server.agreed() as publisher, server.stalled("bulk", "normal", "critical") as client:
        before = server.health()["fell_behind"]
        last = await publisher.publish("bulk", count=600, bytes=PIECE, priorities=[1])
        await server.reaches("fell_behind", before + 1)
        await at_rest(server)  # from here on nothing goes out
        await publisher.publish("normal", count=3)
        await publisher.publish("critical", priorities=[10])
        order, bulk = [], []
        while not bulk or bulk[-1] != last:
            message = await client.receive()
            if message.get("tp") == "bulk":
                bulk.append(message["seq"])
            elif "tp" in message:
                order.append(message["tp"])
                assert len(bulk) < 600
    assert order == ["critical", "normal", "normal", "normal"]
    assert bulk == list(range(last - 599, last + 1))


async def test_a_flood_is_held_back_and_nothing_of_it_is_lost(server: Server) -> None:
    """[P-44]: a burst of 1,000, then 100 a second."""
    async with server.agreed() as client:
        began = time.monotonic()
        for n in range(1250):
            await client.send({"t": "echo", "cid": str(n), "p": n})
        await server.reaches("rate_held", 1)
        replies = [await client.until("reply") for _ in range(1250)]
        assert time.monotonic() - began > 2
    assert [(reply["cid"], reply["p"]) for reply in replies] == [(str(n), n) for n in range(1250)]


async def test_who_never_keeps_to_the_rate_is_closed_after_a_while(server: Server) -> None:
    """[P-44]"""
    async with server.agreed() as client:
        before, began = server.health()["rate_closed"], time.monotonic()
        text = json.dumps({"v": 2, "t": "echo"})
        await asyncio.gather(*(client.socket.send(text) for _ in range(2000)))
        assert (await client.until("error"))["p"]["code"] == "RATE_LIMITED"
        assert 3 < time.monotonic() - began < 8
        assert await client.closed() == 1013
        await server.reaches("rate_closed", before + 1)


async def test_a_message_published_twice_with_one_key_is_one(server: Server) -> None:
    """G4"""
    async with server.agreed() as client:
        [entry] = await client.subscribe("once")
        first = await client.publish("once", idempotency_key="order-7")
        again = await client.publish("once", idempotency_key="order-7", count=3)
        other = await client.publish("once", idempotency_key="order-8")
        assert (first, again, other) == (entry["seq"] + 1, entry["seq"] + 1, entry["seq"] + 2)
        assert [m["seq"] for m in await client.topic("once", 2)] == [first, other]


async def test_how_well_clients_answer_is_counted(server: Server) -> None:
    """[P-26]"""
    async with server.agreed() as client:
        before = server.health()["links"]
        assert sum(before.values()) >= 1
        for _ in range(2):
            await client.protocol("pong", (await client.until("ping")).get("p"))
        assert (await client.ask("echo", 1))["p"] == 1
        assert server.health()["links"]["excellent"] >= 1
