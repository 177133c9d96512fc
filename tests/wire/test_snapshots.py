"""A topic's state and what follows it, over real sockets, on every server."""

import asyncio

import pytest
from conftest import Client, Server

FORMATS = [{}, {"formats": ["msgpack"], "compression": ["zlib"], "batch": True}]


async def state(client: Client, topic: str) -> dict[str, object]:
    """The next message, which is the topic's state ([P-57])."""
    message = await client.receive()
    assert (message.get("c"), message["t"], message["tp"]) == ("S", "snapshot", topic), message
    return message


async def calls(server: Server, least: int) -> None:
    await server.reaches("snapshots", least)


@pytest.mark.parametrize("hello", FORMATS, ids=["json", "msgpack"])
async def test_a_state_slower_than_a_thousand_messages_comes_before_all_of_them(server: Server, hello: dict[str, object]) -> None:
    """[P-56] [P-57]"""
    topic = f"own:slow{len(hello)}"
    async with server.agreed(hello) as client, server.agreed() as publisher:
        await publisher.publish(topic, count=5)
        before = server.health()["snapshots"]
        [entry] = await client.subscribe(topic)
        assert (entry["status"], entry["seq"], entry["snapshot"]) == ("live", 5, True)
        await calls(server, before + 1)
        assert await publisher.publish(topic, count=1000, many=True) == 1005
        await publisher.ask("open", topic)
        got = await state(client, topic)
        assert (got["e"], got["seq"], got["p"]) == (entry["e"], 5, {"topic": topic, "call": 1})
        assert [(await client.receive())["seq"] for _ in range(1000)] == list(range(6, 1006))
        await publisher.publish(topic)
        assert (await client.receive())["seq"] == 1006
    assert (await server.reaches("snapshots_sent", 1))["snapshot_pinned_bytes"] == 0


async def test_who_returns_with_a_position_gets_no_state(server: Server) -> None:
    """[P-56]"""
    async with server.agreed() as client:
        await client.ask("open", "own:back")
        [entry] = await client.subscribe("own:back")
        await state(client, "own:back")
        await client.publish("own:back", count=3)
    at = {"e": entry["e"], "seq": entry["seq"] + 1}
    async with server.agreed({"topics": ["own:back"], "positions": {"own:back": at}}) as client:
        [back] = (await client.until("subscription_update"))["p"]["topics"]
        assert back == {"tp": "own:back", "status": "recovered", "recovered": 2, **at}
        assert [(await client.receive())["seq"] for _ in range(2)] == [entry["seq"] + 2, entry["seq"] + 3]
    async with server.agreed({"topics": ["own:back"], "positions": {"own:back": {"e": "another", "seq": 1}}}) as client:
        [lost] = (await client.until("subscription_update"))["p"]["topics"]
        assert (lost["status"], lost["reason"], lost["snapshot"]) == ("resync", "epoch", True)
        assert (await state(client, "own:back"))["seq"] == lost["seq"]


async def test_one_call_serves_all_where_the_state_is_shared_and_one_client_where_nobody_knows_who_it_is(server: Server) -> None:
    """[P-57] G7"""
    for topic, wanted in (("shared:x", {1}), ("own:x", {1, 2, 3, 4})):
        async with server.agreed() as one, server.agreed() as two, server.agreed() as three, server.agreed() as four:
            before = server.health()
            for client in (one, two, three, four):
                [entry] = await client.subscribe(topic)
                assert entry["snapshot"] is True
            await calls(server, before["snapshots"] + len(wanted))
            await server.reaches("snapshots_shared", before["snapshots_shared"] + 4 - len(wanted))
            await one.send({"t": "open", "p": topic})
            got = [await state(client, topic) for client in (one, two, three, four)]
        assert {message["p"]["call"] for message in got} == wanted


async def test_a_state_that_failed_is_told_and_can_be_asked_for_again(server: Server) -> None:
    """[P-58] [P-59]"""
    async with server.agreed() as client:
        [entry] = await client.subscribe("broken:x")
        error = await client.receive()
        assert (error["t"], error["p"]["code"], error["p"]["topic"]) == ("error", "SNAPSHOT_FAILED", "broken:x")
        seq = await client.publish("broken:x", count=2)
        assert [(await client.receive())["seq"] for _ in range(2)] == [seq - 1, seq], "the subscription stays"
        await client.protocol("snapshot_request", {"topics": ["broken:x", "broken:other", "echo"]}, cid="r")
        got = sorted([await client.receive() for _ in range(3)], key=lambda message: message["t"])
        assert {(m["cid"], m["p"]["code"], m["p"]["topic"]) for m in got[:2]} == {("r", "NO_SNAPSHOT", "broken:other"), ("r", "NO_SNAPSHOT", "echo")}
        assert (got[2]["c"], got[2]["p"], got[2]["e"], got[2]["seq"]) == ("S", "mended", entry["e"], seq)


