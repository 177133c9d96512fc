"""Messages whose effect the client wants to know, over real sockets, on every server: once, whatever is repeated."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from conftest import Client, Server
from test_presence_workers import Workers


def tracked(producer: str, number: int, kind: str, payload: Any, **keys: Any) -> dict[str, Any]:
    return {"t": kind, "cid": f"{producer[:8]}:{number}", "pid": producer, "n": number, "p": payload, **keys}


async def ask(client: Client, message: dict[str, Any]) -> dict[str, Any]:
    """Sends it and waits for its answer."""
    await client.send(message)
    while (answer := await client.receive()).get("cid") != message["cid"]:
        pass
    return answer


async def test_the_client_is_told_under_which_epoch_outcomes_are_kept_and_how_long(server: Server) -> None:
    """[P-52]"""
    epochs = set()
    for _ in range(2):
        async with server.client() as client:
            ready = (await client.until("server_ready"))["p"]
            epochs.add(ready["producers"])
            assert ready["outcomes_ms"] >= 24 * 3600 * 1000
    assert len(epochs) == 1


async def test_a_repetition_gets_the_reply_of_the_first_and_no_second_effect(server: Server) -> None:
    """[P-53] G3: on the same connection, on another, under any epoch."""
    producer, topic = uuid.uuid4().hex, f"effect-{uuid.uuid4().hex}"
    async with server.client() as client:
        first = await ask(client, tracked(producer, 1, "publish", {"topic": topic}))
        again = await ask(client, tracked(producer, 1, "publish", {"topic": topic}))
    async with server.client() as client:
        epoch = (await client.until("server_ready"))["p"]["producers"]
        answers = [await ask(client, tracked(producer, 1, "publish", {"topic": topic}, pe=pe)) for pe in (epoch, "another")]
        second = await ask(client, tracked(producer, 2, "publish", {"topic": topic}, na=1))
    assert first["t"] == "reply"
    assert [again, *answers] == [first] * 3
    assert second["p"] == first["p"] + 1, "the topic has one message of the first four"
    assert (await server.reaches("repeats_answered", 3))["begun"] >= 2


async def test_what_may_have_been_lost_is_unknown_and_not_handled(server: Server) -> None:
    """[P-53] [P-54] G3: sent under another epoch, or an outcome that the client has seen."""
    producer, topic = uuid.uuid4().hex, f"lost-{uuid.uuid4().hex}"
    async with server.client() as client:
        unknown = await ask(client, tracked(producer, 7, "publish", {"topic": topic}, pe="another"))
        assert (unknown["t"], unknown["p"]["code"]) == ("error", "OUTCOME_UNKNOWN")
        fresh = await ask(client, tracked(producer, 8, "publish", {"topic": topic}))
        await ask(client, tracked(producer, 9, "echo", None, na=8))
        seen = await ask(client, tracked(producer, 8, "publish", {"topic": topic}))
        assert seen["p"]["code"] == "OUTCOME_UNKNOWN"
        last = await ask(client, tracked(producer, 10, "publish", {"topic": topic}))
    assert last["p"] == fresh["p"] + 1, "nothing was published between"


async def test_a_failure_is_an_outcome_too_and_makes_a_dead_letter(server: Server) -> None:
    """[P-53]"""
    producer = uuid.uuid4().hex
    before = server.health()["dead_lettered"]
    async with server.client() as client:
        failures = [await ask(client, tracked(producer, 1, "fail", {"of": producer})) for _ in range(2)]
        missing = [await ask(client, tracked(producer, 2, "nobody", None)) for _ in range(2)]
        letters = await client.order("letters", None)
    assert failures[0] == failures[1]
    assert missing[0] == missing[1]
    assert [failures[0]["p"]["code"], missing[0]["p"]["code"]] == ["HANDLER_FAILED", "NO_HANDLER"]
    assert [letter for letter in letters if producer in letter] == [f'fail {{"of":"{producer}"}}']
    await server.reaches("dead_lettered", before + 1)


@pytest.mark.parametrize("kind", ["native", "rust"])
async def test_a_dead_letter_is_there_for_every_worker_on_redis(kind: str, tmp_path: Path) -> None:
    """[P-53]: once, with what it said, before the client is told."""
    workers, producer = Workers(tmp_path, kind), uuid.uuid4().hex
    try:
        (one, _), (two, _) = workers.start(), workers.start()
        async with one.client() as client, two.client() as other:
            for _ in range(2):
                assert (await ask(client, tracked(producer, 1, "fail", {"of": producer})))["p"]["code"] == "HANDLER_FAILED"
                assert await other.order("letters", None) == [f'fail {{"of":"{producer}"}}']
    finally:
        workers.close()


async def test_messages_of_both_kinds_are_handled_in_the_order_sent(server: Server) -> None:
    """[P-30]"""
    producer, topic = uuid.uuid4().hex, f"mixed-{uuid.uuid4().hex}"
    async with server.client() as client:
        await client.subscribe(topic)
        for n in range(1, 101):
            message = {"t": "publish", "cid": str(n), "p": {"topic": topic, "payload": {"of": n}}}
            await client.send(message | ({"pid": producer, "n": n} if n % 3 else {}))
        got = await client.topic(topic, 100)
    assert [message["p"]["of"] for message in got] == list(range(1, 101))


async def test_what_names_half_of_it_is_refused_and_not_handled(server: Server) -> None:
    """[P-51]"""
    async with server.client() as client:
        for keys in ({"pid": "a"}, {"n": 1}, {"pid": "a", "n": 0}, {"na": 1}, {"pe": "x"}):
            answer = await ask(client, {"t": "echo", "cid": "half", **keys})
            assert (answer["t"], answer["p"]["code"]) == ("error", "INVALID_MESSAGE"), keys
        await client.send({"t": "echo", "pid": "a", "n": 1})
        assert (await client.until("error"))["p"]["code"] == "INVALID_MESSAGE"
