"""A reader of frames after docs/PROTOCOL.md alone, of Python's own json, msgpack and zlib: what the vectors must mean to a stranger."""

import json
import math
import zlib
from typing import Any, NoReturn

import msgpack

DEPTH = 64
LARGEST = 2**53 - 1
TEXTS = {"t": 256, "id": 64, "ts": 64, "tp": 200, "e": 64, "k": 256, "cid": 64, "pid": 64, "pe": 64}
INTEGERS = ("seq", "ps", "n", "na")
HEADER = {*TEXTS, *INTEGERS, "v", "c", "pri", "p"}


class Refused(Exception):
    """A frame breaks a rule."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code} {message}")
        self.code = code


class Pairs(dict[str, Any]):
    """An object, and which of its keys stood twice."""

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        super().__init__((key, value) for key, value in pairs if isinstance(key, str))
        self.foreign = any(not isinstance(key, str) for key, _ in pairs)
        keys = [key for key, _ in pairs if isinstance(key, str)]
        self.twice = {key for key in self if keys.count(key) > 1}


def read_text(text: str) -> dict[str, Any]:
    """A text frame ([P-10], [P-12])."""
    try:
        value = json.loads(text, object_pairs_hook=Pairs, parse_int=_integer, parse_float=_double, parse_constant=_no_constant)
    except RecursionError as error:
        raise Refused("TOO_DEEP") from error
    except ValueError as error:
        raise Refused("INVALID_JSON", str(error)) from error
    _walk(value, "INVALID_JSON")
    return _envelope(value, "INVALID_JSON")


def read_binary(frame: bytes, limits: dict[str, int]) -> dict[str, Any]:
    """A binary frame of a connection that speaks both formats and zlib ([P-14])."""
    if frame[:2] == b"M:":
        return _read_msgpack(frame[2:])
    if frame[:2] != b"C:":
        raise Refused("UNSUPPORTED_FORMAT")
    inner = inflate(frame[2:], limits)
    if inner[:2] == b"C:":
        raise Refused("INVALID_COMPRESSION", "nested")
    if inner[:2] == b"M:":
        return _read_msgpack(inner[2:])
    try:
        return read_text(inner.decode())
    except UnicodeDecodeError as error:
        raise Refused("INVALID_JSON", str(error)) from error


def inflate(stream: bytes, limits: dict[str, int]) -> bytes:
    """Exactly one zlib stream ([P-17])."""
    most = min(limits["inflate_bytes"], max(limits["inflate_ratio_from_bytes"], limits["inflate_ratio"] * len(stream)))
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(stream, most + 1)
    except zlib.error as error:
        raise Refused("INVALID_COMPRESSION", str(error)) from error
    if len(data) > most:
        raise Refused("INFLATE_LIMIT")
    if not unpacker.eof or unpacker.unused_data:
        raise Refused("INVALID_COMPRESSION", "cut or trailing")
    return data


def read_batch(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The envelopes of a batch ([P-37])."""
    items = envelope.get("p")
    if not isinstance(items, list) or len(items) < 2:
        raise Refused("INVALID_MESSAGE")
    try:
        envelopes = [_envelope(item, "INVALID_MESSAGE") for item in items]
    except Refused as refused:
        raise Refused("INVALID_MESSAGE", f"an item: {refused}") from refused
    if any(item.get("c", "U") != "U" or "e" not in item for item in envelopes):
        raise Refused("INVALID_MESSAGE", "no message of a topic")
    positions = [item.get("seq", -1) for item in envelopes]
    topics = {item.get("tp") for item in envelopes}
    if len(topics) > 1 or None in topics or positions != sorted(set(positions)) or -1 in positions:
        raise Refused("INVALID_MESSAGE")
    return envelopes


def _read_msgpack(body: bytes) -> dict[str, Any]:
    try:
        value = msgpack.unpackb(body, object_pairs_hook=Pairs, strict_map_key=False, ext_hook=_no_extension)
    except msgpack.StackError as error:
        raise Refused("TOO_DEEP") from error
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Refused("INVALID_MSGPACK", str(error)) from error
    _walk(value, "INVALID_MSGPACK")
    return _envelope(value, "INVALID_MSGPACK")


def _envelope(value: Any, code: str) -> dict[str, Any]:
    if not isinstance(value, Pairs):
        raise Refused(code, "no object")
    if value.twice & HEADER:
        raise Refused("INVALID_MESSAGE", "a key stands twice")
    version = value.get("v")
    if _is_integer(version) and version != 2:
        raise Refused("UNSUPPORTED_VERSION")
    judged = [
        version == 2 and _is_integer(version),
        "t" in value,
        value.get("c", "U") in ("WSE", "S", "U"),
        all(_is_integer(value[key]) for key in INTEGERS if key in value),
        value.keys() >= {"pid", "n", "cid"} if value.keys() & {"pid", "n", "na", "pe"} else True,  # [P-51]
        value.get("n", 1) != 0,
        "pri" not in value or (_is_integer(value["pri"]) and value["pri"] in (1, 3, 5, 8, 10)),
        *(isinstance(value[key], str) and 1 <= len(value[key].encode()) <= most for key, most in TEXTS.items() if key in value),
    ]
    if not all(judged):
        raise Refused("INVALID_MESSAGE")
    return value


def _is_integer(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _walk(top: Any, code: str) -> None:
    """Holds every value against those of JSON, and counts levels; those of a batch's envelopes from each itself ([P-37])."""
    if isinstance(top, Pairs) and (top.get("c"), top.get("t")) == ("WSE", "batch") and isinstance(top.get("p"), list):
        for part in [Pairs([pair for pair in top.items() if pair[0] != "p"]), *top["p"]]:
            _count(part, code)
    else:
        _count(top, code)


def _count(top: Any, code: str) -> None:
    level, depth = [top], 0
    while level:
        level, containers = [], [value for value in level if _is_container(value, code)]
        depth += bool(containers)
        if depth > DEPTH:
            raise Refused("TOO_DEEP")
        for value in containers:
            level.extend(value if isinstance(value, list) else [*value, *value.values()])


def _is_container(value: Any, code: str) -> bool:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Refused(code, "a lone surrogate") from error
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Refused(code, "beyond a double")
    elif isinstance(value, Pairs):
        if value.foreign:
            raise Refused(code, "a key that is no string")
        return True
    elif isinstance(value, list):
        return True
    elif value is not None and not isinstance(value, bool | int):
        raise Refused(code, f"a value of another type: {value!r:.40}")
    return False


def _integer(digits: str) -> int | float:
    if len(digits) > 20:
        return float(digits)
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def _double(digits: str) -> float:
    return float(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _no_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError("an extension type")
