"""Publications, and the frame bodies that each format makes of them: keys in the order that the engine writes, bytes by Python."""

import json

import msgpack

BASE = {"type": "price", "id": "m1", "ts_ms": 1_768_473_000_000, "topic": "prices", "epoch": "e1", "seq": 42}
ISO = "2026-01-15T10:30:00.000Z"

CASES = {
    "the least": ({}, None),
    "a key and a priority": ({"key": "AAPL", "priority": 8}, {"bid": 1.5, "n": [1, -1, True, None]}),
    "behind a filter": ({"previous": 17}, {"a": {"b": {}}}),
    "behind a filter that nothing passed": ({"previous": 0}, []),
    "the largest position": ({"seq": 2**53 - 1, "previous": 2**53 - 2}, 0),
    "text that is escaped": ({"type": 'a "quoted"\\ type\n', "key": "größe ☃ 😀"}, "tab\t quote\" null\x00 größe 😀"),
    "integers at the borders of widths": ({}, [0, 23, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, -1, -32, -33, -128, -129, -32768, -32769]),
    "integers beyond those that a double holds": ({}, [2**63 - 1, 2**63, 2**64 - 1, -(2**63)]),
    "doubles": ({}, [0.5, -0.25, 1e300, 5e-324, 0.1, 123456.789]),
    "strings at the borders of widths": ({}, ["", "a" * 31, "b" * 32, "c" * 255, "d" * 256]),
    "containers at the borders of widths": ({}, [[1] * 15, [1] * 16, {str(n): n for n in range(15)}, {str(n): n for n in range(16)}]),
    "low priority": ({"priority": 1}, "x"),
}


def cases() -> list[dict]:
    return [case(name, {**BASE, **fields}, payload) for name, (fields, payload) in CASES.items()]


def case(name: str, publication: dict, payload: object) -> dict:
    header = {"v": 2, "t": publication["type"], "id": publication["id"], "ts": ISO, "tp": publication["topic"], "e": publication["epoch"]}
    header["seq"] = publication["seq"]
    optional = {"ps": publication.get("previous"), "k": publication.get("key"), "pri": publication.get("priority")}
    header |= {key: value for key, value in optional.items() if value is not None}
    envelope = {**header, "p": payload}
    written = {"json": text(payload), "msgpack": msgpack.packb(payload).hex()}
    bodies = {"json": text(envelope), "msgpack": (b"M:" + msgpack.packb(envelope)).hex()}
    return {"name": name, "rule": "P-18", "publication": publication, "payload": written, "body": bodies}


def text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
