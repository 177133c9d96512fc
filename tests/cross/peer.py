"""The peer of tests/examples/cross.rs in Python: reads frames after the rules of docs/PROTOCOL.md, and writes each again in both formats."""

import json
import sys
from pathlib import Path

import msgpack

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "wse-python/tests/support"))
from wire import read_binary, read_text  # noqa: E402

LIMITS = {"inflate_bytes": 1 << 20, "inflate_ratio": 200, "inflate_ratio_from_bytes": 1 << 16}

for number, line in enumerate(sys.stdin):
    body = bytes.fromhex(line)
    envelope = read_binary(body, LIMITS) if body.startswith(b"M:") else read_text(body.decode())
    text = json.dumps(envelope, ensure_ascii=number % 2 == 0)
    print(json.dumps({"json": text, "msgpack": (b"M:" + msgpack.packb(envelope)).hex()}))
