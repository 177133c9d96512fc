"""What SIGTERM does to a service in Rust: its clients go, and the process ends with 0."""

import asyncio
import json
import time
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import PATIENCE, Server, start
from test_presence_workers import Workers

KINDS = ["rust", "axum"]


@pytest.fixture(params=KINDS)
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(tmp_path, request.param)) as workers:
        yield workers


@pytest.mark.parametrize("kind", KINDS)
async def test_alone_it_tells_clients_to_return_soon(kind: str) -> None:
    """[P-22] [P-67]: the time within which they return was told when they came."""
    server, process = start(kind)
    try:
        async with server.agreed({"move": True}) as mover, server.client() as client:
            assert (await client.until("server_ready"))["p"]["retry_ms"] > 0
            process.terminate()
            for peer in (mover, client):
                assert await peer.closed() == 1012
                assert peer.socket.close_reason == "the server restarts"
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    finally:
        process.kill()
        process.wait(PATIENCE)


async def test_a_client_goes_on_elsewhere_before_the_process_ends(workers: Workers) -> None:
    """[P-67] [P-69]: what it is sent meanwhile reaches it, nobody new comes in, and a proxy sees that."""
    (one, process), (two, _) = workers.start(), workers.start()
    async with two.agreed() as other, one.agreed({"move": True}) as mover:
        await mover.subscribe("ending")
        process.terminate()
        await mover.until("move")
        assert await asyncio.to_thread(_draining, one)
        await other.publish("ending")
        assert (await mover.until("ending"))["seq"] == 1
        assert process.poll() is None
        await mover.socket.close(1000)
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0


async def test_a_second_signal_hurries_clients_that_have_not_moved(workers: Workers) -> None:
    """[P-67]"""
    (one, process), (two, _) = workers.start(), workers.start()
    async with two.agreed(), one.agreed({"move": True}) as stays:
        began = time.monotonic()
        process.terminate()
        await stays.until("move")
        process.terminate()
        assert await stays.closed() == 1012
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
        assert time.monotonic() - began < 5, "without it, it would have had eight seconds"


def _draining(server: Server) -> bool:
    try:
        server.health()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code == 503 and json.load(refusal)["status"] == "draining"
    return False
