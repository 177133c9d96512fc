"""MessagePack bodies behind `M:`."""

import math
import struct

import msgpack

from .parts import hexed, joined, joined_text, meaning, repeated, with_names

HEAD = b"M:"
#: `{"v": 2, "t": "a", "p":` without its value.
OPEN = HEAD + bytes.fromhex("83a17602a174a161a170")
#: `{"v": 2, "t": "a"}`.
LEAST = HEAD + msgpack.packb({"v": 2, "t": "a"})
MIB_64 = 64 << 20


def envelope(**more: object) -> dict:
    return {"v": 2, "t": "a", **more}


def packed(value: object, **options: object) -> bytes:
    return HEAD + msgpack.packb(value, **options)


def payload(body: str | bytes) -> bytes:
    """A frame around a payload that is written out, in hex or bytes."""
    return OPEN + (bytes.fromhex(body) if isinstance(body, str) else body)


#: Encodings that Python's writer does not choose, or does only here; their meaning is what Python reads.
WIDE = {
    "integers of every width": payload("99" + "05" + "cc05" + "cd0005" + "ce00000005" + "cf0000000000000005" + "d005" + "d10005" + "d200000005" + "d30000000000000005"),
    "negative integers of every width": payload("95" + "ff" + "d0ff" + "d1ffff" + "d2ffffffff" + "d3ffffffffffffffff"),
    "the largest and the least integer": payload("92" + "cfffffffffffffffff" + "d38000000000000000"),
    "a float of 32 bits": payload("ca3fc00000"),
    "a float of 64 bits": payload("cb3ff8000000000000"),
    "the largest and the least float": payload("92" + "cb7fefffffffffffff" + "cb0000000000000001"),
    "a string with a length of 8, 16 and 32 bits": payload("93" + "d90161" + "da000161" + "db0000000161"),
    "an array with a length of 16 and 32 bits": payload("92" + "dc000101" + "dd0000000101"),
    "a map with a length of 16 and 32 bits": payload("92" + "de0001a16101" + "df00000001a16101"),
    "an envelope in a map with a length of 16 bits": HEAD + bytes.fromhex("de0002a17602a174a161"),
    "an envelope in a map with a length of 32 bits": HEAD + bytes.fromhex("df00000002a17602a174a161"),
    "wide header integers": HEAD + bytes.fromhex("84a176cf0000000000000002a174a161a3736571d3000000000000002aa3707269cc08"),
    "a header key with a wide length": HEAD + bytes.fromhex("82d90176 02db0000000174a161".replace(" ", "")),
    "an empty key, and a key of 300 bytes": packed(envelope(p={"": 1, "k" * 300: 2})),
    "an array of 100,000": OPEN + b"\xdd" + struct.pack(">I", 100_000) + b"\x01" * 100_000,
    "a payload in which a key stands twice: the last counts": payload("82" + "a16101" + "a16102"),
    "nested 64 levels, the envelope included": OPEN + b"\x91" * 63 + b"\xc0",
    "nested 64 levels of maps": OPEN + bytes.fromhex("81a161") * 63 + b"\xc0",
}

#: Of these the bytes are said by pieces, and what they mean is left out.
LONG = {"an array of 100,000": repeated((OPEN + b"\xdd" + struct.pack(">I", 100_000), 1), (b"\x01", 100_000))}


def accept(envelopes: dict) -> list[dict]:
    cases = []
    for case in envelopes["accept"]:
        value = meaning(joined_text(case))
        cases.append({"name": case["name"], "rule": "P-16", **hexed(packed(value)), "envelope": value})
    for name, body in WIDE.items():
        value = msgpack.unpackb(body[len(HEAD) :])
        case = LONG[name] | {"payload_count": len(value["p"])} if name in LONG else hexed(body) | {"envelope": value}
        cases.append({"name": name, "rule": "P-16", **case})
    return cases


