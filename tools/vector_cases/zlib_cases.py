"""zlib streams behind `C:`: what they inflate to, and what is wrong with them."""

import hashlib
import json
import zlib

import msgpack

from .parts import hexed, joined, repeated, with_names

HEAD = b"C:"
SMALL = {"v": 2, "t": "a", "p": {"text": "größe", "list": [1, 2.5, None, True]}}
JSON = json.dumps(SMALL, separators=(",", ":"), ensure_ascii=False).encode()
PACKED = b"M:" + msgpack.packb(SMALL)
LARGE = {"v": 2, "t": "prices", "p": [{"symbol": f"S{n}", "bid": n + 0.25, "ask": n + 0.5} for n in range(200)]}


def stream(data: bytes, level: int = 9, wbits: int = 15, strategy: int = zlib.Z_DEFAULT_STRATEGY, zdict: bytes = b"") -> bytes:
    options = (level, zlib.DEFLATED, wbits, 9, strategy)
    packer = zlib.compressobj(*options, zdict) if zdict else zlib.compressobj(*options)
    return packer.compress(data) + packer.flush()


def flushed(data: bytes, mode: int) -> bytes:
    """A stream with a flush in its midst."""
    packer = zlib.compressobj(9)
    half = len(data) // 2
    return packer.compress(data[:half]) + packer.flush(mode) + packer.compress(data[half:]) + packer.flush()


def unended(data: bytes) -> bytes:
    """All of the data, but no end of the stream."""
    packer = zlib.compressobj(9)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def long_text(fill: str, times: int) -> tuple[bytes, dict]:
    """An envelope with a long string, and how a case says what it is."""
    pieces = [('{"v":2,"t":"a","p":"', 1), (fill, times), ('"}', 1)]
    text = "".join(piece * count for piece, count in pieces)
    return text.encode(), {"inflated": {"repeat": [{"text": piece, "times": count} for piece, count in pieces]}}


def blocks(start: bytes, fill: bytes, count: int, end: bytes | None) -> dict:
    """A stream that is said by pieces: after a full flush the same bytes become the same bytes. Without an `end` it has none."""
    packer = zlib.compressobj(9)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    made = {packer.compress(fill) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(count if end else 2)}
    assert len(made) == 1
    tail = packer.compress(end) + packer.flush() if end else b""
    return repeated((HEAD + head, 1), (made.pop(), count), (tail, 1))


def accept() -> list[dict]:
    streams = {f"level {level}": stream(JSON, level) for level in range(10)}
    streams |= {f"a window of 2^{wbits}": stream(JSON, wbits=wbits) for wbits in range(9, 15)}
    streams |= {
        "Huffman codes only": stream(JSON, strategy=zlib.Z_HUFFMAN_ONLY),
        "run lengths only": stream(JSON, strategy=zlib.Z_RLE),
        "fixed codes": stream(JSON, strategy=zlib.Z_FIXED),
        "a sync flush within": flushed(JSON, zlib.Z_SYNC_FLUSH),
        "a full flush within": flushed(JSON, zlib.Z_FULL_FLUSH),
    }
    cases = {f"JSON, {name}": {**hexed(HEAD + body), "envelope": SMALL} for name, body in streams.items()}
    cases["MessagePack"] = {**hexed(HEAD + stream(PACKED)), "envelope": SMALL}
    cases["JSON of many objects"] = {**hexed(HEAD + stream(json.dumps(LARGE).encode())), "envelope": LARGE}
    text, said = long_text(" ", 61_440)
    cases["61,440 equal bytes: any ratio up to 64 KiB"] = {**hexed(HEAD + stream(text)), **said}
    fill, count = varied() * 64, 200
    _, said = long_text(fill, count)
    cases["800 KiB at a ratio below 200"] = {**blocks(b'{"v":2,"t":"a","p":"', fill.encode(), count, b'"}'), **said}
    for name, case in cases.items():
        body = joined(case)[len(HEAD) :]
        assert len(zlib.decompress(body)) <= max(65_536, 200 * len(body)), name
    return with_names("P-17", cases)


