"""Several processes: workers, reload, Redis, and starts that must fail with one sentence."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from wse_server import Publisher, WSEConfig, WSEConfigError, WSEStartupError, WSEUsageError, create_wse_router

from .support import servers
from .support.client import Client

SENTENCE = "set WSEConfig(redis_url=...) or run one worker"


@pytest.mark.parametrize("start", [lambda: servers.uvicorn("--workers", "2"), lambda: servers.gunicorn(2)], ids=["uvicorn", "gunicorn"])
def test_a_second_worker_without_redis_fails_with_one_sentence(start: Callable[[], servers.Server]) -> None:
    server = start()
    try:
        server.wait_log(SENTENCE)
        said = [line for line in server.log.splitlines() if SENTENCE in line]
        assert len(said) == 1 and "WSEStartupError: a second worker of this server" in said[0]
        assert "in _start" not in server.log  # nothing of our own inside buries the sentence
        server.wait_exit()  # neither serves on with half of its workers
    finally:
        server.stop()


def test_one_worker_under_gunicorn_serves_natively() -> None:
    with servers.running(servers.gunicorn(1)) as server:
        assert server.health()["transport"] == "native"


def test_one_worker_under_a_supervisor_starts() -> None:
    server = servers.uvicorn("--workers", "1", "--reload", "--reload-dir", "tests/support")
    with servers.running(server):
        assert SENTENCE not in server.log


async def test_two_workers_with_redis_deliver_each_others_messages(redis_url: str) -> None:
    with servers.running(servers.uvicorn("--workers", "2", redis_url=redis_url, redis_prefix="two")) as server:
        published: Counter[int] = Counter()  # by the pid that stored it
        async with Client(server.ws(), topics=["across"]) as client:
            own = (await client.request("pid", None))["p"]
            async with asyncio.timeout(20):
                while len(published) < 2 or min(published.values()) < 3:
                    receipt = await asyncio.to_thread(server.post, "/publish", topic="across", payload=published.total())
                    published[receipt["pid"]] += 1
            messages = [await client.kind("across") for _ in range(published.total())]
    assert own in published  # the client's own worker, and the other one
    assert [message["p"] for message in messages] == list(range(len(messages)))
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))


async def test_another_process_publishes_through_redis(redis_url: str) -> None:
    with servers.running(servers.uvicorn(redis_url=redis_url, redis_prefix="other")) as server:
        async with Client(server.ws(), topics=["jobs"]) as client:
            async with asyncio.timeout(10), Publisher(redis_url=redis_url, redis_prefix="other") as publisher:
                receipt = await publisher.publish("jobs", {"done": 1}, idempotency_key="job-1")
                again = await publisher.publish("jobs", {"done": 1}, idempotency_key="job-1")
            assert (again.id, again.seq) == (receipt.id, receipt.seq)
            assert (await client.kind("jobs"))["p"] == {"done": 1}
            script = (
                "from wse_server import Publisher\n"
                f"with Publisher(redis_url={redis_url!r}, redis_prefix='other') as p: print(p.publish_sync('jobs', 'script').seq)"
            )
            done = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, cwd=servers.ROOT
            )
            assert (done.stdout.strip(), done.stderr) == ("2", "")
            assert (await client.kind("jobs"))["p"] == "script"


async def test_publish_sync_on_a_loop_with_redis_says_to_await(redis_url: str) -> None:
    with pytest.raises(WSEUsageError, match=r"await wse\.publish"):
        create_wse_router(WSEConfig(redis_url=redis_url)).publish_sync("t", 1)


def test_redis_that_is_not_there_ends_the_start_with_one_sentence() -> None:
    port = servers.free_port()
    server = servers.uvicorn(redis_url=f"redis://:hunter2@127.0.0.1:{port}")
    try:
        assert server.wait_exit() == 3
        last = [line for line in server.log.splitlines() if "WSEStartupError" in line][-1]
        assert f"Redis at 127.0.0.1:{port} does not answer" in last and "leave redis_url out" in last
        assert "hunter2" not in server.log
    finally:
        server.stop()


@pytest.mark.parametrize(("answer", "reason"), [(b"", "timed out"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Parse error")], ids=["silence", "http"])
async def test_what_answers_nothing_or_is_no_redis_ends_the_start_within_seconds(answer: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(100)
            writer.write(answer)
            while not answer and await reader.read(100):
                pass
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as something, asyncio.timeout(10):
        port = something.sockets[0].getsockname()[1]
        with pytest.raises(WSEStartupError, match="leave redis_url out") as raised:
            await create_wse_router(WSEConfig(redis_url=f"redis://127.0.0.1:{port}")).publish("t", 1)
    assert f"Redis at 127.0.0.1:{port} does not answer (" in str(raised.value)
    assert reason in str(raised.value) and "\n" not in str(raised.value)


async def test_redis_that_refuses_the_password_is_a_wrong_setting(redis_url: str) -> None:
    wrong = redis_url.replace("redis://", "redis://nobody:hunter2@")
    with pytest.raises(WSEConfigError, match="refused the credentials") as raised:
        await create_wse_router(WSEConfig(redis_url=wrong)).publish("t", 1)
    assert raised.value.field == "redis_url"
    assert str(raised.value).count("redis_url") == 1 and "hunter2" not in str(raised.value)


async def test_redis_that_is_not_there_fails_a_publish_too() -> None:
    wse = create_wse_router(WSEConfig(redis_url=f"redis://127.0.0.1:{servers.free_port()}"))
    async with asyncio.timeout(10):
        with pytest.raises(WSEStartupError, match="leave redis_url out"):
            await wse.publish("t", 1)


def test_a_port_in_use_is_said_in_one_line_and_the_process_ends() -> None:
    with servers.running(servers.uvicorn()) as first:
        second = servers.uvicorn(port=first.port)
        try:
            assert second.wait_exit() == 1 or second.process.returncode == 3
            assert "address already in use" in second.log and "Traceback" not in second.log
        finally:
            second.stop()


async def test_reload_sends_1012_and_the_client_is_back_within_two_seconds(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from tests.apps.suite import app\n")
    server = servers.uvicorn("--reload", "--reload-dir", str(tmp_path), app="main:app", cwd=tmp_path, port=servers.free_port())
    with servers.running(server):
        async with Client(server.ws()) as client:
            assert client.ready["retry_ms"] <= 1000
            before = await asyncio.to_thread(server.get, "/pid")
            (tmp_path / "main.py").write_text("from tests.apps.suite import app  # changed\n")
            async with asyncio.timeout(10):
                while (code := await client.closed()) is None:
                    pass
        assert code == 1012
        loop = asyncio.get_running_loop()
        closed = loop.time()
        async with asyncio.timeout(10):
            while True:
                try:
                    async with Client(server.ws()):
                        break
                except OSError:
                    await asyncio.sleep(0.05)
        took = loop.time() - closed
        assert await asyncio.to_thread(server.get, "/pid") != before
        assert SENTENCE not in server.log
    assert took < 2, took


@pytest.mark.parametrize("transport", ["auto", "never"])
async def test_a_server_that_stops_sends_1012(transport: str) -> None:
    with servers.running(servers.uvicorn(takeover=transport)) as server:
        async with Client(server.ws()) as client:
            server.interrupt()
            assert await client.closed() == 1012
        await asyncio.to_thread(server.wait_exit, 10)


def test_a_server_without_websocket_support_says_what_to_install() -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    with servers.running(servers.uvicorn("--ws", "none")) as server:
        answer = httpx.get(server.url("/wse"), headers=headers, timeout=5)
        assert answer.status_code == 501
        assert 'pip install "uvicorn[standard]"' in answer.json()["detail"]
        assert "pip install" in server.log


async def test_tls_in_the_server_is_served_through_asgi_and_health_says_why(tmp_path: Path) -> None:
    """TLS is judged by the transport: the scheme says `wss` behind a proxy, too."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate, *names]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    context = ssl.create_default_context(cafile=str(certificate))
    server = servers.uvicorn("--ssl-keyfile", str(key), "--ssl-certfile", str(certificate), port=servers.free_port())
    try:
        server.wait_log("Application startup complete")
        await asyncio.to_thread(server.wait_log, "running on https://")
        async with Client(server.ws().replace("ws://", "wss://"), topics=["a"], ssl=context) as client:
            assert (await client.request("echo", "sealed by TLS"))["p"]["payload"] == "sealed by TLS"
            async with httpx.AsyncClient(verify=context) as http:
                health = (await http.get(server.url("/wse/health").replace("http://", "https://"))).json()
        assert (health["transport"], "TLS" in health["reason"]) == ("asgi", True)
    finally:
        server.stop()


async def test_a_unix_socket_is_served_through_asgi(tmp_path: Path) -> None:
    from websockets.asyncio.client import unix_connect

    path = str(tmp_path / "s")
    server = servers.uvicorn("--uds", path, "--log-level", "info")
    try:
        server.wait_log("Application startup complete")
        await asyncio.sleep(0.2)
        async with asyncio.timeout(5), unix_connect(path, "ws://localhost/wse?topics=a") as socket:
            assert '"server_hello"' in await socket.recv()
    finally:
        server.stop()


def test_redis_server_is_here() -> None:
    assert shutil.which("redis-server"), "redis-server is missing: apt-get install -y redis-server"
