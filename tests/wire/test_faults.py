"""Every byte on the wire, read by hand: a client that reads large broadcasts slowly and pings while they are half written."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from conftest import PATIENCE, Client, Server

MESSAGES = 30
BYTES = 300_000
PINGS = 100
PIECE = 16 * 1024  # bytes of one read
REQUEST = (
    "GET /wse?topics=broadcast HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def pinged(number: int) -> bytes:
    return b"ping %03d" % number


def ping(number: int) -> bytes:
    payload, mask = pinged(number), b"\x11\x22\x33\x44"
    return bytes([0x89, 0x80 | len(payload)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def length(buffer: bytes) -> tuple[int, int] | None:
    """Bytes of the header and of the payload of the frame at the front; none while the header is not whole."""
    if len(buffer) < 2:
        return None
    short = buffer[1] & 0x7F
    size = {126: 2, 127: 8}.get(short, 0)
    if len(buffer) < 2 + size:
        return None
    long = int.from_bytes(buffer[2 : 2 + size]) if size else short
    assert long >= {0: 0, 2: 126, 8: 65536}[size], "the shortest form of a length"
    return 2 + size, long


@dataclass
class Wire:
    """What a server may send (RFC 6455, section 5), and nothing else."""

    buffer: bytes = b""
    halves: set[int] = field(default_factory=set)
    """Pings that were sent while a frame was half read."""
    texts: list[str] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    """The message of the topic that each pong came after."""
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)

    def feed(self, piece: bytes) -> None:
        self.buffer += piece
        for opcode, payload in self.frames():
            self.texts += [payload.decode()] if opcode == 1 else []
            if opcode == 10:
                self.pongs.append(payload)
                self.after.append(self.last())
            if b'"subscription_update"' in payload:
                self.subscribed.set()

    def last(self) -> int:
        """The number of the last message of the topic."""
        seqs = (re.search(r'"seq":(\d+)', text[:400]) for text in reversed(self.texts) if '"tp":"broadcast"' in text[:400])
        return next((int(seq[1]) for seq in seqs if seq), 0)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        while (known := length(self.buffer)) is not None and len(self.buffer) >= sum(known):
            first, second, end = self.buffer[0], self.buffer[1], sum(known)
            assert first in (0x81, 0x8A), f"a whole text or a pong, uncompressed: {first:#x}"
            assert second < 0x80, "a server does not mask"
            assert first == 0x81 or known[1] <= 125, "a control frame is short"
            yield first & 0x0F, self.buffer[known[0] : end]
            self.buffer = self.buffer[end:]


async def test_pings_during_half_written_broadcasts_are_answered_and_every_byte_is_well_formed(server: Server) -> None:
    """[P-1] G5"""
    reader, wire, loop = await raw(server), Wire(), asyncio.get_running_loop()
    with reader:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await loop.sock_recv(reader, 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        async with asyncio.timeout(3 * PATIENCE), server.agreed() as publisher:
            sending = asyncio.create_task(publish(publisher, wire))
            await interleave(reader, wire, sending)
    # Of several pings that wait for the kernel to take more, megabytes at a time, the last may stand for all (RFC 6455, section 5.5.3).
    assert wire.pongs == sorted(set(wire.pongs)) and set(wire.pongs) <= {pinged(number) for number in range(PINGS)}
    assert wire.pongs[-1] == pinged(PINGS - 1)
    assert len(wire.halves) > PINGS / 2, "they were sent in the midst of frames"
    messages = [message for message in map(json.loads, wire.texts) if message.get("tp") == "broadcast" and "p" in message]
    last = sending.result()
    assert wire.after[0] < last, "the first was answered in the midst of the broadcasts, not after them"
    assert [m["seq"] for m in messages if m["t"] == "broadcast"] == list(range(last - MESSAGES + 1, last + 1))
    assert all(len(m["p"]["pad"]) == BYTES for m in messages if m["t"] == "broadcast")


async def raw(server: Server) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(reader, ("127.0.0.1", server.port))
    await loop.sock_sendall(reader, REQUEST.encode())
    return reader


async def publish(publisher: Client, wire: Wire) -> int:
    """Once the reader is subscribed; the number of the last message."""
    await wire.subscribed.wait()
    return await publisher.publish("broadcast", count=MESSAGES, bytes=BYTES)


async def interleave(reader: socket.socket, wire: Wire, sending: "asyncio.Task[int]") -> None:
    """Reads piece by piece, a ping after every few, until all has come."""
    loop, sent, pieces = asyncio.get_running_loop(), 0, 0
    while not (sending.done() and sent == PINGS and wire.pongs[-1:] == [pinged(PINGS - 1)] and wire.last() == sending.result()):
        wire.feed(await loop.sock_recv(reader, PIECE))
        pieces += 1
        if sent < PINGS and pieces % 4 == 0 and any('"broadcast"' in text[:400] for text in wire.texts):
            wire.halves |= {sent} if len(wire.buffer) > 2 else set()
            await loop.sock_sendall(reader, ping(sent))
            sent += 1
        await asyncio.sleep(0.001)


async def test_a_close_in_the_midst_of_a_broadcast_comes_after_whole_frames(server: Server) -> None:
    """[P-1]: a begun frame is always finished: the close follows it, and nothing follows the close."""
    reader, loop, received = await raw(server), asyncio.get_running_loop(), b""
    with reader:
        while b"\r\n\r\n" not in received or b'"subscription_update"' not in received:
            received += await loop.sock_recv(reader, PIECE)
        async with asyncio.timeout(3 * PATIENCE), server.agreed() as publisher:
            await publisher.publish("broadcast", count=10, bytes=BYTES)
            mask = b"\x01\x02\x03\x04"
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(struct.pack("!H", 1000)))
            await loop.sock_sendall(reader, bytes([0x88, 0x82]) + mask + payload)
            while piece := await loop.sock_recv(reader, PIECE):
                received += piece
    rest = received.split(b"\r\n\r\n", 1)[1]
    while rest[0] == 0x81:
        header, size = length(rest) or (0, 0)
        json.loads(rest[header : header + size])
        rest = rest[header + size :]
    assert rest == b"\x88\x02" + struct.pack("!H", 1000)
