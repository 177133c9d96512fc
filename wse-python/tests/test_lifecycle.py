"""The engine starts on first use and works wherever an application puts it."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketTestSession
from wse_server import Connection, WSEConfig, WSEConfigError, WSEForkError, WSERouter, _native, _peer, create_wse_router
from wse_server.connection import Headers

from .support import servers
from .support.client import Client
from .support.receivers import frames
from .test_native import masked


def greet(session: WebSocketTestSession, topics: list[str] | None = None) -> None:
    """What a client says first, and the server's answers to it."""
    session.send_json({"v": 2, "c": "WSE", "t": "client_hello", "p": {"topics": topics or []}})
    kinds = [session.receive_json()["t"] for _ in range(3 if topics else 2)]
    assert kinds == ["server_hello", "server_ready", "subscription_update"][: len(kinds)]


def application() -> tuple[FastAPI, WSERouter, list[Any]]:
    """An application with an endpoint of each kind that publishes, and what its hooks saw."""
    app, wse, seen = FastAPI(), create_wse_router(), []

    @app.post("/async")
    async def publish() -> int:
        return (await wse.publish("news", {"by": "async"})).seq

    @app.post("/sync")
    def publish_sync() -> int:
        return wse.publish_sync("news", {"by": "sync"}).seq

    @wse.on("echo")
    async def echo(payload: Any) -> Any:
        return payload

    @wse.on_connect
    async def connected(connection: Connection) -> None:
        seen.append("connect")

    @wse.on_disconnect
    async def disconnected(connection: Connection, code: int) -> None:
        await asyncio.sleep(0.02)
        seen.append(code)

    app.include_router(wse, prefix="/wse")
    return app, wse, seen


def converse(client: TestClient, path: str = "/wse") -> None:
    """One connection that gets what both kinds of endpoint publish, and an answer."""
    with client.websocket_connect(path, subprotocols=["wse.v2"]) as session:
        greet(session, ["news"])
        seqs = [client.post("/async").json(), client.post("/sync").json()]
        messages = [session.receive_json() for _ in seqs]
        assert [message["seq"] for message in messages] == seqs
        assert [message["p"]["by"] for message in messages] == ["async", "sync"]
        session.send_json({"v": 2, "t": "echo", "p": 7, "cid": "1"})
        assert session.receive_json()["p"] == 7


def test_nothing_starts_before_first_use() -> None:
    before = threading.active_count(), len(os.listdir("/proc/self/task"))  # noqa: PTH208
    app, _, _ = application()
    assert TestClient(app).get("/wse/health").json()["status"] == "idle"
    servers.wait_for(lambda: (threading.active_count(), len(os.listdir("/proc/self/task"))) <= before, 2, lambda: "threads were started")  # noqa: PTH208


def test_test_client_with_lifespan() -> None:
    app, _, seen = application()
    with TestClient(app) as client:
        converse(client)
        assert seen == ["connect", 1000]
        assert client.get("/wse/health").json()["status"] == "ok"


def test_test_client_without_lifespan_makes_a_loop_for_each_request() -> None:
    app, _, seen = application()
    for _ in range(3):
        converse(TestClient(app))
    assert seen == ["connect", 1000] * 3


def test_a_second_lifespan_serves_again_after_the_first_has_drained() -> None:
    app, _, seen = application()
    for _ in range(2):
        with TestClient(app) as client:
            converse(client)
    converse(TestClient(app))
    assert seen == ["connect", 1000] * 3


async def test_shutdown_closes_with_1012_and_runs_the_hooks() -> None:
    _, wse, seen = application()
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "websocket", "headers": [(b"host", b"h")], "query_string": b"", "client": None, "scheme": "ws"}
    await inbox.put({"type": "websocket.connect"})
    async with asyncio.timeout(10), wse.lifespan_context(None):
        served = asyncio.create_task(wse._endpoint.serve(scope, inbox.get, outbox.put))
        while "server_ready" not in ((await outbox.get()).get("text") or ""):
            pass
    async with asyncio.timeout(5):
        await served
        while (last := await outbox.get())["type"] != "websocket.close":
            pass
    assert last["code"] == 1012
    assert seen == ["connect", 1012]


