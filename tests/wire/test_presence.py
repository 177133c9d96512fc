"""Who is in a topic, over real sockets, on every server: seen to come, change and leave, once and by everybody who watches."""

import asyncio
import json
import time

import pytest
from conftest import Server
from presence import Watcher, enter, key, presence, room, watching

GRACE = 1.0
"""What the services keep a lost connection in its rooms."""


async def test_who_comes_changes_and_leaves_is_seen(server: Server) -> None:
    """[P-60] [P-61] [P-64]"""
    topic = room()
    async with watching(server, topic) as watcher, server.agreed() as client:
        assert (watcher.members, watcher.count) == ({}, 0)
        ada = await enter(client, topic, {"name": "Ada", "at": [1, None]}, key=key())
        await watcher.until(ada)
        assert watcher.members[ada] == {"id": ada, "user": None, "data": {"name": "Ada", "at": [1, None]}}
        assert len(ada) == 16 and watcher.count == 1
        again = await enter(client, topic, "away", key=key())
        await watcher.until(again)
        assert again != ada and watcher.told("gone") == [ada] and watcher.count == 1, "with another key it has left as the former"
        await presence(client, "leave", topic)
        await watcher.until()
        assert watcher.told("gone") == [ada, again]


async def test_nothing_is_told_of_a_change_that_changes_nothing(server: Server) -> None:
    """[P-60]"""
    topic, mine = room(), key()
    async with watching(server, topic) as watcher, server.agreed() as client:
        ada = await enter(client, topic, 1, key=mine)
        await watcher.until(ada)
        for action in ("enter", "update"):
            assert (await presence(client, action, topic, data=1, key=mine))["p"] == {"id": ada}
        await watcher.sees_nothing(0.4)
        await client.protocol("presence", {"action": "update", "topic": topic, "data": 2, "key": mine})
        await watcher.next()
        assert watcher.members[ada]["data"] == 2


async def test_a_user_is_one_member_and_shows_what_its_newest_connection_said(guarded: Server) -> None:
    """[P-61]"""
    topic, user = room(), f"user-{key()[:8]}"
    async with watching(guarded, topic, hello={"token": "watcher"}) as watcher, guarded.agreed({"token": user}) as desk:
        ada = await enter(desk, topic, "desk")
        async with guarded.agreed({"token": user}) as phone:
            assert await enter(phone, topic, "phone", key=key()) == ada, "the key of a client with a user is not looked at"
            while watcher.members.get(ada) != {"id": ada, "user": user, "data": "phone"}:
                await watcher.next()
            assert watcher.count == 1
        await watcher.next()
        assert watcher.members[ada]["data"] == "desk" and watcher.told("gone") == []
        assert await desk.order("members", topic) == [user] and await desk.order("count", topic) == 1
        await presence(desk, "leave", topic)
        await watcher.until()
        assert watcher.told("gone") == [ada]


async def test_a_break_shorter_than_the_grace_time_is_not_seen_and_a_longer_one_is_one_leave(server: Server) -> None:
    """[P-62]"""
    topic, mine = room(), key()
    async with watching(server, topic) as watcher:
        async with server.agreed() as client:
            ada = await enter(client, topic, "here", key=mine)
            await watcher.until(ada)
            client.socket.transport.abort()
        await watcher.sees_nothing(GRACE / 2)
        async with server.agreed() as client:
            assert await enter(client, topic, "here", key=mine) == ada
            await watcher.sees_nothing(GRACE * 1.5)
            client.socket.transport.abort()
            lost = time.monotonic()
        await watcher.until()
        assert GRACE * 0.9 < time.monotonic() - lost < GRACE * 3 and watcher.told("gone") == [ada]


@pytest.mark.parametrize(("code", "at_once"), [(1000, True), (None, True), (1001, False), (4000, False), (4004, False)])
async def test_a_client_that_closes_for_good_has_left_at_once(server: Server, code: int | None, at_once: bool) -> None:
    """[P-62]"""
    topic = room()
    async with watching(server, topic) as watcher:
        async with server.agreed() as client:
            ada = await enter(client, topic, key=key())
            await watcher.until(ada)
            await client.socket.close(code)
        closed = time.monotonic()
        await watcher.until()
        assert (time.monotonic() - closed < GRACE * 0.9) == at_once


async def test_only_the_count_is_told_to_those_who_watch_the_count(server: Server) -> None:
    """[P-64]"""
    topic, mine = room(), key()
    async with server.agreed() as client, watching(server, topic, "@count:") as watcher:
        assert watcher.count == 0 and watcher.members == {}
        await enter(client, topic, 1, key=mine)
        await watcher.counts(1)
        await enter(client, topic, 2, key=mine)
        await watcher.sees_nothing(0.5)
        await presence(client, "leave", topic)
        await watcher.counts(0)


