"""The servers that the suite runs on: uvicorn with taken sockets, uvicorn by ASGI, the Rust listener, axum."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.client import ClientConnection, connect

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
UVICORN = [sys.executable, "-m", "uvicorn", "app:app", "--log-level", "warning", "--port"]
SERVERS = {
    "native": (UVICORN, {"TAKEOVER": "always"}),
    "asgi": (UVICORN, {"TAKEOVER": "never"}),
    "rust": ([str(TARGET / "rust-service")], {}),
    "axum": ([str(TARGET / "mounted")], {}),
}
PATIENCE = 10


class Server:
    """A running server: where it is and what it says of itself."""

    def __init__(self, kind: str, port: int) -> None:
        self.kind, self.port = kind, port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/wse"

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/wse/health", timeout=PATIENCE) as answer:
            return json.load(answer)

    @asynccontextmanager
    async def client(self, query: str = "", **options: Any) -> "AsyncIterator[Client]":
        async with connect(self.url + query, **options) as socket:
            yield Client(socket)

    @asynccontextmanager
    async def agreed(self, hello: dict[str, Any] | None = None, **options: Any) -> "AsyncIterator[Client]":
        """A client whose hello asked for this."""
        async with self.client(subprotocols=["wse.v2"], **options) as client:
            await client.protocol("client_hello", hello or {})
            client.hello = (await client.until("server_hello"))["p"]
            await client.until("server_ready")
            yield client

    @asynccontextmanager
    async def stalled(self, *topics: str, **hello: Any) -> "AsyncIterator[Client]":
        """A client that has subscribed and reads nothing until it is asked to; little fits between it and the server, uncompressed."""
        receiver = socket.socket()
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        receiver.connect(("127.0.0.1", self.port))
        receiver.setblocking(False)
        async with self.agreed(hello, sock=receiver, max_queue=1, compression=None) as client:
            await client.subscribe(*topics)
            client.stall()
            try:
                yield client
            finally:
                client.go_on()

    async def reaches(self, name: str, least: int) -> dict[str, Any]:
        """The health once one of its counts is as high."""
        end = time.monotonic() + PATIENCE
        while (health := await asyncio.to_thread(self.health))[name] < least:
            assert time.monotonic() < end, f"{name} stays at {health[name]}"
            await asyncio.sleep(0.05)
        return health


class Client:
    """A peer that speaks the protocol by hand: JSON, MessagePack and zlib are Python's own."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello: dict[str, Any] = {}
        self.frame: str | bytes = ""
        """The frame that the last message came in."""
        self.batch = 1
        """How many messages that frame held."""
        self._waiting: deque[dict[str, Any]] = deque()
        self._stalled = False

    def stall(self) -> None:
        """Not a byte is read until the next message is asked for: what the library reads ahead would make room at a moment of its own."""
        self.socket.transport.pause_reading()
        self._stalled = True

    def go_on(self) -> None:
        if self._stalled:
            self._stalled = False
            self.socket.transport.resume_reading()

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        await self.socket.send(json.dumps({"v": 2, **message}) if isinstance(message, dict) else message)

    async def protocol(self, kind: str, payload: Any = None, **header: Any) -> None:
        await self.send({"c": "WSE", "t": kind, "p": payload, **header})

    async def receive(self, *also: str) -> dict[str, Any]:
        """The next message, but for pings and beacons, which come with time."""
        async with asyncio.timeout(PATIENCE):
            while (message := await self._next())["t"] in {"ping", "beacon"} - {*also}:
                pass
        return message

    async def _next(self) -> dict[str, Any]:
        if not self._waiting:
            self.go_on()
            self.frame = await self.socket.recv()
            message = decoded(self.frame)
            batched = message["t"] == "batch" and message.get("c") == "WSE"
            self._waiting.extend(message["p"] if batched else [message])
            self.batch = len(self._waiting)
        return self._waiting.popleft()

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            message = await self.receive(kind)
            if message["t"] == kind:
                return message

    async def topic(self, name: str, count: int) -> list[dict[str, Any]]:
        """So many messages of a topic; what comes between them is none of them."""
        got: list[dict[str, Any]] = []
        while len(got) < count:
            message = await self.receive()
            got += [message] if message.get("tp") == name and message["t"] != "skip" else []
        return got

    async def closed(self) -> int | None:
        self.go_on()
        await asyncio.wait_for(self.socket.wait_closed(), PATIENCE)
        return self.socket.close_code

    async def subscribe(self, *topics: str, **keys: Any) -> list[dict[str, Any]]:
        await self.protocol("subscription", {"action": "subscribe", "topics": topics, **keys}, cid="s")
        while (update := await self.until("subscription_update")).get("cid") != "s":
            pass
        return update["p"]["topics"]

    async def publish(self, topic: str, **options: Any) -> int:
        """Has the service publish; the number of the last message. What comes before the reply is kept for `receive`."""
        return await self.order("publish", {"topic": topic, **options})

    async def order(self, kind: str, payload: Any) -> Any:
        """A handler's reply. What comes before it is kept for `receive`."""
        await self.send({"t": kind, "cid": "p", "p": payload})
        kept = []
        while (message := await self.receive()).get("cid") != "p":
            kept.append(message)
        assert message["t"] == "reply", message
        self._waiting.extendleft(reversed(kept))
        return message["p"]

    async def ask(self, kind: str, payload: Any) -> dict[str, Any]:
        await self.send({"t": kind, "cid": "q", "p": payload})
        while True:
            message = await self.receive()
            if message.get("cid") == "q":
                return message


def decoded(frame: str | bytes) -> dict[str, Any]:
    """[P-14] [P-16] [P-17]"""
    if isinstance(frame, bytes) and frame[:2] == b"C:":
        inner = zlib.decompress(frame[2:])
        return decoded(inner if inner[:2] == b"M:" else inner.decode())
    if isinstance(frame, bytes):
        assert frame[:2] == b"M:", frame[:20]
        return msgpack.unpackb(frame[2:])
    return json.loads(frame)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each test runs on every server."""
    yield from running(request.param)


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """A server that has nothing between it and Redis, and where that is."""
    port = free_port()
    processes = [redis(port, tmp_path_factory.mktemp("redis"))]
    try:
        server, process = start("rust", REDIS_URL=f"redis://127.0.0.1:{port}")
        processes.append(process)
        yield server, port
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(scope="session", params=SERVERS)
def guarded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Every server, where a client's token is the name of its user."""
    yield from running(request.param, USERS="1")


def running(kind: str, **more: str) -> Iterator[Server]:
    server, process = start(kind, **more)
    try:
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)


def start(kind: str, **more: str) -> "tuple[Server, subprocess.Popen[bytes]]":
    """A server and its process, which the caller ends."""
    command, variables = SERVERS[kind]
    port = free_port()
    address = str(port) if command is UVICORN else f"127.0.0.1:{port}"
    process = subprocess.Popen([*command, address], cwd=HERE, env={**os.environ, **variables, **more})
    try:
        wait_for(port, process)
    except BaseException:
        process.kill()
        process.wait(PATIENCE)
        raise
    return Server(kind, port), process


def redis(port: int, folder: Path) -> "subprocess.Popen[bytes]":
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(port, process)
    return process


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")
