"""A process of receivers: opens connections to a topic, checks every message of each, prints one line of JSON. Run as a module.

It reads frames itself: a full client would be the slowest part of what it measures.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import orjson

HANDSHAKE = (
    "GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

TEXT, PING = 1, 9


def pong(payload: bytes) -> bytes:
    """A client's answer to a ping: masked with zeros, which change nothing."""
    return bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload


async def frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[list[bytes]]:
    """Payloads of whole, unmasked text frames, as many as one read brings. Pings are answered: uvicorn closes after 40 s without."""
    buffer = b""
    while chunk := await reader.read(1 << 18):
        buffer += chunk
        start, batch = 0, []
        while len(buffer) >= start + 4:
            length, at = buffer[start + 1], start + 2
            if length == 126:
                length, at = int.from_bytes(buffer[at : at + 2]), at + 2
            if len(buffer) < at + length:
                break
            if buffer[start] & 0x0F == TEXT:
                batch.append(buffer[at : at + length])
            elif buffer[start] & 0x0F == PING:
                writer.write(pong(buffer[at : at + length]))
            start = at + length
        buffer = buffer[start:]
        yield batch


async def receive(url: str, count: int, subscribed: asyncio.Event) -> dict[str, Any]:
    """Reads `count` messages and says what was wrong with them, if anything was."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 18)
    writer.write(HANDSHAKE.format(path=parts.path, query=parts.query, host=parts.netloc).encode())
    await reader.readuntil(b"\r\n\r\n")
    expected = 0
    async for batch in frames(reader, writer):
        for frame in batch:
            message = orjson.loads(frame)
            if message.get("c") == "WSE":
                if message["t"] == "subscription_update":
                    subscribed.set()
                continue
            if (message["seq"], message["p"]["n"]) != (expected + 1, expected):
                return {"at": expected, "got": message["seq"]}
            expected += 1
        if expected == count:
            writer.close()
            return {}
    return {"at": expected, "got": "the end"}


async def main(url: str, connections: int, count: int, seconds: float) -> None:
    started = [asyncio.Event() for _ in range(connections)]
    tasks = [asyncio.create_task(receive(url, count, event)) for event in started]
    async with asyncio.timeout(seconds):
        await asyncio.gather(*(event.wait() for event in started))
        print("subscribed", flush=True)
        began = time.monotonic()
        wrong = [result for result in await asyncio.gather(*tasks) if result]
    print(json.dumps({"wrong": wrong, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
