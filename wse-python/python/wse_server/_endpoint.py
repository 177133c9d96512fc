"""A WebSocket request's way in: judged by the engine, then taken over or served through ASGI."""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any, Final

from . import _asgi, _native, _takeover
from ._asgi import Receive, Send
from ._host import Host
from .config import Takeover
from .connection import Headers
from .errors import WSEError

log = logging.getLogger("wse_server")

Scope = MutableMapping[str, Any]

_SUBPROTOCOLS: Final = b"sec-websocket-protocol"


class Endpoint:
    """Serves one router's WebSocket requests and remembers how, for `health`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._latest: tuple[str, str] | None = None  # transport, reason

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its request to its end (native: to the hand-over)."""
        await receive()  # websocket.connect
        try:
            engine = await self._host.serving()
        except WSEError as error:
            log.error("%s", error)
            return await _refuse(scope, send, 503, "the server is not ready; try again")
        admission = engine.admit(_headers(scope), scope["query_string"], _client(scope), scope.get("scheme") in ("wss", "https"))
        if admission.http_status is not None:
            return await _refuse(scope, send, admission.http_status, admission.message)
        try:
            self._take_over(engine, admission, scope, receive, send)
        except _takeover.Impossible as impossible:
            await self._stay(engine, admission, scope, receive, send, str(impossible))
        else:
            await _takeover.settle(receive)

    async def health(self, receive: object, send: object) -> dict[str, Any]:
        """How connections are served, and the engine's own state once it runs."""
        transport, reason = self._latest or self._expected(receive, send)
        config, engine = self._host.config, self._host.running
        state = await asyncio.to_thread(engine.health) if engine is not None else {}
        return {
            "status": "ok" if engine is not None else "idle",
            "transport": transport,
            "reason": reason,
            "auth": self._host.authenticator.name,
            "bus": "memory" if config.redis_url is None else "redis",
            **state,
        }

    def _take_over(self, engine: _native.Engine, admission: _native.Admission, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing is awaited in here: the loop must not touch the socket between the checks and the hand-over."""
        if self._host.config.takeover is Takeover.NEVER:
            raise _takeover.Impossible('takeover="never"')
        queue = self._host.pumps.current().queue
        descriptor, leftover = _takeover.Takeover.find(scope, receive, send).detach()
        number = engine.adopt_socket(queue, admission, descriptor, leftover)
        self._host.register(number, Headers(scope["headers"]), _client(scope))
        self._latest = ("native", "uvicorn over plain TCP")

    async def _stay(self, engine: _native.Engine, admission: _native.Admission, scope: Scope, receive: Receive, send: Send, reason: str) -> None:
        if self._host.config.takeover is Takeover.ALWAYS:
            log.error('takeover="always", but %s', reason)
            return await _refuse(scope, send, 503, f'takeover="always", but {reason}')
        self._latest = ("asgi", reason)
        number = engine.open_channel(self._host.pumps.current().queue, admission)
        peer = self._host.register(number, Headers(scope["headers"]), _client(scope))
        await _asgi.serve(engine, number, peer, admission.subprotocol, receive, send)

    def _expected(self, receive: object, send: object) -> tuple[str, str]:
        if self._host.config.takeover is Takeover.NEVER:
            return "asgi", 'takeover="never"'
        try:
            _takeover.expected(receive, send)
        except _takeover.Impossible as impossible:
            return "asgi", f"expected: {impossible}"
        return "native", "expected: uvicorn over plain TCP"


async def _refuse(scope: Scope, send: Send, status: int, message: str) -> None:
    """An HTTP status where the server can send one; otherwise what closing before accepting gives, a 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        return await send({"type": "websocket.close", "code": 1013, "reason": message[:120]})
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": message.encode()})


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The request's headers; with wsproto the offered subprotocols are not among them."""
    headers = list(scope["headers"])
    offered = scope.get("subprotocols")
    if offered and not any(name.lower() == _SUBPROTOCOLS for name, _ in headers):
        headers.append((_SUBPROTOCOLS, ", ".join(offered).encode("latin-1")))
    return headers


def _client(scope: Scope) -> tuple[str, int] | None:
    client = scope.get("client")
    return (str(client[0]), int(client[1] or 0)) if client else None
