"""The FastAPI router: a WebSocket at the prefix, `health` under it, and the application's calls."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import JSONResponse
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Scope

from ._endpoint import Endpoint
from ._host import Host
from .config import WSEConfig
from .dead_letters import DeadLetters
from .errors import WSEConfigError, WSEStartupError, WSEUsageError
from .presence import Attendance
from .publisher import Publishing
from .snapshots import SnapshotProvider

F = TypeVar("F", bound=Callable[..., Any])

_NO_WEBSOCKETS = 'this server cannot speak WebSocket: pip install "uvicorn[standard]", and run it without --ws none'
_NOT_A_PAGE = "this is a WebSocket endpoint: connect with ws:// or wss://, as wse-client does; its state is under /health"

log = logging.getLogger("wse_server")


class _PrefixGuard(BaseRoute):
    """Never matches. FastAPI reads a route's path when a router is included without a prefix, and its own error does not say what to do."""

    @property
    def path(self) -> str:
        raise WSEConfigError("prefix", 'say where the WebSocket is: app.include_router(wse, prefix="/wse")')

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        raise NoMatchFound(name, path_params)


class WSERouter(Publishing, Attendance, APIRouter):
    """`app.include_router(wse, prefix="/wse")` serves clients; its lifespan starts and drains the engine."""

    def __init__(self, config: WSEConfig | None = None) -> None:
        self._host = Host(config if config is not None else WSEConfig())
        self._endpoint = Endpoint(self._host)
        self._dead_letters = DeadLetters(self._host)
        super().__init__(lifespan=self._lifespan)
        self.routes.append(_PrefixGuard())
        for path in ("", "/"):  # with the slash for `app.mount("/wse", wse)`, which always adds one
            self.add_api_websocket_route(path, self._websocket)
            self.add_api_route(path, self._no_upgrade, include_in_schema=False)
        self.add_api_route("/health", self._health, include_in_schema=False)

    def on(self, type: str, idempotent: bool = False) -> Callable[[F], F]:
        """Handles the clients' messages of a type: `async def h(payload, message) -> reply | None`.

        The payload is validated if its parameter has a type. A plain `def` runs in a thread. Messages of one connection are
        handled one after the other. If it raises, the client gets `HANDLER_FAILED`, and a numbered message is put
        into `dead_letters`.
        `idempotent` says that the handler may run twice for one message: where a worker died while it ran, it runs again, and the
        client is not told `OUTCOME_UNKNOWN`.
        """

        def register(function: F) -> F:
            self._host.handle(type, function, idempotent)
            return function

        return register

    def snapshot(self, pattern: str, shared: bool = False) -> Callable[[F], F]:
        """Has the state of a topic, a namespace (`orders:*`) or all (`*`): `async def s(connection, topic) -> state`.

        A client that subscribes gets the state first, then every message after it, with nothing missing between. The state has to be
        at least as new as everything published before the call: publish after the commit. Connections of one user that ask at the same
        time share a call, with `shared` all connections do. One that raises, or takes longer than `snapshot_timeout`, is the error
        `SNAPSHOT_FAILED` at the client, which may ask again. Where the topic has a `TopicPolicy.filter` it has to be a list of rows.
        """

        def register(function: F) -> F:
            self._host.snapshots.add_function(pattern, function, shared)
            self._host.has_snapshots()
            return function

        return register

    def snapshot_provider(self, pattern: str, provider: SnapshotProvider, shared: bool = False) -> None:
        """The same of an object with `get_snapshot(user_id, topics)`, which is asked for several topics of a user at once."""
        self._host.snapshots.add_provider(pattern, provider, shared)
        self._host.has_snapshots()

    async def drain(self, window: float | None = None) -> None:
        """Sends every client away before this process ends, while its listener still accepts; returns when they have gone.

        Where other workers serve on the same Redis, clients of `wse-client` open their next connection before they let this one go,
        spread over `window` seconds (None: `drain_window`): nobody sees a reconnect, and requests in flight are answered. All others,
        and everybody where no other worker serves, are closed with 1012 and return within `restart_retry`. New clients are refused
        with 503 from now on, and `health` says `draining` with 503. SIGTERM does the same, where Redis is set: the server's own
        handler runs after it, and at once if the signal comes again.
        """
        if window is not None and (isinstance(window, bool) or not isinstance(window, int | float) or not 0 <= window < float("inf")):
            raise WSEUsageError(f"window must be a number of seconds, or None, not {window!r}")
        await self._host.drain(window)

    @property
    def dead_letters(self) -> DeadLetters:
        """Numbered messages (P-51) whose handlers raised: `await wse.dead_letters.list()`, `.replay(id)`, `.remove(id)`.

        Of a message that its client does not number nothing is kept: its client is told, and the log has the traceback.
        """
        return self._dead_letters

    def on_connect(self, function: F) -> F:
        """Calls `(connection)` when a client is ready, before its first message is handled."""
        self._host.handlers.add_connect(function)
        return function

    def on_disconnect(self, function: F) -> F:
        """Calls `(connection, code, reason)` exactly once for each client that was ready."""
        self._host.handlers.add_disconnect(function)
        return function

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncIterator[None]:
        try:
            await self._host.startup()
        except WSEStartupError as error:
            raise error.with_traceback(None) from None  # its sentence says what to do; the way to it would bury that
        try:
            yield
        finally:
            await self._host.shutdown()

    async def _websocket(self, websocket: WebSocket) -> None:
        await self._endpoint.serve(websocket.scope, websocket._receive, websocket._send)

    async def _no_upgrade(self, request: Request) -> JSONResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            log.error(_NO_WEBSOCKETS)
            return JSONResponse({"detail": _NO_WEBSOCKETS}, 501)
        return JSONResponse({"detail": _NOT_A_PAGE}, 426, {"Upgrade": "websocket", "Connection": "Upgrade"})

    async def _health(self, request: Request) -> JSONResponse:
        health = await self._endpoint.health(request.receive, request._send)
        return JSONResponse(health, 503 if health["status"] == "draining" else 200)


def create_wse_router(config: WSEConfig | None = None) -> WSERouter:
    """A router to include under a prefix; without a config it runs on the in-process bus with every default."""
    return WSERouter(config)
