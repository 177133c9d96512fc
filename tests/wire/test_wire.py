"""The protocol over real sockets, on every server. Rules in brackets are those of docs/PROTOCOL.md."""

import asyncio
import json
import socket
import struct

import pytest
from conftest import PATIENCE, SERVERS, Server
from websockets.exceptions import InvalidStatus


async def test_health_names_the_way_in(server: Server) -> None:
    async with server.client() as client:
        await client.until("server_ready")
        health = server.health()
    assert health["status"] == "ok"
    assert health["connections"] >= 1
    assert health.get("transport", server.kind) == server.kind


async def test_a_plain_client_is_greeted_and_subscribed_by_the_url(server: Server) -> None:
    """[P-2] [P-4] [P-5]"""
    async with server.client("?topics=greet%3Aa,greet:b") as client:
        kinds = [(await client.receive())["t"] for _ in range(2)]
        update = await client.receive()
        assert client.socket.subprotocol is None
    assert kinds == ["server_hello", "server_ready"]
    assert [(entry["tp"], entry["status"]) for entry in update["p"]["topics"]] == [("greet:a", "live"), ("greet:b", "live")]


async def test_a_client_that_promises_a_hello_is_waited_for(server: Server) -> None:
    """[P-3] [P-20]"""
    async with server.client(subprotocols=["other", "wse.v2"]) as client:
        assert client.socket.subprotocol == "wse.v2"
        await client.protocol("subscription", {"action": "subscribe", "topics": ["a"]}, cid="early")
        early = await client.receive()
        assert (early["p"]["code"], early["cid"]) == ("NOT_READY", "early")
        await client.protocol("client_hello", {"versions": [2], "topics": ["hello"]})
        assert [(await client.receive())["t"] for _ in range(3)] == ["server_hello", "server_ready", "subscription_update"]
        await client.protocol("client_hello")
        assert (await client.receive())["p"]["code"] == "UNEXPECTED_MESSAGE"


@pytest.mark.parametrize(("hello", "code"), [({"versions": [3]}, "UNSUPPORTED_VERSION"), ({"formats": ["xml"]}, "UNSUPPORTED_FORMAT")])
async def test_no_common_version_or_format_is_fatal(server: Server, hello: dict[str, object], code: str) -> None:
    """[P-8]"""
    async with server.client(subprotocols=["wse.v2"]) as client:
        await client.protocol("client_hello", hello)
        assert (await client.receive())["p"]["code"] == code
        assert await client.closed() == 4406


async def test_every_subscriber_gets_every_message_in_order_with_its_position(server: Server) -> None:
    """[P-33] [P-35]"""
    async with server.client() as one, server.client() as two, server.client() as publisher:
        first = await one.subscribe("ordered")
        second = await two.subscribe("ordered")
        assert first == second
        assert (await publisher.ask("publish", {"topic": "ordered", "count": 1}))["p"] == first[0]["seq"] + 1
        assert (await publisher.ask("publish", {"topic": "ordered", "count": 499}))["p"] == first[0]["seq"] + 500
        got = [[await client.until("ordered") for _ in range(500)] for client in (two, one)]
    top = first[0]["seq"]
    assert got[0] == got[1], "the same bytes for everyone"
    assert [m["seq"] for m in got[0]] == list(range(top + 1, top + 501))
    assert [m["p"]["n"] for m in got[0]] == [0, *range(499)]
    assert {m["e"] for m in got[0]} == {first[0]["e"]}
    assert len({m["id"] for m in got[0]}) == 500
    assert all(m["tp"] == "ordered" and m["ts"].endswith("Z") for m in got[0])


async def test_positions_decide_what_a_returning_client_is_told(server: Server) -> None:
    """[P-24] [P-25]"""
    async with server.client() as client:
        await client.ask("publish", {"topic": "back", "count": 3})
        [entry] = await client.subscribe("back")
        here = {"e": entry["e"], "seq": entry["seq"]}
        told = []
        for position in (here, {**here, "seq": 10**9}, {**here, "e": "another"}):
            await client.protocol("subscription", {"action": "unsubscribe", "topics": ["back"]})
            await client.until("subscription_update")
            await client.protocol("subscription", {"action": "subscribe", "topics": ["back"], "positions": {"back": position}})
            [answer] = (await client.until("subscription_update"))["p"]["topics"]
            told.append((answer["status"], answer.get("reason")))
    assert told == [("live", None), ("resync", "fork"), ("resync", "epoch")]