async def test_what_follows_a_state_that_failed_follows_where_the_filter_left_the_client(server: Server) -> None:
    """[P-38] [P-59]"""
    async with server.agreed() as client, server.agreed() as publisher:
        before = server.health()["snapshots"]
        [entry] = await client.subscribe("broken:late", filters={"broken:late": {"n": 0}})
        assert (await client.receive())["p"]["code"] == "SNAPSHOT_FAILED"
        first = await publisher.publish("broken:late", count=2) - 1
        assert (await client.receive())["seq"] == first
        await client.protocol("snapshot_request", {"topics": ["broken:late"]}, cid="r")
        await server.reaches("snapshots", before + 2)
        last = await publisher.publish("broken:late", count=1)
        await publisher.ask("open", "broken:late")
        at = first
        while at != last:
            message = await client.receive("beacon")
            if message["t"] == "error":
                assert (message["cid"], message["p"]["code"]) == ("r", "SNAPSHOT_FAILED")
                continue
            assert message["ps"] <= at, message
            at = message["seq"]
    assert last == entry["seq"] + 3


async def test_rows_pass_the_forced_filter_and_the_clients_own(server: Server) -> None:
    """[P-57]"""
    async with server.agreed() as client:
        await client.subscribe("rows:x")
        assert (await state(client, "rows:x"))["p"] == [{"tenant": "a", "n": 0}, {"tenant": "a", "n": 2}]
        await client.subscribe("rows:y", filters={"rows:y": {"n": {"$gte": 1}}})
        assert (await state(client, "rows:y"))["p"] == [{"tenant": "a", "n": 2}]
        await client.subscribe("rows:none")
        error = await client.receive()
        assert (error["p"]["code"], error["p"]["topic"]) == ("SNAPSHOT_FAILED", "rows:none")
        assert "rows" in error["p"]["message"]


async def test_a_state_asked_for_in_the_middle_of_a_stream_costs_no_message(server: Server) -> None:
    """[P-59]"""
    async with server.agreed() as client, server.agreed() as publisher:
        await client.ask("open", "own:stream")
        [entry] = await client.subscribe("own:stream")
        await state(client, "own:stream")

        async def stream() -> None:
            for _ in range(20):
                await publisher.ask("publish", {"topic": "own:stream", "count": 100})

        streaming = asyncio.create_task(stream())
        at, states = entry["seq"], 0
        while at < entry["seq"] + 2000:
            if at % 500 == 100:
                await client.protocol("snapshot_request", {"topics": ["own:stream"]})
            message = await client.receive()
            if message.get("c") == "S":
                assert message["seq"] == at, "it stands where the client is"
                states += 1
                continue
            at += 1
            assert message["seq"] == at
        await streaming
    assert states >= 1


async def test_topics_of_a_pattern_have_their_states(server: Server) -> None:
    """[P-39] [P-56]"""
    async with server.agreed() as client, server.agreed() as publisher:
        await publisher.publish("shared:p1", count=2)
        for topic in ("shared:p1", "shared:born"):
            await publisher.ask("open", topic)
        [entry] = await client.subscribe("shared:*", filters={"shared:*": {"n": {"$gte": 0}}})
        [listed] = [topic for topic in entry["topics"] if topic["tp"] == "shared:p1"]
        assert (listed["status"], listed["seq"], listed["snapshot"]) == ("live", 2, True)
        while (message := await client.receive()).get("tp") != "shared:p1":
            pass
        assert (message["c"], message["seq"]) == ("S", 2)
        await publisher.publish("shared:born")
        born = (await client.until("subscription_update"))["p"]["topics"][0]["topics"]
        assert [(topic["tp"], topic["snapshot"]) for topic in born] == [("shared:born", True)]
        got = await client.topic("shared:born", 2)
        assert [(message.get("c"), message["seq"]) for message in got] == [("S", 0), (None, 1)]
