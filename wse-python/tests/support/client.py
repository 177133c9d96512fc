"""A small client of the wire, written from the protocol's text; every await has a timeout."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SECONDS = 5.0


class Client:
    """`async with Client(url) as c` is connected and ready (or refused: `ready=False`)."""

    def __init__(
        self,
        url: str,
        *,
        topics: Iterable[str] = (),
        token: str | None = None,
        ready: bool = True,
        moves: bool = False,
        hello: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._connect = connect(url, subprotocols=["wse.v2"], proxy=None, open_timeout=SECONDS, max_size=None, **options)  # type: ignore[list-item]
        more = ({"token": token} if token else {}) | ({"move": True} if moves else {}) | (hello or {})
        self._hello: dict[str, Any] = {"topics": list(topics)} | more
        self._await_ready = ready
        self._cids = itertools.count(1)
        self.socket: ClientConnection
        self.ready: dict[str, Any] = {}
        self.direct: dict[str, dict[str, Any]] = {}
        """What the server told of its own names."""

    async def __aenter__(self) -> Self:
        self.socket = await self._connect
        with contextlib.suppress(*(() if self._await_ready else (ConnectionClosed,))):  # refused already: the error can still be read
            await self.send({"v": 2, "c": "WSE", "t": "client_hello", "p": self._hello})
        if self._await_ready:
            await self.kind("server_hello")
            self.ready = (await self.kind("server_ready"))["p"]
            if self._hello["topics"]:
                await self.kind("subscription_update")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        async with asyncio.timeout(SECONDS):
            await self.socket.close()

    async def send(self, envelope: dict[str, Any]) -> None:
        async with asyncio.timeout(SECONDS):
            await self.socket.send(json.dumps(envelope))

    async def receive(self, seconds: float = SECONDS) -> dict[str, Any]:
        """The next envelope; the server's own pings are answered and skipped."""
        async with asyncio.timeout(seconds):
            while True:
                envelope: dict[str, Any] = json.loads(await self.socket.recv())
                if self._is_direct(envelope):
                    continue
                if not (envelope.get("c") == "WSE" and envelope["t"] == "ping"):
                    return envelope
                await self.send({"v": 2, "c": "WSE", "t": "pong", "p": envelope.get("p")})

    def _is_direct(self, envelope: dict[str, Any]) -> bool:
        if envelope["t"] != "subscription_update" or not all(entry["tp"].startswith("@") for entry in envelope["p"]["topics"]):
            return False
        self.direct |= {entry["tp"]: entry for entry in envelope["p"]["topics"]}
        return "cid" not in envelope

    async def kind(self, type: str) -> dict[str, Any]:
        """The next envelope, which must be of that type."""
        envelope = await self.receive()
        assert envelope["t"] == type, envelope
        return envelope

    async def request(self, type: str, payload: Any, **keys: Any) -> dict[str, Any]:
        """Sends a message of the application and returns its reply or error."""
        cid = f"c{next(self._cids)}"
        await self.send({"v": 2, "t": type, "p": payload, "cid": cid, **keys})
        while (envelope := await self.receive()).get("cid") != cid:
            pass
        return envelope

    async def subscribe(self, *topics: str) -> list[dict[str, Any]]:
        await self.send({"v": 2, "c": "WSE", "t": "subscription", "p": {"action": "subscribe", "topics": topics}})
        return list((await self.kind("subscription_update"))["p"]["topics"])

    async def closed(self) -> int | None:
        """Reads until the server closes; the close code."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else None