async def test_after_unsubscribing_nothing_comes(server: Server) -> None:
    async with server.client() as client:
        await client.subscribe("left", "kept")
        await client.protocol("subscription", {"action": "unsubscribe", "topics": ["left", "never"]})
        update = await client.until("subscription_update")
        assert [entry["status"] for entry in update["p"]["topics"]] == ["unsubscribed", "unsubscribed"]
        await client.send({"t": "publish", "p": {"topic": "left"}})
        await client.send({"t": "publish", "p": {"topic": "kept"}})
        assert (await client.receive())["tp"] == "kept"


async def test_a_request_gets_its_reply_and_a_failure_its_error(server: Server) -> None:
    """[P-28] [P-30]"""
    payload = {"text": "ünï ☃ \U0001f600", "n": [1, -2, 2.5, True, None], "deep": {"a": {}}}
    async with server.client() as client:
        assert await client.ask("echo", payload) == {"v": 2, "c": "WSE", "t": "reply", "cid": "q", "p": payload}
        failed = await client.ask("fail", None)
        assert (failed["t"], failed["p"]["code"]) == ("error", "HANDLER_FAILED")
        assert (await client.ask("nobody", None))["p"]["code"] == "NO_HANDLER"


async def test_messages_of_one_connection_are_handled_in_order(server: Server) -> None:
    """[P-30]"""
    async with server.client() as client:
        for n in range(300):
            await client.send({"t": "echo", "cid": str(n), "p": n})
        replies = [await client.until("reply") for _ in range(300)]
    assert [(reply["cid"], reply["p"]) for reply in replies] == [(str(n), n) for n in range(300)]


async def test_a_ping_is_answered_with_its_payload(server: Server) -> None:
    """[P-26]"""
    async with server.client() as client:
        await client.protocol("ping", {"at": 12345})
        assert (await client.until("pong"))["p"] == {"at": 12345}
        await asyncio.wait_for(await client.socket.ping(), PATIENCE)


BAD = {
    "garbage": "INVALID_JSON",
    "[1,2]": "INVALID_JSON",
    '"text"': "INVALID_JSON",
    "{}": "INVALID_MESSAGE",
    '{"v":2}': "INVALID_MESSAGE",
    '{"v":"2","t":"a"}': "INVALID_MESSAGE",
    '{"v":2,"t":7}': "INVALID_MESSAGE",
    '{"v":2,"t":""}': "INVALID_MESSAGE",
    '{"v":2,"t":"a","seq":1.5}': "INVALID_MESSAGE",
    '{"v":2,"t":"a","c":"S"}': "INVALID_MESSAGE",
    '{"v":3,"t":"a"}': "UNSUPPORTED_VERSION",
    '{"v":2,"t":"a","p":' + "[" * 100 + "]" * 100 + "}": "TOO_DEEP",
    '{"v":2,"c":"WSE","t":"nope"}': "UNKNOWN_TYPE",
    '{"v":2,"c":"WSE","t":"token_refresh"}': "NOT_IMPLEMENTED",
    '{"v":2,"c":"WSE","t":"presence"}': "INVALID_MESSAGE",
    '{"v":2,"c":"WSE","t":"subscription","p":{"action":"subscribe"}}': "NO_TOPICS",
    '{"v":2,"c":"WSE","t":"subscription","p":{"action":"jump","topics":["a"]}}': "INVALID_MESSAGE",
}


@pytest.mark.parametrize(("frame", "code"), BAD.items(), ids=lambda value: value[:30])
async def test_bad_input_is_an_error_and_the_connection_stays(server: Server, frame: str, code: str) -> None:
    """[P-12] [P-13] [P-15] [P-23]"""
    async with server.client() as client:
        await client.send(frame)
        error = (await client.until("error"))["p"]
        assert error["code"] == code
        assert len(error["message"].split()) >= 3, "a sentence says what is wrong"
        assert (await client.ask("echo", 1))["p"] == 1


async def test_binary_frames_are_refused_and_the_connection_stays(server: Server) -> None:
    """[P-14]"""
    async with server.client() as client:
        await client.send(b"M:\x80")
        assert (await client.until("error"))["p"]["code"] == "UNSUPPORTED_FORMAT"
        assert (await client.ask("echo", 1))["p"] == 1


async def test_bad_topics_are_refused_one_by_one(server: Server) -> None:
    """[P-31]"""
    async with server.client() as client:
        entries = await client.subscribe("good", "@user:1", "a b", "orders:*:x", "x" * 201)
    assert [entry.get("code") for entry in entries] == [None, "RESERVED_TOPIC", "INVALID_TOPIC", "INVALID_TOPIC", "INVALID_TOPIC"]
    assert all(len(entry["message"].split()) >= 3 for entry in entries[1:])


