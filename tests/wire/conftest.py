"""The servers that the suite runs on: uvicorn with taken sockets, uvicorn by ASGI, the Rust listener, axum."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

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


class Client:
    """A peer that speaks the protocol by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        await self.socket.send(json.dumps({"v": 2, **message}) if isinstance(message, dict) else message)

    async def protocol(self, kind: str, payload: Any = None, **header: Any) -> None:
        await self.send({"c": "WSE", "t": kind, "p": payload, **header})

    async def receive(self) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            message = await self.receive()
            if message["t"] == kind:
                return message

    async def closed(self) -> int | None:
        await asyncio.wait_for(self.socket.wait_closed(), PATIENCE)
        return self.socket.close_code

    async def subscribe(self, *topics: str) -> list[dict[str, Any]]:
        await self.protocol("subscription", {"action": "subscribe", "topics": topics}, cid="s")
        return (await self.until("subscription_update"))["p"]["topics"]

    async def ask(self, kind: str, payload: Any) -> dict[str, Any]:
        await self.send({"t": kind, "cid": "q", "p": payload})
        while True:
            message = await self.receive()
            if message.get("cid") == "q":
                return message


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each test runs on every server."""
    command, variables = SERVERS[request.param]
    port = free_port()
    address = str(port) if command is UVICORN else f"127.0.0.1:{port}"
    process = subprocess.Popen([*command, address], cwd=HERE, env={**os.environ, **variables})
    try:
        wait_for(port, process)
        yield Server(request.param, port)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")