class Taken:
    """A client over TCP whose socket this process' own engine has taken; what it sends together comes in one read."""

    def __init__(self, wse: WSERouter) -> None:
        self._wse = wse

    async def __aenter__(self) -> "Taken":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._reader, self._writer = await asyncio.open_connection(*listener.getsockname())
            accepted, _ = listener.accept()
        accepted.setblocking(False)
        host, engine = self._wse._host, await self._wse._host.serving()
        admission = engine.admit([(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")], b"", None, False)
        host.register(engine.adopt_socket(host.pumps.current().queue, admission, accepted.detach(), b""), Headers([]), None)
        await self._reader.readuntil(b"\r\n\r\n")
        self._frames = ((json.loads(frame)) async for batch in frames(self._reader, self._writer) for frame in batch)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()
        self._wse._host.stop()

    def send(self, kind: str, payloads: Iterable[int]) -> None:
        """One message for each payload, all at once; the payload is the `cid` too."""
        self._writer.write(b"".join(masked(json.dumps({"v": 2, "t": kind, "p": n, "cid": f"{n}"})) for n in payloads))

    async def answers(self, count: int) -> list[tuple[str, Any]]:
        """The next ones: the `cid`, and what was replied or the code of the error."""
        told: list[tuple[str, Any]] = []
        while len(told) < count:
            answer = await anext(self._frames)
            if "cid" in answer:
                told.append((answer["cid"], answer["p"]["code"] if answer["t"] == "error" else answer["p"]))
        return told


def hanging(wse: WSERouter, at: int) -> tuple[list[int], asyncio.Event]:
    """A handler that replies with what it is sent, but hangs at one message: what it got, and whether it hangs."""
    handled, hangs = [], asyncio.Event()

    @wse.on("step")
    async def step(payload: int) -> int:
        handled.append(payload)
        if payload == at:
            hangs.set()
            await asyncio.Event().wait()
        return payload

    return handled, hangs


def cancel_all_others() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_a_handler_that_is_cancelled_takes_no_other_message_of_its_connection_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent together comes as one portion: its rest is handled, in order and once, by the next task."""
    portions, feed = [], _peer.Peer.feed
    monkeypatch.setattr(_peer.Peer, "feed", lambda peer, event: (portions.append(event[0] == _native.MESSAGES), feed(peer, event)))
    wse = create_wse_router()
    handled, hangs = hanging(wse, 1)
    async with asyncio.timeout(10), Taken(wse) as client:
        client.send("step", range(5))
        await hangs.wait()
        assert sum(portions) == 1
        cancel_all_others()
        await asyncio.sleep(0)
        client.send("step", [5])
        assert await client.answers(6) == [("0", 0), ("1", "OUTCOME_UNKNOWN"), *((f"{n}", n) for n in range(2, 6))]
    assert handled == [*range(6)]


@pytest.mark.parametrize("handler_queue", [1, 5])
async def test_a_full_queue_goes_on_after_a_handler_that_is_cancelled(handler_queue: int) -> None:
    """No event need come for that: nothing is read while it is full."""
    wse = create_wse_router(WSEConfig(handler_queue=handler_queue))
    _, hangs = hanging(wse, 0)
    async with asyncio.timeout(10), Taken(wse) as client:
        client.send("step", range(6))
        await hangs.wait()
        cancel_all_others()
        assert await client.answers(6) == [("0", "OUTCOME_UNKNOWN"), *((f"{n}", n) for n in range(1, 6))]


async def test_messages_whose_task_is_cancelled_before_it_begins_are_handled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    wse, cancelled, feed = create_wse_router(), [], _peer.Peer.feed

    def feed_and_cancel(peer: _peer.Peer, event: Any) -> None:
        feed(peer, event)
        if event[0] == _native.MESSAGES and not cancelled and peer._task is not None:
            cancelled.append(peer._task.cancel())

    monkeypatch.setattr(_peer.Peer, "feed", feed_and_cancel)
    wse.on("step")(lambda payload: payload)
    async with asyncio.timeout(10), Taken(wse) as client:
        client.send("step", range(3))
        assert await client.answers(3) == [(f"{n}", n) for n in range(3)]
    assert cancelled == [True]


def test_nested_in_another_router() -> None:
    app, wse, _ = application()
    outer, inner = APIRouter(prefix="/api"), FastAPI()
    outer.include_router(wse, prefix="/live")
    inner.include_router(outer)
    inner.router.routes.extend(route for route in app.router.routes if getattr(route, "path", "") in ("/async", "/sync"))
    with TestClient(inner) as client:
        converse(client, "/api/live")


def test_in_a_mounted_application_whose_lifespan_nobody_runs() -> None:
    app, _, _ = application()
    outer = FastAPI()
    outer.mount("/sub", app)
    with TestClient(outer) as client, client.websocket_connect("/sub/wse", subprotocols=["wse.v2"]) as session:
        greet(session, ["news"])
        assert client.post("/sub/async").json() == 1
        assert session.receive_json()["p"] == {"by": "async"}


def test_the_router_itself_mounted() -> None:
    app, wse = FastAPI(), create_wse_router()
    app.mount("/wse", wse)
    client = TestClient(app)
    with client.websocket_connect("/wse/", subprotocols=["wse.v2"]) as session:
        greet(session)
    assert client.get("/wse/health").json()["transport"] == "asgi"


def test_publishing_in_the_users_own_lifespan_at_start_and_in_teardown() -> None:
    wse, receipts = create_wse_router(), []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        receipts.append(await wse.publish("boot", 1))
        yield
        receipts.append(await wse.publish("boot", 2))  # the router's own lifespan has drained by now
        receipts.append(wse.publish_sync("boot", 3))

    app = FastAPI(lifespan=lifespan)
    app.include_router(wse, prefix="/wse")
    with TestClient(app) as client, client.websocket_connect("/wse", subprotocols=["wse.v2"]) as session:
        greet(session)
    assert [receipt.seq for receipt in receipts] == [1, 2, 3]


def test_publishing_from_a_plain_thread_and_from_many_at_once() -> None:
    wse = create_wse_router()
    seqs: list[int] = []
    threads = [threading.Thread(target=lambda: seqs.extend(wse.publish_sync("t", n).seq for n in range(50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(seqs) == list(range(1, 401))


async def test_publish_sync_on_a_loop_is_allowed_on_the_in_process_bus() -> None:
    assert create_wse_router().publish_sync("t", 1).seq == 1


async def test_concurrent_publishes_are_all_stored() -> None:
    wse = create_wse_router()
    async with asyncio.timeout(10):
        receipts = await asyncio.gather(*(wse.publish("t", n) for n in range(500)))
    assert sorted(receipt.seq for receipt in receipts) == list(range(1, 501))


def test_a_forked_child_is_told_which_process_started_the_engine() -> None:
    wse = create_wse_router()
    wse.publish_sync("t", 1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            wse.publish_sync("t", 2)
        except WSEForkError as error:
            os.write(write, json.dumps([error.pid, str(error)]).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    pid, text = json.loads(os.read(read, 10_000))
    os.close(read)
    assert pid == os.getpid()
    assert str(pid) in text and "in the worker" in text
    assert wse.publish_sync("t", 3).seq == 2


@pytest.mark.parametrize("parent", [FastAPI(), APIRouter(prefix="/api")])
def test_including_without_a_prefix_says_to_pass_one(parent: Any) -> None:
    with pytest.raises(WSEConfigError, match=r'app.include_router\(wse, prefix="/wse"\)') as raised:
        parent.include_router(create_wse_router())
    assert raised.value.field == "prefix"


def test_urls_and_schema_of_the_application_still_work() -> None:
    app, _, _ = application()
    assert app.openapi()["paths"].keys() == {"/async", "/sync"}
    assert app.url_path_for("publish") == "/async"


async def test_the_same_works_on_a_real_server_when_mounted() -> None:
    with servers.running(servers.uvicorn(app="tests.apps.mounted:app")) as server:
        async with Client(server.ws("/sub/wse"), topics=["news"]) as client:
            await asyncio.to_thread(server.post, "/sub/publish")
            assert (await client.kind("news"))["p"] == "mounted"
            health = await asyncio.to_thread(server.get, "/sub/wse/health")
    assert health["transport"] == "native"


def test_middleware_around_the_connection_does_not_hide_it() -> None:
    """Plain ASGI middleware wraps `send` and `receive`; see `tests.apps.mounted`."""
    with servers.running(servers.uvicorn(app="tests.apps.mounted:app")) as server:
        assert server.get("/sub/wse/health")["transport"] == "native"


def test_a_config_serves_one_router_after_another() -> None:
    config = WSEConfig(heartbeat=1)
    assert [create_wse_router(config).publish_sync("t", 1).seq for _ in range(2)] == [1, 1]