def varied() -> str:
    """64 letters and digits without a pattern."""
    return hashlib.sha256(b"wse").hexdigest()


def broken() -> dict[str, bytes]:
    good = stream(JSON)
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    return {
        "nothing": b"",
        "one byte": good[:1],
        "only the head": good[:2],
        "half of it": good[: len(good) // 2],
        "without its checksum": good[:-4],
        "without the checksum's last byte": good[:-1],
        "all data and no end": unended(JSON),
        "a wrong checksum": good[:-1] + bytes([good[-1] ^ 1]),
        "a byte behind its end": good + b"\x00",
        "two streams": good + good,
        "a changed byte within": good[:10] + bytes([good[10] ^ 0x55]) + good[11:],
        "a head whose check is wrong": b"\x78\x9d" + good[2:],
        "another method": b"\x77\x85" + good[2:],
        "a window of 2^16": b"\x88\x1c" + good[2:],
        "a block of the reserved kind": b"\x78\x9c\x07" + good[3:],
        "a stored block whose length is not its complement": b"\x78\x01\x01\x05\x00\x00\x00hello",
        "a distance beyond what came": b"\x78\x9c" + bytes.fromhex("4b04a20100"),
        "raw deflate": raw.compress(JSON) + raw.flush(),
        "gzip": gzip.compress(JSON) + gzip.flush(),
        "with a dictionary": stream(JSON, zdict=b'{"v":2,"t":'),
        "plain JSON": JSON,
        "plain MessagePack": PACKED,
        "a compressed frame within": stream(HEAD + good),
        "a compressed frame within, and within that": stream(HEAD + stream(HEAD + good)),
    }


def bombs() -> dict[str, dict]:
    return {
        "by ratio: 2 MB of zeros": hexed(HEAD + stream(b"\x00" * 2_000_000)),
        "by ratio: 1 MB of an envelope's spaces": hexed(HEAD + stream(long_text(" ", 1_000_000)[0])),
        "by ratio: 66 KB of one letter": hexed(HEAD + stream(long_text("a", 66_000)[0])),
        "by ratio: 64 MiB in blocks": blocks(b"", b"a" * 65_536, 1_024, None),
        "by size: 20 MB at a ratio below 200": blocks(b"", (varied() * 64).encode(), 5_000, None),
        "by size: 20 MB stored, at a ratio of one": repeated((HEAD + b"\x78\x01", 1), (b"\x00\x00\x80\xff\x7f" + b"a" * 32_768, 600)),
    }


def is_one_stream(body: bytes) -> bool:
    """Whether Python's zlib reads the whole of it, to its end."""
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(body)
    except zlib.error:
        return False
    return unpacker.eof and not unpacker.unused_data


def reject() -> list[dict]:
    for name, body in broken().items():
        assert is_one_stream(body) == name.startswith("a compressed frame within"), name
    cases = with_names("P-17", {name: {**hexed(HEAD + body), "code": "INVALID_COMPRESSION"} for name, body in broken().items()})
    cases += with_names("P-17", {name: {**body, "code": "INFLATE_LIMIT"} for name, body in bombs().items()})
    inner = {
        "nothing within": (b"", "INVALID_JSON"),
        "no JSON within": (b"hello", "INVALID_JSON"),
        "JSON within that is not UTF-8": (b'{"v":2,"t":"a","p":"\xff"}', "INVALID_JSON"),
        "JSON within with an encoded surrogate": (b'{"v":2,"t":"a","p":"\xed\xa0\x80"}', "INVALID_JSON"),
        "a signed frame within": (b"S:" + JSON, "INVALID_JSON"),
        "JSON within that is no envelope": (b'{"v":2,"t":7}', "INVALID_MESSAGE"),
        "MessagePack within that is cut": (PACKED[:-1], "INVALID_MSGPACK"),
        "JSON within that is nested 10,000 levels": (b'{"v":2,"t":"a","p":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "TOO_DEEP"),
    }
    return cases + with_names("P-17", {name: {**hexed(HEAD + stream(body)), "code": code} for name, (body, code) in inner.items()})