INVALID = {
    "nothing": HEAD,
    "an array": packed([envelope()]),
    "a string": packed("v"),
    "a number": packed(2),
    "nil": packed(None),
    "two maps": LEAST + LEAST[len(HEAD) :],
    "a trailing byte": LEAST + b"\xc0",
    "a map without its last value": LEAST[:-2],
    "a map cut in its last string": LEAST[:-1],
    "a map cut in a key": HEAD + bytes.fromhex("82a17602a3"),
    "an integer cut short": payload("cd00"),
    "a float cut short": payload("cb3ff80000"),
    "a length cut short": payload("da00"),
    "an array that lacks an item": payload("9201"),
    "a payload that is missing": OPEN,
    "the byte that means nothing": payload("c1"),
    "binary": packed(envelope(p=b"\x00")),
    "binary of 16 bits": payload("c5000100"),
    "binary of 32 bits": payload("c60000000100"),
    "binary as a header": packed({"v": 2, "t": b"a"}),
    "binary as a header that is unknown": packed(envelope(x=b"a")),
    "binary as a key": packed({"v": 2, "t": "a", b"x": 1}),
    "an extension of 1 byte": payload("d40100"),
    "an extension of 2 bytes": payload("d5010000"),
    "an extension of 4 bytes": payload("d601" + "00" * 4),
    "an extension of 8 bytes": payload("d701" + "00" * 8),
    "an extension of 16 bytes": payload("d801" + "00" * 16),
    "an extension with a length of 8 bits": packed(envelope(p=msgpack.ExtType(5, b"abc"))),
    "an extension with a length of 16 bits": payload("c8000101" + "00"),
    "an extension with a length of 32 bits": payload("c90000000101" + "00"),
    "a timestamp": packed(envelope(p=msgpack.Timestamp(1_768_473_000, 5))),
    "an extension deep inside": packed(envelope(p=[[{"a": msgpack.ExtType(1, b"x")}]])),
    "an extension as a header": packed({"v": 2, "t": msgpack.ExtType(1, b"x")}),
    "an integer as a key": packed({"v": 2, "t": "a", 1: 2}),
    "an integer as a key of the payload": packed(envelope(p={1: 2})),
    "nil as a key": packed({"v": 2, "t": "a", None: 1}),
    "true as a key of the payload": packed(envelope(p={True: 1})),
    "an array as a key": HEAD + bytes.fromhex("83a17602a174a1619001"),
    "NaN": packed(envelope(p=math.nan)),
    "an infinity": packed(envelope(p=math.inf)),
    "a negative infinity": packed(envelope(p=-math.inf)),
    "NaN of 32 bits": packed(envelope(p=math.nan), use_single_float=True),
    "an infinity of 32 bits": packed(envelope(p=math.inf), use_single_float=True),
    "NaN as a header": packed(envelope(seq=math.nan)),
    "a string that is not UTF-8": payload("a2fffe"),
    "a string with a lone surrogate": payload(b"\xa3" + "\ud800".encode("utf-8", "surrogatepass")),
    "a string with an overlong form": payload("a2c0af"),
    "a string cut within a character": payload("a1c3"),
    "a key that is not UTF-8": payload("81a1ff01"),
    "a header that is not UTF-8": HEAD + bytes.fromhex("82a17602a174a1ff"),
    "a header's key that is not UTF-8": HEAD + bytes.fromhex("83a17602a174a161a1ff01"),
    "a string that claims 64 MiB": payload(b"\xdb" + struct.pack(">I", MIB_64)),
    "a string that claims 4 GiB": payload("dbffffffff61"),
    "binary that claims 64 MiB": payload(b"\xc6" + struct.pack(">I", MIB_64)),
    "an array that claims 64 Mi items": payload(b"\xdd" + struct.pack(">I", MIB_64) + b"\x01"),
    "an array that claims 4 Gi items": payload("ddffffffff"),
    "a map that claims 64 Mi pairs": payload(b"\xdf" + struct.pack(">I", MIB_64) + b"\xa1a\x01"),
    "an envelope that claims 64 Mi pairs": HEAD + b"\xdf" + struct.pack(">I", MIB_64) + LEAST[3:],
    "an extension that claims 64 MiB": payload(b"\xc9" + struct.pack(">I", MIB_64) + b"\x01"),
    "a key that claims 64 MiB": payload(b"\x81\xdb" + struct.pack(">I", MIB_64)),
    "arrays within arrays, each of which claims 60,000 items": payload(b"\xdc\xea\x60" * 60),
}

DEEP = {
    "nested 65 levels": hexed(OPEN + b"\x91" * 64 + b"\xc0"),
    "nested 65 levels of maps": hexed(OPEN + bytes.fromhex("81a161") * 64 + b"\xc0"),
    "nested 65 levels in an unknown header": hexed(HEAD + bytes.fromhex("83a17602a174a161a178") + b"\x91" * 64 + b"\xc0"),
    "nested 65 levels of empty arrays": hexed(OPEN + b"\x91" * 63 + b"\x90"),
    "nested 10,000 arrays": repeated((OPEN, 1), (b"\x91", 10_000), (b"\xc0", 1)),
    "nested 10,000 maps": repeated((OPEN, 1), (bytes.fromhex("81a161"), 10_000), (b"\xc0", 1)),
    "nested 1,000,000 arrays": repeated((OPEN, 1), (b"\x91", 1_000_000), (b"\xc0", 1)),
}

TWICE = {
    "v twice": HEAD + bytes.fromhex("83a17602a17602a174a161"),
    "t twice": HEAD + bytes.fromhex("83a17602a174a161a174a162"),
    "t twice, alike": HEAD + bytes.fromhex("83a17602a174a161a174a161"),
    "seq twice": HEAD + bytes.fromhex("84a17602a174a161a373657101a373657102"),
    "p twice": HEAD + bytes.fromhex("84a17602a174a161a17001a17002"),
    "a key twice, once with a wide length": HEAD + bytes.fromhex("83a17602a174a161d90174a162"),
}


def reject(envelopes: dict) -> list[dict]:
    cases = [*with_names("P-16", {name: {**hexed(body), "code": "INVALID_MSGPACK"} for name, body in INVALID.items()})]
    cases += with_names("P-12", {name: {**body, "code": "TOO_DEEP"} for name, body in DEEP.items()})
    cases += with_names("P-16", {name: {**hexed(body), "code": "INVALID_MESSAGE"} for name, body in TWICE.items()})
    for case in envelopes["reject"]:
        if case["code"] in {"INVALID_MESSAGE", "UNSUPPORTED_VERSION"} and "twice" not in case["name"] and "2^64" not in case["name"]:
            cases.append({"name": case["name"], "rule": case["rule"], **hexed(packed(meaning(joined_text(case)))), "code": case["code"]})
    assert all(joined(case) for case in cases)
    return cases