async def test_subscriptions_are_counted(server: Server) -> None:
    """[P-32]"""
    async with server.client() as client:
        entries = await client.subscribe(*(f"count:{n}" for n in range(130)))
    assert [entry.get("code") for entry in entries[127:]] == [None, "TOO_MANY_SUBSCRIPTIONS", "TOO_MANY_SUBSCRIPTIONS"]


async def test_an_oversize_message_is_an_error_and_closed_with_1009(server: Server) -> None:
    """[P-12] [P-42]"""
    async with server.client() as client:
        await client.until("server_ready")
        await client.send(json.dumps({"v": 2, "t": "echo", "p": "x" * 1_100_000}))
        error = (await client.until("error"))["p"]
        assert (error["code"], "1048576 bytes" in error["message"]) == ("MESSAGE_TOO_LARGE", True)
        assert await client.closed() == 1009


async def test_a_page_of_another_origin_is_told_inside_the_socket(server: Server) -> None:
    """[P-7]"""
    async with server.client(origin="https://evil.example") as client:
        refusal = await client.receive()
        assert refusal["p"]["code"] == "ORIGIN_NOT_ALLOWED"
        assert 'allowed_origins=["https://evil.example"]' in refusal["p"]["message"]
        assert await client.closed() == 4403


async def test_a_page_of_this_machine_may_connect(server: Server) -> None:
    async with server.client(origin="http://localhost:5173") as client:
        await client.until("server_ready")


async def test_a_request_that_is_no_websocket_gets_an_http_answer(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        raw.sendall(b"GET /wse HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert raw.recv(4096).split()[1] == b"426"


async def test_garbage_instead_of_a_handshake_ends_the_socket_and_nothing_else(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00" + b"\xff" * 200 + b"\r\n\r\n")
        raw.settimeout(PATIENCE)
        while raw.recv(4096):
            pass
    async with server.client() as client:
        await client.until("server_ready")


async def test_a_frame_sent_along_with_the_handshake_is_not_lost(server: Server) -> None:
    if server.kind in ("native", "asgi"):
        pytest.skip("uvicorn drops what comes with the request, before the application is called")
    frame = json.dumps({"v": 2, "t": "echo", "cid": "q", "p": "eager"}).encode()
    masked = bytes(byte ^ b"abcd"[i % 4] for i, byte in enumerate(frame))
    head = b"GET /wse HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        raw.sendall(head + key + struct.pack("!BB", 0x81, 0x80 | len(frame)) + b"abcd" + masked)
        raw.settimeout(PATIENCE)
        received = b""
        while b'"eager"' not in received:
            chunk = raw.recv(4096)
            assert chunk, received
            received += chunk
    assert received.startswith(b"HTTP/1.1 101")


async def test_garbage_along_with_the_handshake_is_closed_or_dropped_and_harms_nobody(server: Server) -> None:
    head = b"GET /wse HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        raw.sendall(head + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + b"\xff" * 200)
        raw.settimeout(PATIENCE)
        received = raw.recv(4096)
        assert received.startswith(b"HTTP/1.1 101"), received
        if server.kind in ("rust", "axum"):  # uvicorn drops what comes with the request
            while chunk := raw.recv(4096):
                received += chunk
            assert struct.pack("!H", 1002) in received[received.rindex(b"\x88"):]
    async with server.client() as client:
        assert (await client.ask("echo", 1))["p"] == 1


async def test_a_handshake_without_a_key_is_refused_by_http(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with server.client(additional_headers={"Sec-WebSocket-Version": "12"}):
            pass
    assert refused.value.response.status_code in (400, 426)


async def test_an_unmasked_frame_is_closed_with_1002(server: Server) -> None:
    """[P-1] [P-42]: in ASGI mode the rule is the server's."""
    head = b"GET /wse HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        raw.sendall(head + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        raw.settimeout(PATIENCE)
        received = b""
        while b"server_ready" not in received:
            received += raw.recv(4096)
        raw.sendall(b"\x81\x02{}")
        while chunk := raw.recv(4096):
            received += chunk
    assert b"\x88" in received and struct.pack("!H", 1002) in received[received.rindex(b"\x88"):]


async def test_a_port_in_use_ends_the_service_with_its_address(server: Server) -> None:
    if server.kind != "rust":
        pytest.skip("uvicorn's and axum's own to say")
    command, _ = SERVERS["rust"]
    second = await asyncio.create_subprocess_exec(*command, f"127.0.0.1:{server.port}", stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(second.communicate(), PATIENCE)
    assert second.returncode == 1
    assert f"127.0.0.1:{server.port} cannot be listened on: Address already in use" in said.decode()


async def test_the_close_of_a_client_is_answered_with_its_code(server: Server) -> None:
    async with server.client() as client:
        await client.until("server_ready")
        await client.socket.close(4321, "mine")
        assert client.socket.close_code == 4321
