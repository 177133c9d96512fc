"""Workers that end while others serve: clients are told to move, and the server's own end comes after that ([P-67] to [P-69])."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from wse_server import WSEConfig, WSEUsageError, create_wse_router

from .support import servers
from .support.client import Client

LONG = 120.0  # a window that no test waits for


def two(start: str, **settings: Any) -> servers.Server:
    return servers.gunicorn(2, **settings) if start == "gunicorn" else servers.uvicorn("--workers", "2", **settings)


def pid_of(client: Client) -> Any:
    return client.request("pid", None)


async def both_serve(server: servers.Server) -> None:
    """One of them answers before the other has started."""
    seen: set[int] = set()
    async with asyncio.timeout(30):
        while len(seen) < 2:
            seen.add(await asyncio.to_thread(server.get, "/pid"))


async def is_gone(pid: int) -> None:
    """Ended, or waits for its parent to take note."""
    async with asyncio.timeout(30):
        while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def elsewhere(server: servers.Server, pid: int) -> AsyncIterator[tuple[Client, int]]:
    """A client of a worker that takes some, and how often it was turned away before."""
    refused = 0
    async with asyncio.timeout(30):
        while True:
            try:
                client = await Client(server.ws()).__aenter__()
            except InvalidStatus as error:
                assert error.response.status_code == 503
                refused += 1
                await asyncio.sleep(0.02)
                continue
            break
    try:
        assert (await pid_of(client))["p"] != pid
        yield client, refused
    finally:
        await client.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("start", "takeover"), [("uvicorn", "auto"), ("uvicorn", "never"), ("gunicorn", "auto")], ids=["uvicorn", "uvicorn-asgi", "gunicorn"]
)
async def test_sigterm_has_clients_move_to_another_worker_and_then_ends_this_one(redis_url: str, start: str, takeover: str) -> None:
    with servers.running(two(start, redis_url=redis_url, redis_prefix=f"drain-{start}-{takeover}", takeover=takeover, drain_window=LONG)) as server:
        await both_serve(server)
        async with Client(server.ws(), moves=True) as client, Client(server.ws()) as other:
            pid = (await pid_of(client))["p"]
            same = (await pid_of(other))["p"] == pid
            os.kill(pid, signal.SIGTERM)
            told = await client.kind("move")
            assert told["p"] == {"in_ms": 0, "for_ms": 1000 * (LONG + 5)}
            if same:  # it has not said that it moves
                assert await other.closed() == 1012
            async with elsewhere(server, pid):
                assert (await client.request("echo", "still here"))["p"]["payload"] == "still here"
        await is_gone(pid)
        await both_serve(server)  # a worker that starts while its parent ends would be left over


async def test_every_new_client_is_turned_away_by_a_worker_that_drains_and_health_says_so(redis_url: str) -> None:
    with (
        servers.running(servers.uvicorn(redis_url=redis_url, redis_prefix="full", drain_window=LONG)) as server,
        servers.running(servers.uvicorn(redis_url=redis_url, redis_prefix="full")),
    ):
        assert server.health()["status"] == "ok"
        async with Client(server.ws(), moves=True, topics=["a"]) as client:
            drained = asyncio.create_task(asyncio.to_thread(server.post, "/drain"))
            await client.kind("move")
            answer = await asyncio.to_thread(httpx.get, server.url("/wse/health"))
            assert (answer.status_code, answer.json()["status"], answer.json()["moves"]) == (503, "draining", 1)
            for _ in range(5):
                with pytest.raises(InvalidStatus) as refused:
                    await Client(server.ws()).__aenter__()
                assert refused.value.response.status_code == 503
            assert (await asyncio.to_thread(server.post, "/publish", topic="a", payload=1))["seq"] == 1
            assert (await client.kind("a"))["p"] == 1
            assert not drained.done()
        async with asyncio.timeout(20):
            await drained


async def test_a_worker_that_is_alone_closes_with_1012_at_once_and_one_that_becomes_so_too(redis_url: str) -> None:
    settings = {"redis_url": redis_url, "redis_prefix": "alone", "drain_window": LONG}
    with servers.running(servers.uvicorn(**settings)) as server:
        with servers.running(servers.uvicorn(**settings)) as other:
            async with Client(server.ws(), moves=True) as client, Client(other.ws(), moves=True) as second:
                server.process.send_signal(signal.SIGTERM)
                await client.kind("move")
                other.process.send_signal(signal.SIGTERM)
                assert await second.closed() == 1012
                assert await client.closed() == 1012
                assert client.ready["retry_ms"] == 500
        await asyncio.to_thread(server.wait_exit)


async def test_a_second_sigterm_ends_the_worker_at_once(redis_url: str) -> None:
    settings = {"redis_url": redis_url, "redis_prefix": "hurry", "drain_window": LONG}
    with servers.running(servers.uvicorn(**settings)) as server, servers.running(servers.uvicorn(**settings)):
        async with Client(server.ws(), moves=True) as client:
            server.process.send_signal(signal.SIGTERM)
            await client.kind("move")
            server.process.send_signal(signal.SIGTERM)
            assert await client.closed() == 1012
        await asyncio.to_thread(server.wait_exit)


async def test_without_a_window_sigterm_is_left_to_the_server(redis_url: str) -> None:
    settings = {"redis_url": redis_url, "redis_prefix": "none", "drain_window": 0}
    with servers.running(servers.uvicorn(**settings)) as server, servers.running(servers.uvicorn(**settings)):
        async with Client(server.ws(), moves=True) as client:
            server.process.send_signal(signal.SIGTERM)
            assert await client.closed() == 1012
        await asyncio.to_thread(server.wait_exit)


async def test_hypercorns_loop_keeps_its_own_handler_which_runs_afterwards(redis_url: str) -> None:
    settings = {"redis_url": redis_url, "redis_prefix": "hypercorn", "drain_window": LONG}
    with servers.running(servers.hypercorn_alone(**settings)) as server, servers.running(servers.uvicorn(**settings)):
        async with Client(server.ws(), moves=True) as client:
            server.process.send_signal(signal.SIGTERM)
            await client.kind("move")
            assert (await client.request("echo", 1))["p"]["payload"] == 1
        await asyncio.to_thread(server.wait_exit)


async def test_on_the_in_process_bus_nobody_moves() -> None:
    with servers.running(servers.uvicorn()) as server:
        async with Client(server.ws(), moves=True) as client:
            drained = asyncio.create_task(asyncio.to_thread(server.post, f"/drain?window={LONG}"))
            assert await client.closed() == 1012
            async with asyncio.timeout(20):
                await drained


async def test_a_drain_without_an_engine_does_nothing_and_a_window_is_a_time() -> None:
    wse = create_wse_router(WSEConfig())
    async with asyncio.timeout(5):
        await wse.drain()
    for window in (-1, float("nan"), float("inf"), True, "5"):
        with pytest.raises(WSEUsageError, match="window"):
            await wse.drain(window)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, lambda *_: None], ids=["default", "ignored", "function"])
async def test_the_handler_that_was_there_is_there_again_after_the_lifespan(redis_url: str, before: Callable[..., Any] | signal.Handlers) -> None:
    wse = create_wse_router(WSEConfig(redis_url=redis_url, redis_prefix="handlers"))
    kept = signal.signal(signal.SIGTERM, before)
    try:
        async with wse.lifespan_context(None):
            during = signal.getsignal(signal.SIGTERM)
        assert (during == before) == (before is signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) == before
    finally:
        signal.signal(signal.SIGTERM, kept)
        wse._host.stop()
