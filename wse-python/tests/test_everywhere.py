"""What holds on every server, loop, parser and WebSocket library, natively and through ASGI."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from .support.client import Client
from .support.servers import Server


async def test_health_names_the_transport_after_a_connection(anywhere: Server) -> None:
    async with Client(anywhere.ws()):
        health = await asyncio.to_thread(anywhere.health)
    assert health["transport"] == anywhere.expected_transport  # type: ignore[attr-defined]
    assert health["reason"]


async def test_a_proxys_https_header_changes_no_transport(anywhere: Server) -> None:
    async with Client(anywhere.ws(), additional_headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}) as client:
        assert (await client.request("echo", 1))["t"] == "reply"
        health = await asyncio.to_thread(anywhere.health)
    assert health["transport"] == anywhere.expected_transport  # type: ignore[attr-defined]


async def test_a_published_value_reaches_a_subscriber_with_its_receipts_position(anywhere: Server) -> None:
    async with Client(anywhere.ws(), topics=["prices"]) as client:
        receipt = await asyncio.to_thread(anywhere.post, "/publish", topic="prices", payload={"eur": 1.5, "text": "ü"}, type="tick", key="eur")
        message = await client.kind("tick")
    assert message["p"] == {"eur": 1.5, "text": "ü"}
    assert (message["tp"], message["e"], message["seq"], message["id"]) == ("prices", receipt["epoch"], receipt["seq"], receipt["id"])
    assert message["k"] == "eur"


async def test_without_a_type_the_topic_is_the_type(anywhere: Server) -> None:
    async with Client(anywhere.ws(), topics=["untyped"]) as client:
        await asyncio.to_thread(anywhere.post, "/publish-sync", topic="untyped", payload=None)
        assert (await client.receive())["t"] == "untyped"


async def test_topics_in_the_query_are_subscribed_at_connect(anywhere: Server) -> None:
    async with connect(anywhere.ws("/wse?topics=a%20b,query"), proxy=None) as socket, asyncio.timeout(5):
        kinds = [json.loads(await socket.recv()) for _ in range(3)]
        assert [kind["t"] for kind in kinds] == ["server_hello", "server_ready", "subscription_update"]
        assert [topic["status"] for topic in kinds[2]["p"]["topics"]] == ["refused", "live"]


async def test_a_handler_gets_payload_type_and_id_and_its_return_value_is_the_reply(anywhere: Server) -> None:
    async with Client(anywhere.ws()) as client:
        reply = await client.request("echo", {"deep": [1, None, "x"]}, id="m-1")
    assert reply["t"] == "reply"
    assert reply["p"] == {"payload": {"deep": [1, None, "x"]}, "type": "echo", "id": "m-1"}


async def test_a_handler_sees_its_connection(anywhere: Server) -> None:
    async with Client(anywhere.ws(), topics=["mine"], user_agent_header="tests/1") as client:
        who = (await client.request("who", None))["p"]
    assert who == {"user": None, "claims": {}, "agent": "tests/1", "host": "127.0.0.1", "topics": ["mine"], "token": None, "session": None}


@pytest.mark.parametrize(
    ("type", "payload", "code", "named"),
    [
        ("order", {"id": "many"}, "INVALID_MESSAGE", "payload.id"),
        ("order", [], "INVALID_MESSAGE", "payload"),
        ("raise", 1, "HANDLER_FAILED", "raise"),
        ("cancelled", 1, "HANDLER_FAILED", "cancelled"),
        ("unsendable", 1, "HANDLER_FAILED", "unsendable"),
        ("nobody", 1, "NO_HANDLER", "nobody"),
    ],
)
async def test_a_message_that_cannot_be_handled_is_answered_and_the_connection_stays(
    anywhere: Server, type: str, payload: Any, code: str, named: str
) -> None:
    async with Client(anywhere.ws()) as client:
        error = await client.request(type, payload)
        assert (error["t"], error["p"]["code"]) == ("error", code)
        assert named in error["p"]["message"]
        assert "secret" not in error["p"]["message"]
        assert (await client.request("order", {"id": 2}))["p"] == {"double": 4}


async def test_a_plain_def_handler_runs_in_a_thread_and_may_publish(anywhere: Server) -> None:
    async with Client(anywhere.ws(), topics=["from-thread"]) as client:
        await client.send({"v": 2, "t": "thread", "p": "hi", "cid": "x"})
        kinds = {(await client.receive())["t"] for _ in range(2)}
    assert kinds == {"reply", "from-thread"}


async def test_messages_of_a_connection_are_handled_in_order_one_after_the_other(anywhere: Server) -> None:
    async with Client(anywhere.ws()) as client:
        for index in range(300):
            await client.send({"v": 2, "t": "nap" if index == 0 else "echo", "p": 0.2 if index == 0 else index, "cid": f"{index}"})
        assert [(await client.receive())["cid"] for _ in range(300)] == [f"{index}" for index in range(300)]


async def test_the_application_closes_with_a_code(anywhere: Server) -> None:
    async with Client(anywhere.ws()) as client:
        await client.send({"v": 2, "t": "leave", "p": 4001})
        assert await client.closed() == 4001


async def test_connect_and_disconnect_hooks_run_exactly_once(anywhere: Server) -> None:
    before = len(await asyncio.to_thread(anywhere.get, "/events"))
    async with Client(anywhere.ws()) as client:
        await client.request("echo", 1)
    async with asyncio.timeout(5):
        while len(events := (await asyncio.to_thread(anywhere.get, "/events"))[before:]) < 2:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)
    events = (await asyncio.to_thread(anywhere.get, "/events"))[before:]
    mine = [event for event in events if event[1] == events[0][1]]
    assert [event[0] for event in mine] == ["connect", "disconnect"]
    assert mine[1][2] == (1006 if "hypercorn" in anywhere.process.args else 1000)  # hypercorn tells every close as 1006


@pytest.mark.parametrize(("end", "code"), [("without a code", 1000), ("lost", 1006)])
async def test_a_close_without_a_code_is_told_as_1000_and_a_loss_as_1006(anywhere: Server, end: str, code: int) -> None:
    before = len(await asyncio.to_thread(anywhere.get, "/events"))
    async with Client(anywhere.ws()) as client:
        await client.request("echo", 1)
        if end == "lost":
            client.socket.transport.abort()
        else:
            await client.socket.close(None)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not (told := [event[2] for event in (await asyncio.to_thread(anywhere.get, "/events"))[before:] if event[0] == "disconnect"]):
            await asyncio.sleep(0.05)
    if any(server in anywhere.process.args for server in ("hypercorn", "granian")):
        code = 1006  # neither says which of both it was
    assert told == [code]


async def test_a_large_message_arrives_whole_both_ways(anywhere: Server) -> None:
    text = "x" * 900_000
    async with Client(anywhere.ws()) as client:
        assert (await client.request("echo", text))["p"]["payload"] == text


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("not json", "INVALID_JSON"),
        ("[1]", "INVALID_JSON"),
        ('{"v":2,"t":7}', "INVALID_MESSAGE"),
        ('{"v":3,"t":"echo"}', "UNSUPPORTED_VERSION"),
        ('{"v":2,"t":"huh","c":"WSE"}', "UNKNOWN_TYPE"),
        ('{"v":2,"t":"subscription","c":"WSE","p":{"action":"subscribe","topics":[]}}', "NO_TOPICS"),
        (b"M:..", "UNSUPPORTED_FORMAT"),
        ('{"v":2,"t":"echo","p":' + "[" * 80 + "]" * 80 + "}", "TOO_DEEP"),
    ],
)
async def test_a_bad_frame_is_answered_with_its_code_and_the_connection_stays(anywhere: Server, frame: str | bytes, code: str) -> None:
    async with Client(anywhere.ws()) as client:
        await client.socket.send(frame)
        assert (await client.kind("error"))["p"]["code"] == code
        assert (await client.request("echo", 1))["t"] == "reply"


async def test_server_topics_are_refused_and_others_live(anywhere: Server) -> None:
    async with Client(anywhere.ws()) as client:
        answers = await client.subscribe("@user:1", "open")
    assert [answer["status"] for answer in answers] == ["refused", "live"]
    assert answers[0]["code"] == "RESERVED_TOPIC"


async def test_a_message_that_is_too_large_is_an_error_and_closes_with_1009(anywhere: Server) -> None:
    async with Client(anywhere.ws()) as client:
        await client.send({"v": 2, "t": "echo", "p": "x" * 1_010_000})
        assert (await client.kind("error"))["p"]["code"] == "MESSAGE_TOO_LARGE"
        assert await client.closed() == (1011 if "daphne" in anywhere.process.args else 1009)  # daphne sends 1000, 1011 and 3000 to 4999 only


async def test_a_plain_get_says_that_this_is_a_websocket(anywhere: Server) -> None:
    import httpx

    response = await asyncio.to_thread(httpx.get, anywhere.url("/wse"))
    assert response.status_code == 426
    assert "WebSocket endpoint" in response.json()["detail"]
