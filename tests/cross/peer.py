"""The peer of tests/examples/cross in Python: reads frames after docs/PROTOCOL.md, and writes each again in both formats, plain and packed."""

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import msgpack

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "wse-python/tests/support"))
from wire import read_batch, read_binary, read_text  # noqa: E402

LIMITS = {"inflate_bytes": 1 << 24, "inflate_ratio": 200, "inflate_ratio_from_bytes": 1 << 16}


def read(body: bytes) -> Any:
    """What a frame says; a batch by what each of its envelopes says."""
    envelope = read_binary(body, LIMITS) if body[:2] in (b"M:", b"C:") else read_text(body.decode())
    if (envelope.get("c"), envelope["t"]) == ("WSE", "batch"):
        return {**envelope, "p": read_batch(envelope)}
    return envelope


for number, line in enumerate(sys.stdin):
    envelope = read(bytes.fromhex(line[1:]))
    text, packed = json.dumps(envelope, ensure_ascii=number % 2 == 0), b"M:" + msgpack.packb(envelope)
    compressed = [(b"C:" + zlib.compress(body)).hex() for body in (text.encode(), packed)]
    print(json.dumps({"read": json.dumps(envelope), "json": text, "msgpack": packed.hex(), "packed": compressed}))