async def test_who_watches_later_gets_the_exact_state_and_what_follows_it(server: Server) -> None:
    """[P-64] [P-56]"""
    topic = room()
    async with server.agreed() as one, server.agreed() as two, server.agreed() as client, watching(server, topic) as first:
        ids = [await enter(each, topic, n, key=key()) for n, each in enumerate((one, two, client))]
        await first.until(*ids)
        async with watching(server, topic) as late, watching(server, topic, "@count:") as count:
            assert late.members == first.members and (late.count, count.count) == (3, 3) and late.messages == []
            assert late.exact == first.position["seq"]
            await presence(client, "leave", topic)
            await late.until(*ids[:2])
            await count.counts(2)
            await late.client.protocol("snapshot_request", {"topics": [late.log]})
            await late.next()
            assert late.states == 2 and late.members.keys() == {*ids[:2]}


async def test_a_watcher_that_comes_back_gets_what_it_missed_or_the_state(server: Server) -> None:
    """[P-64] G2"""
    topic = room()
    async with server.agreed() as client, watching(server, topic) as watcher, watching(server, topic):
        ada = await enter(client, topic, "a", key=key())
        await watcher.until(ada)
        async with server.agreed() as other, watching(server, topic) as keeper:
            position = watcher.position
            await watcher.client.protocol("subscription", {"action": "unsubscribe", "topics": [watcher.log]}, cid="u")
            bob = await enter(other, topic, "b", key=key())
            await keeper.until(ada, bob)
            async with server.agreed({"topics": [watcher.log], "positions": {watcher.log: position}}) as back:
                update = await back.until("subscription_update")
                [entry] = update["p"]["topics"]
                assert (entry["status"], entry["recovered"], entry.get("snapshot")) == ("recovered", 1, None)
                again = Watcher(back, topic)
                again.members = dict(watcher.members)
                await again.until(ada, bob)
            async with server.agreed() as back:
                lost = await Watcher(back, topic).begin({"e": "another", "seq": 7})
                assert (lost.entry["status"], lost.entry["snapshot"]) == ("resync", True)
                assert lost.members == keeper.members


async def test_what_is_refused_says_why_and_changes_nothing(server: Server) -> None:
    """[P-60] [P-61] [P-63]"""
    topic, mine = room(), key()
    async with watching(server, topic) as watcher, server.agreed() as client:
        ada = await enter(client, topic, 1, key=mine)
        refused = {
            "PRESENCE_OFF": {"topic": "plain", "key": mine},
            "PRESENCE_DATA_TOO_LARGE": {"topic": topic, "key": mine, "data": "x" * 1023},
            "INVALID_MESSAGE": {"topic": topic, "data": 2},
            "INVALID_TOPIC": {"topic": "room:" + "x" * 186, "key": mine},
            "RESERVED_TOPIC": {"topic": f"@presence:{topic}", "key": mine},
        }
        for code, keys in refused.items():
            error = await presence(client, "enter", **keys)
            assert (error["t"], error["p"]["code"], error["p"]["topic"]) == ("error", code, keys["topic"])
        await watcher.until(ada)
        await watcher.sees_nothing(0.4)
        assert watcher.members[ada]["data"] == 1
        for n in range(2):
            await enter(client, f"{topic}:{n}", key=mine)
        assert (await presence(client, "enter", f"{topic}:3", key=mine))["p"]["code"] == "TOO_MANY_PRESENCES"
        await presence(client, "leave", f"{topic}:0")
        assert (await presence(client, "enter", f"{topic}:3", key=mine))["t"] == "reply"
        entries = await client.subscribe("@presence:plain", "@count:plain", "@presence:a b", "@presence:room:*", "@user:x")
        assert [entry["code"] for entry in entries] == ["PRESENCE_OFF"] * 2 + ["INVALID_TOPIC"] * 2 + ["RESERVED_TOPIC"]
        [entry] = await client.subscribe(watcher.log, filters={watcher.log: {"count": 1}})
        assert entry["code"] == "INVALID_FILTER"
        [entry] = await client.subscribe("room:*")
        assert not any(born["tp"].startswith("@") for born in entry.get("topics", [])), "no pattern stands for the logs"


async def test_a_thousand_who_come_at_once_are_told_in_a_few_messages(server: Server) -> None:
    """[P-64] G5: every one of them, once."""
    topic, count = room(), 1000
    async with watching(server, topic) as watcher, watching(server, topic, "@count:") as counter:
        entered: list[str] = []
        together = asyncio.Barrier(count + 1)

        async def one(index: int) -> None:
            async with server.agreed() as client:
                await together.wait()
                entered.append(await enter(client, topic, {"n": index}, key=key()))
                await together.wait()
                await together.wait()
                await client.socket.close(1000)

        crowd = [asyncio.ensure_future(one(index)) for index in range(count)]
        async with asyncio.timeout(60):
            await together.wait()
            begun = time.monotonic()
            while watcher.count < count:
                await watcher.next()
            took = time.monotonic() - begun
            await together.wait()
        assert sorted(watcher.told("set")) == sorted(entered) and len(watcher.members) == count
        # One at once, and then at most one for each 500 members and one for each 200 ms.
        assert len(watcher.messages) <= 3 + count / 500 + took / 0.2, f"{len(watcher.messages)} messages in {took:.2f} s"
        await counter.counts(count)
        assert len(counter.messages) <= len(watcher.messages)
        size = sum(len(json.dumps(message)) for message in watcher.messages)
        assert size < count * 100
        await together.wait()
        await asyncio.gather(*crowd)
        await watcher.until()
        assert sorted(watcher.told("gone")) == sorted(entered)
