"""The ASGI driver: a connection's frames go through the server's `receive` and `send`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import anyio

from . import _native
from ._peer import Channel, Peer
from .codes import CloseCode

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_FRAMES: Final = 64  # frames per `take`
_NO_STATUS: Final = 1005  # a close frame without a code, RFC 6455 section 7.4.1
_HOOK_SECONDS: Final = 5.0  # how long a closing connection waits for its on_disconnect hooks

log = logging.getLogger("wse_server")


async def serve(engine: _native.Engine, number: int, peer: Peer, subprotocol: str | None, receive: Receive, send: Send) -> None:
    """Accepts, and serves until either side closes. Returns when the disconnect hooks have run."""
    code: int = CloseCode.ABNORMAL
    channel = peer.channel = Channel()
    try:
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        code, reason = await _exchange(engine, number, channel, receive, send)
        if reason is not None:
            await send({"type": "websocket.close", "code": code, "reason": reason})
    except OSError:
        log.debug("connection %s went away", number)
    finally:
        engine.hang_up(number, code)
        # Shielded: a test client cancels the application the moment that it has closed.
        with anyio.move_on_after(_HOOK_SECONDS, shield=True):
            await peer.gone()


async def _exchange(engine: _native.Engine, number: int, channel: Channel, receive: Receive, send: Send) -> tuple[int, str | None]:
    """Both directions until one ends: the close code, and the reason if it is for us to close."""
    reader = asyncio.create_task(_read(engine, number, channel, receive))
    writer = asyncio.create_task(_write(engine, number, channel, send))
    try:
        await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Both are over before a close is sent: granian cannot close while something receives.
        reader.cancel()
        writer.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait((reader, writer))
    failed = [task for task in (reader, writer) if not task.cancelled() and task.exception() is not None]
    if failed:
        failed[0].result()
    if reader.cancelled():
        return writer.result()
    return reader.result(), None


async def _read(engine: _native.Engine, number: int, channel: Channel, receive: Receive) -> int:
    """Frames from the peer, as fast as the engine takes them; returns the close code."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return _close_code(message)
        frame = message.get("text")
        channel.writable.clear()
        if not engine.push(number, message["bytes"] if frame is None else frame):
            await channel.writable.wait()


def _close_code(message: MutableMapping[str, Any]) -> int:
    """A close without a code is as one with 1000 [P-62]. uvicorn tells it as 1005 with a reason, and some losses without one; daphne as None."""
    code: int | None = message.get("code", CloseCode.ABNORMAL)
    if code is None or (code == _NO_STATUS and "reason" in message):
        return CloseCode.NORMAL
    # granian tells of both without a reason: who may only be lost is waited for.
    return CloseCode.ABNORMAL if code == _NO_STATUS else code


async def _write(engine: _native.Engine, number: int, channel: Channel, send: Send) -> tuple[int, str]:
    """Frames to the peer; returns the code and reason with which the engine closes."""
    while True:
        await channel.outbound.wait()
        channel.outbound.clear()
        while frames := engine.take(number, _FRAMES):
            for frame in frames:
                if isinstance(frame, tuple):
                    return frame
                await send({"type": "websocket.send", "text" if isinstance(frame, str) else "bytes": frame})
