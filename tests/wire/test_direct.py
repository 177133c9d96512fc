"""Messages to users and sessions over real sockets, on every server: to them, to all of their connections, and to nobody else."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conftest import Client, Server


def someone() -> str:
    return f"user-{uuid.uuid4().hex[:12]}"


@asynccontextmanager
async def connected(server: Server, user: str | None = None, **hello: Any) -> "AsyncIterator[tuple[Client, dict[str, Any], dict[str, Any]]]":
    """A client, its `server_ready`, and what it is told of the server's own names."""
    async with server.client(subprotocols=["wse.v2"]) as client:
        await client.protocol("client_hello", {"session": "", **({"token": user} if user else {}), **hello})
        ready = (await client.until("server_ready"))["p"]
        entries: dict[str, Any] = {}
        while not any(name.startswith("@session:") and "status" in entry and entry["status"] != "refused" for name, entry in entries.items()):
            update = (await client.until("subscription_update"))["p"]["topics"]
            entries |= {entry["tp"]: entry for entry in update}
        yield client, ready, entries


def at(entry: dict[str, Any]) -> dict[str, Any]:
    return {"e": entry["e"], "seq": entry["seq"]}


async def notes(client: Client, count: int) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []
    while len(got) < count:
        message = await client.receive()
        got += [message] if message["t"] == "note" else []
    return got


async def is_silent(client: Client) -> None:
    """Nothing came before the answer to a question."""
    await client.send({"t": "echo", "cid": "silent", "p": 1})
    assert (await client.receive())["cid"] == "silent"


async def send(client: Client, **order: Any) -> int:
    """Has the service send; the number of the last message. What comes before the reply is kept for `receive`."""
    return await client.order("send", order)


async def test_a_message_reaches_every_connection_of_its_user_and_nobody_else(guarded: Server) -> None:
    """[P-65] G7"""
    ada, bob = someone(), someone()
    before = guarded.health()["subscriptions"]
    async with connected(guarded, ada) as (one, _, entries), connected(guarded, ada) as (two, _, _), connected(guarded, bob) as (other, _, _):
        assert (entries[f"@user:{ada}"]["status"], entries[f"@user:{ada}"]["seq"]) == ("live", 0)
        assert guarded.health()["subscriptions"] == before, "they are not subscriptions"
        await send(other, user=ada, count=3)
        for client in (one, two):
            got = await notes(client, 3)
            assert [(m["tp"], m["seq"], m["p"]["n"]) for m in got] == [(f"@user:{ada}", n + 1, n) for n in range(3)]
            assert got[0]["e"].startswith(entries[f"@user:{ada}"]["e"] + "."), "the first message makes the log"
        await is_silent(other)


async def test_who_was_away_gets_what_was_sent_meanwhile(guarded: Server) -> None:
    """[P-65] G2: from before the log was made, and from within it."""
    ada = someone()
    name = f"@user:{ada}"
    async with connected(guarded, ada) as (_, _, entries):
        position = at(entries[name])
    async with connected(guarded, someone()) as (other, _, _):
        for known in (0, 4):
            await send(other, user=ada, count=4)
            async with connected(guarded, ada, positions={name: position}, away_ms=1) as (client, _, entries):
                assert (entries[name]["status"], entries[name]["recovered"]) == ("recovered", 4)
                got = await notes(client, 4)
                assert [m["seq"] for m in got] == [known + n for n in range(1, 5)]
                position = at(got[-1])
        async with connected(guarded, ada, positions={name: position}) as (client, _, entries):
            assert (entries[name]["status"], at(entries[name])) == ("live", position)
            await is_silent(client)


async def test_who_cannot_know_that_nothing_was_missed_is_told(guarded: Server) -> None:
    """[P-65] G2: away for too long, for a time unknown, or since another life of the server."""
    ada = someone()
    name = f"@user:{ada}"
    async with connected(guarded, ada) as (_, _, entries):
        position = at(entries[name])
    for away in ({"away_ms": 10**9}, {}):
        async with connected(guarded, ada, positions={name: position}, **away) as (_, _, entries):
            assert (entries[name]["status"], entries[name]["reason"]) == ("resync", "history")
    async with connected(guarded, ada, positions={name: {"e": "another", "seq": 0}}, away_ms=1) as (_, _, entries):
        assert (entries[name]["status"], entries[name]["reason"]) == ("resync", "epoch")


