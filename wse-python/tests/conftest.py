"""Fixtures: the ways a server can be run, each started once for all tests that use it."""

from collections.abc import Iterator
from itertools import product

import pytest

from .support import servers
from .support.servers import Server

_UVICORN = [
    pytest.param((takeover, loop, http, ws), id=f"{'native' if takeover == 'auto' else 'asgi'}-{loop}-{http}-{ws}")
    for takeover, loop, http, ws in product(
        ("auto", "never"), ("uvloop", "asyncio"), ("httptools", "h11"), ("websockets-sansio", "websockets", "wsproto")
    )
]
_OTHERS = [pytest.param(name, id=f"asgi-{name}") for name in ("hypercorn", "granian", "daphne")]


@pytest.fixture(scope="session", params=_UVICORN + _OTHERS)
def anywhere(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The suite's application under every combination of server, loop, parser, WebSocket library and transport."""
    settings = {"message_bytes": 1_000_000}  # daphne drops a connection without a word at 1 MiB
    match request.param:
        case "hypercorn":
            server = servers.hypercorn(**settings)
        case "granian":
            server = servers.granian(**settings)
        case "daphne":
            server = servers.daphne(**settings)
        case (takeover, loop, http, ws):
            server = servers.uvicorn("--loop", loop, "--http", http, "--ws", ws, takeover=takeover, **settings)
    server.expected_transport = "native" if request.param[0] == "auto" else "asgi"  # type: ignore[attr-defined]
    with servers.running(server):
        yield server


@pytest.fixture(scope="session", params=["auto", "never"], ids=["native", "asgi"])
def both(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The suite's application natively and through ASGI, on uvicorn's defaults."""
    with servers.running(servers.uvicorn(takeover=request.param)) as server:
        yield server


@pytest.fixture(scope="session", params=["auto", "never"], ids=["native", "asgi"])
def guarded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The same with an `auth_handler`."""
    with servers.running(servers.uvicorn(takeover=request.param, auth=True, auth_timeout=0.5)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the tests' own."""
    with servers.redis() as url:
        yield url
