"""Takes a connection's socket from uvicorn before the handshake is answered, so that no frame passes through Python."""

import asyncio
import functools
import os
import socket
import sys
from collections import deque
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

_SEARCH: Final = 256  # objects looked at for the protocol behind `send`, however deep middleware has wrapped it


class Impossible(Exception):
    """The socket stays with the server; the text says why."""


class _Sansio:
    """uvicorn's `websockets-sansio`."""

    def answered(self, protocol: Any) -> bool:
        return bool(protocol.handshake_complete or protocol.initial_response)

    def leftover(self, protocol: Any) -> bytes:
        """Early bytes are parsed into frames at once; nothing raw remains to hand over."""
        if protocol.queue.qsize() or protocol.conn.reader.buffer or _innermost(protocol.conn.parser) == "read_exact":
            raise Impossible("the client sent frames before the handshake was answered")
        return b""

    def release(self, protocol: Any) -> None:
        """Nothing waits for the answer."""


class _Wsproto(_Sansio):
    """uvicorn's `wsproto`."""

    def answered(self, protocol: Any) -> bool:
        return bool(protocol.handshake_complete)

    def leftover(self, protocol: Any) -> bytes:
        trailing, _ = protocol.conn.handshake._h11_connection.trailing_data
        return bytes(trailing)


class _Legacy(_Sansio):
    """uvicorn's `websockets`, over that library's legacy server."""

    def answered(self, protocol: Any) -> bool:
        return bool(protocol.handshake_started_event.is_set())

    def leftover(self, protocol: Any) -> bytes:
        return bytes(protocol.reader._buffer)

    def release(self, protocol: Any) -> None:
        """Ends the task that waits to write the answer, and tells uvicorn that there has been one."""
        protocol.handler_task.cancel()
        protocol.handshake_started_event.set()


_KINDS: Final = {
    "uvicorn.protocols.websockets.websockets_sansio_impl": _Sansio(),
    "uvicorn.protocols.websockets.wsproto_impl": _Wsproto(),
    "uvicorn.protocols.websockets.websockets_impl": _Legacy(),
}


class Takeover:
    """A connection whose socket can be taken; made by `find`."""

    def __init__(self, protocol: Any, kind: _Sansio) -> None:
        self._protocol = protocol
        self._kind = kind

    @classmethod
    def find(cls, scope: MutableMapping[str, Any], receive: object, send: object) -> "Takeover":
        """Looks for uvicorn's protocol object behind the ASGI callables; `Impossible` says what is in the way."""
        for candidate in _reachable(receive, send):  # middleware wraps `send` more often
            for base in type(candidate).__mro__:
                if base.__module__ in _KINDS and _same_request(candidate, scope):
                    takeover = cls(candidate, _KINDS[base.__module__])
                    takeover._check()
                    return takeover
        raise Impossible("this ASGI server is not uvicorn, or a middleware hides it")

    def detach(self) -> tuple[int, bytes]:
        """The duplicated descriptor and what was read beyond the request; the server has let go. Nothing may be awaited since `find`."""
        self._check()
        leftover = self._leftover()
        transport = self._protocol.transport
        transport.pause_reading()
        descriptor = os.dup(transport.get_extra_info("socket").fileno())
        transport.abort()
        self._kind.release(self._protocol)
        return descriptor, leftover

    def _check(self) -> None:
        if self._kind.answered(self._protocol):
            raise Impossible("the handshake is answered already")
        check_transport(self._protocol.transport)

    def _leftover(self) -> bytes:
        try:
            return self._kind.leftover(self._protocol)
        except AttributeError as error:
            raise Impossible(f"this version of uvicorn's WebSocket protocol is not known ({error})") from None


def check_transport(transport: Any) -> None:
    """`Impossible` unless the transport is a plain TCP socket with nothing under way."""
    if sys.platform == "win32":
        raise Impossible("Windows sockets cannot be handed over")
    if transport is None or transport.is_closing():
        raise Impossible("the connection is closing")
    if transport.get_extra_info("ssl_object") is not None:
        raise Impossible("TLS ends in this server; end it in a proxy for native transport")
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.fileno() < 0:
        raise Impossible("the connection is no TCP socket")
    if transport.get_write_buffer_size():
        raise Impossible("the server has bytes to send")


def expected(receive: object, send: object) -> None:
    """Judges by a plain HTTP request what a WebSocket would get; `Impossible` where it would not be taken over."""
    for candidate in _reachable(receive, send):  # middleware wraps `send` more often
        if type(candidate).__module__.startswith("uvicorn.protocols.http.") and hasattr(candidate, "transport"):
            return check_transport(candidate.transport)
    raise Impossible("this ASGI server is not uvicorn, or a middleware hides it")


async def settle(receive: Any) -> None:
    """Waits until the server has seen its connection go; then the application may return without a word from it."""
    async with asyncio.timeout(5):
        while (await receive())["type"] != "websocket.disconnect":
            pass


def _reachable(*roots: object) -> Iterator[object]:
    """Objects behind callables: bound methods, closures, partials and instances, nearest first."""
    waiting, seen = deque(roots), set[int]()
    while waiting and len(seen) < _SEARCH:
        current = waiting.popleft()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting.extend(_behind(current))


def _behind(current: Any) -> Iterator[object]:
    if isinstance(current, functools.partial):
        yield from (current.func, *current.args)
    if owner := getattr(current, "__self__", None):
        yield owner
    for cell in getattr(current, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the variable is not set yet
            continue
    if callable(current) and not isinstance(current, type):
        yield from (value for value in getattr(current, "__dict__", {}).values() if callable(value))


def _same_request(protocol: Any, scope: MutableMapping[str, Any]) -> bool:
    """Guards against another connection's protocol within reach, as in a middleware that keeps them."""
    theirs = getattr(protocol, "scope", {})
    # A scope that was copied on its way here still has the list itself.
    return theirs.get("headers") is scope["headers"] or _key(theirs) == _key(scope)


def _key(scope: MutableMapping[str, Any]) -> bytes | None:
    return dict(scope.get("headers", ())).get(b"sec-websocket-key")


def _innermost(generator: Any) -> str:
    """The name of the generator that a chain of `yield from` waits in."""
    while inner := getattr(generator, "gi_yieldfrom", None):
        generator = inner
    return str(getattr(generator, "__name__", ""))
