"""What a client missed, over real sockets, on every server: replayed whole and in order, or told as `resync`."""

import asyncio

from conftest import Client, Server


async def back(client: Client, topic: str, position: dict[str, object]) -> dict[str, object]:
    """Subscribes with a position; returns the entry of the answer."""
    await client.protocol("subscription", {"action": "subscribe", "topics": [topic], "positions": {topic: position}})
    [entry] = (await client.until("subscription_update"))["p"]["topics"]
    return entry


async def test_what_was_missed_comes_before_what_is_new(server: Server) -> None:
    """[P-24] [P-33]"""
    async with server.client() as client:
        [entry] = await client.subscribe("missed")
        await client.ask("publish", {"topic": "missed", "count": 3})
    async with server.client() as publisher:
        await publisher.ask("publish", {"topic": "missed", "count": 200})
        async with server.client() as client:
            seen = {"e": entry["e"], "seq": entry["seq"] + 3}
            answer = await back(client, "missed", seen)
            assert answer == {"tp": "missed", "status": "recovered", "recovered": 200, **seen}
            await publisher.ask("publish", {"topic": "missed", "count": 5})
            got = [(await client.receive())["seq"] for _ in range(205)]
    assert got == list(range(seen["seq"] + 1, seen["seq"] + 206))


async def test_a_client_that_returns_in_the_middle_of_a_stream_loses_and_repeats_nothing(server: Server) -> None:
    """[P-33]"""
    async with server.client() as publisher:
        [entry] = await publisher.subscribe("stream")
        position = {"e": entry["e"], "seq": entry["seq"]}
        await publisher.protocol("subscription", {"action": "unsubscribe", "topics": ["stream"]})
        last = entry["seq"] + 3000
        streaming = asyncio.create_task(publisher.ask("publish", {"topic": "stream", "count": 3000}))
        statuses = set()
        while position["seq"] < last:
            async with server.client() as client:
                answer = await back(client, "stream", position)
                statuses.add(answer["status"])
                assert answer["seq"] == position["seq"], answer
                for _ in range(min(200, last - position["seq"])):
                    message = await client.until("stream")
                    assert message["seq"] == position["seq"] + 1
                    position["seq"] += 1
                client.socket.transport.abort()  # cut, with whatever is on its way
        await streaming
    assert statuses <= {"live", "recovered"}
    assert "recovered" in statuses


async def test_more_than_fits_at_once_is_replayed_whole_before_what_is_new(server: Server) -> None:
    """[P-24]: 6,000 messages are more than a connection holds, and less than the log does."""
    async with server.client() as publisher, server.client() as client:
        [entry] = await publisher.subscribe("much")
        await publisher.protocol("subscription", {"action": "unsubscribe", "topics": ["much"]})
        await publisher.ask("publish", {"topic": "much", "count": 6000})
        answer = await back(client, "much", {"e": entry["e"], "seq": entry["seq"]})
        assert (answer["status"], answer["seq"]) == ("recovered", entry["seq"])
        await publisher.ask("publish", {"topic": "much", "count": 10})
        got = [(await client.until("much"))["seq"] for _ in range(6010)]
    assert got == list(range(entry["seq"] + 1, entry["seq"] + 6011))


async def test_more_than_the_log_holds_is_a_resync_and_the_stream_goes_on(server: Server) -> None:
    """[P-24]: a log holds 16,384 messages."""
    async with server.client() as client:
        [entry] = await client.subscribe("long")
        await client.protocol("subscription", {"action": "unsubscribe", "topics": ["long"]})
        top = (await client.ask("publish", {"topic": "long", "count": 16_500}))["p"]
        answer = await back(client, "long", {"e": entry["e"], "seq": entry["seq"]})
        assert (answer["status"], answer["reason"], answer["seq"]) == ("resync", "history", top)
        await client.send({"t": "publish", "p": {"topic": "long"}})
        assert (await client.until("long"))["seq"] == top + 1


async def test_a_topic_that_is_asked_for_again_stays_as_it_was_unless_a_position_comes_with_it(server: Server) -> None:
    """[P-25]: the client says with its position what it has not got."""
    async with server.agreed() as client:
        [entry] = await client.subscribe("again")
        top = await client.publish("again", count=3)
        await client.topic("again", 3)
        assert await client.subscribe("again") == [{**entry, "seq": top}]
        answer = await back(client, "again", {"e": entry["e"], "seq": entry["seq"]})
        assert answer == {**entry, "status": "recovered", "recovered": 3}
        await client.publish("again")
        assert [m["seq"] for m in await client.topic("again", 4)] == list(range(top - 2, top + 2))