async def test_nobody_asks_for_the_servers_own_names(guarded: Server) -> None:
    """[P-31] [P-65] G7: but for what is missing of one's own."""
    ada, bob = someone(), someone()
    async with connected(guarded, ada) as (_, _, hers), connected(guarded, bob) as (client, _, his):
        forged = [f"@user:{ada}", next(name for name in hers if name.startswith("@session:")), "@user:*", "@session:*", "@", "@user:"]
        entries = await client.subscribe(*forged, positions={f"@user:{ada}": {"e": "x", "seq": 0}})
        assert {entry["code"] for entry in entries} <= {"RESERVED_TOPIC", "INVALID_TOPIC"} and len(entries) == len(forged)
        await client.protocol("snapshot_request", {"topics": [f"@user:{ada}"]}, cid="n")
        assert (await client.until("error"))["p"]["code"] == "RESERVED_TOPIC"
        await send(client, user=ada)
        await send(client, user=bob, count=2)
        await notes(client, 2)
        name = f"@user:{bob}"
        [entry] = await client.subscribe(name, positions={name: at(his[name])})
        assert (entry["status"], entry["recovered"]) == ("recovered", 2)
        assert [m["tp"] for m in await notes(client, 2)] == [name] * 2
        await client.protocol("subscription", {"action": "unsubscribe", "topics": [name]}, cid="u")
        await send(client, user=bob)
        assert [m["tp"] for m in await notes(client, 1)] == [name]
        await is_silent(client)


async def test_positions_and_secret_of_another_user_are_refused(guarded: Server) -> None:
    """[P-65] [P-66] G7: also where a client returns with another token."""
    ada, bob = someone(), someone()
    async with connected(guarded, ada) as (client, ready, entries):
        session = await client.order("session", None)
        stolen = {name: at(entry) for name, entry in entries.items()}
    async with connected(guarded, ada) as (client, _, _):
        await send(client, user=ada)
        await send(client, session=session)
    async with connected(guarded, bob, session=ready["session"], positions=stolen, away_ms=1) as (client, again, entries):
        assert again["session"] != ready["session"] and await client.order("session", None) != session
        assert {name: entries[name]["code"] for name in stolen} == dict.fromkeys(stolen, "RESERVED_TOPIC")
        assert entries[f"@user:{bob}"]["status"] == "live"
        await is_silent(client)
    async with connected(guarded, ada, session=ready["session"], positions=stolen, away_ms=1) as (client, again, entries):
        assert again["session"] == ready["session"]
        assert [entries[name]["status"] for name in stolen] == ["recovered"] * 2
        assert {m["tp"] for m in await notes(client, 2)} == {*stolen}


async def test_a_session_is_one_client_that_resumes_it(server: Server) -> None:
    """[P-66]: of anonymous clients too, which have nothing else of their own."""
    async with connected(server) as (one, ready, entries), connected(server) as (two, other, _):
        [name] = entries
        session = name.removeprefix("@session:")
        assert await one.order("session", None) == session
        assert ready["session"] != other["session"] and ready["session"].endswith(f".{session}")
        await send(two, session=session, count=2)
        got = await notes(one, 2)
        await is_silent(two)
        position = at(got[-1])
    async with connected(server) as (two, _, _):
        await send(two, session=session)
    async with connected(server, session=ready["session"], positions={name: position}, away_ms=1) as (client, again, entries):
        assert (again["session"], entries[name]["status"], entries[name]["recovered"]) == (ready["session"], "recovered", 1)
        assert [m["seq"] for m in await notes(client, 1)] == [3]


async def test_who_asks_for_no_session_has_none(server: Server) -> None:
    """[P-66]"""
    async with server.agreed({}) as client:
        assert await client.order("session", None) is None
        for forged in ("x", "0" * 65, "é" * 40):
            async with connected(server, session=forged) as (_, ready, _):
                assert ready["session"] != forged
