"""Volume: every message arrives, in order, at every connection, with the receivers in a process of their own."""

import asyncio
import json
import sys

import pytest

from .support import servers

CONNECTIONS = 50
MESSAGES = 50_000  # publishes on one topic: 2,500,000 deliveries
BYTES = 100
SECONDS = 100.0

# Nothing here makes the publisher wait for receivers, so that what they have not read yet must fit:
SETTINGS = {"outbound_bytes": 256 * 2**20, "history_messages": 2 * MESSAGES, "history_bytes": 256 * 2**20}


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("takeover", ["auto", "never"], ids=["native", "asgi"])
async def test_fifty_thousand_messages_to_fifty_connections_arrive_complete_and_in_order(takeover: str) -> None:
    with servers.running(servers.uvicorn(takeover=takeover, **SETTINGS)) as server:
        command = [sys.executable, "-m", "tests.support.receivers", server.ws("/wse?topics=flood"), str(CONNECTIONS), str(MESSAGES), str(SECONDS)]
        receivers = await asyncio.create_subprocess_exec(*command, cwd=servers.ROOT, stdout=asyncio.subprocess.PIPE)
        assert receivers.stdout is not None
        try:
            async with asyncio.timeout(SECONDS):
                assert await receivers.stdout.readline() == b"subscribed\n"
                await asyncio.to_thread(server.post, f"/flood?topic=flood&count={MESSAGES}&size={BYTES}", seconds=SECONDS)
                result = json.loads(await receivers.stdout.readline())
                await receivers.wait()
        finally:
            if receivers.returncode is None:
                receivers.kill()
        assert result["wrong"] == []
        print(f"{takeover}: {MESSAGES * CONNECTIONS} deliveries in {result['seconds']:.1f} s")
