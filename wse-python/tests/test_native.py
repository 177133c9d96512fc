"""Native means native: the server has let the socket go, and Python takes no part in deliveries."""

import asyncio
import json
import time

import pytest

from .support import servers
from .support.client import Client
from .support.servers import Server

PROTOCOLS = ["websockets-sansio", "websockets", "wsproto"]


async def test_before_the_first_connection_health_says_what_to_expect() -> None:
    with servers.running(servers.uvicorn()) as server:
        health = server.health()
        assert (health["transport"], health["auth"], health["bus"]) == ("native", "none", "memory")
        assert health["reason"].startswith("expected")


async def test_the_servers_own_descriptor_is_closed(both: Server) -> None:
    before = await asyncio.to_thread(both.get, "/sockets")
    clients = [Client(both.ws()) for _ in range(10)]
    for client in clients:
        await client.__aenter__()
    during = await asyncio.to_thread(both.get, "/sockets")
    for client in clients:
        await client.__aexit__(None, None, None)
    assert during - before == 10  # one each: the engine's duplicate, not the server's as well


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("ws", PROTOCOLS)
async def test_the_server_logs_no_error_and_stops_while_sockets_are_taken(loop: str, ws: str) -> None:
    with servers.running(servers.uvicorn("--ws", ws, "--loop", loop, "--log-level", "debug")) as server:
        async with Client(server.ws()) as client:
            assert server.health()["transport"] == "native"
            await client.request("echo", 1)
            server.interrupt()
            assert await client.closed() == 1012
        await asyncio.to_thread(server.wait_exit, 10)
        log = server.log
    assert "ERROR" not in log and "Traceback" not in log and "exception" not in log.lower(), log
    assert "Finished server process" in log


async def test_the_servers_own_count_of_connections_does_not_grow() -> None:
    with servers.running(servers.uvicorn("--limit-concurrency", "5")) as server:
        clients = [Client(server.ws()) for _ in range(20)]
        for client in clients:
            await client.__aenter__()
        assert (await clients[-1].request("echo", 1))["t"] == "reply"
        assert (await asyncio.to_thread(server.get, "/pid")) > 0
        for client in clients:
            await client.__aexit__(None, None, None)


async def test_a_blocked_event_loop_delays_no_delivery_published_from_a_thread() -> None:
    with servers.running(servers.uvicorn(app="tests.apps.native:app")) as server:
        await asyncio.to_thread(server.post, "/ticks")
        async with Client(server.ws(), topics=["ticks"]) as client:
            await client.send({"v": 2, "t": "block", "p": 2.0})
            await asyncio.sleep(0.3)  # the loop sleeps by now
            blocked = asyncio.create_task(asyncio.to_thread(server.get, "/pid"))
            started = time.monotonic()
            delays = []
            while time.monotonic() < started + 1.2:
                sent = (await client.kind("ticks"))["p"]
                delays.append(time.time() - sent)
            assert not blocked.done()  # while the loop answers nobody
            await blocked
        assert len(delays) > 15 and max(delays[6:]) < 0.25, delays  # the first few waited for us, not for the server


async def test_ten_thousand_deliveries_cost_no_python_call_per_recipient() -> None:
    """`sys.setprofile` counts on every thread, from the request to publish until the last recipient has the last message."""
    with servers.running(servers.uvicorn(app="tests.apps.native:app")) as server:
        calls = {recipients: await calls_for(server, recipients, publishes=100) for recipients in (1, 100)}
        assert server.health()["deliveries"] == 100 + 10_000
    assert calls[1] > 100  # the counter counts: every publish is a few calls
    assert calls[100] - calls[1] < 1000, calls  # 9,900 deliveries more


async def calls_for(server: Server, recipients: int, publishes: int) -> int:
    """How many calls Python makes while so many messages reach so many recipients."""
    clients = [Client(server.ws(), topics=["counted"]) for _ in range(recipients)]
    for client in clients:
        await client.__aenter__()
    before = await asyncio.to_thread(server.get, "/calls")
    await asyncio.to_thread(server.post, f"/publish-counted?publishes={publishes}")
    for client in clients:
        assert [(await client.kind("counted"))["p"] for _ in range(publishes)] == list(range(publishes))
    after: int = await asyncio.to_thread(server.get, "/calls")
    for client in clients:
        await client.__aexit__(None, None, None)
    return after - int(before)


def masked(text: str) -> bytes:
    """A text frame of a client."""
    payload = text.encode()
    assert len(payload) < 126
    return b"\x81" + bytes([0x80 | len(payload)]) + b"abcd" + bytes(byte ^ b"abcd"[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("ws", PROTOCOLS)
async def test_frames_that_come_before_the_handshake_is_answered_are_not_lost(loop: str, ws: str) -> None:
    """Their bytes go along with the socket, or the socket stays; half a frame too."""
    head = "GET /wse HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    first, second = (masked(json.dumps({"v": 2, "t": "echo", "cid": cid, "p": cid})) for cid in ("first", "second"))
    with servers.running(servers.uvicorn("--ws", ws, "--loop", loop, app="tests.apps.slow:app")) as server:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"{head}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
            await asyncio.sleep(0.1)  # the request has been parsed, and waits in the middleware
            writer.write(first + second[:10])
            received = await reader.readuntil(b"server_ready")
            writer.write(second[10:])
            while received.count(b'"reply"') < 2:
                chunk = await reader.read(4096)
                assert chunk, received
                received += chunk
            writer.close()
            await writer.wait_closed()
        assert received.startswith(b"HTTP/1.1 101")
        assert received.index(b'"cid":"first"') < received.index(b'"cid":"second"')
        assert server.health()["transport"] == ("asgi" if ws == "websockets-sansio" else "native")


async def test_takeover_always_refuses_where_it_cannot_be() -> None:
    with servers.running(servers.hypercorn(takeover="always")) as server:
        from websockets.exceptions import InvalidStatus

        with pytest.raises(InvalidStatus) as refused:
            await Client(server.ws()).__aenter__()
        assert refused.value.response.status_code in (403, 503)
        assert 'takeover="always"' in server.log
