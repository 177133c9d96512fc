"""faults.json: frames with one fault, and with two of steps next to one another in [P-12]; the code is that of the step that comes first there."""

import json
import zlib
from itertools import pairwise

import msgpack

from .parts import hexed, repeated, repeated_text

LIMITS = {"nesting_depth": 64, "message_bytes": 1048576, "inflate_bytes": 1048576, "inflate_ratio": 200, "inflate_ratio_from_bytes": 65536}

#: What a frame that has the fault alone is refused with. A format's own code is filled in.
CODES = {
    "size": "MESSAGE_TOO_LARGE",
    "tag": "UNSUPPORTED_FORMAT",
    "compression": "INVALID_COMPRESSION",
    "format": "INVALID_",
    "depth": "TOO_DEEP",
    "a key twice": "INVALID_MESSAGE",
    "version": "UNSUPPORTED_VERSION",
    "header": "INVALID_MESSAGE",
    "message": "UNKNOWN_TYPE",
}

#: The order of [P-12]; of two in one step either comes first.
STEPS = [["size"], ["tag"], ["compression"], ["format", "depth"], ["a key twice"], ["version"], ["header"], ["message"]]

#: Text frames have neither tag nor compression.
TEXT_STEPS = [step for step in STEPS if step not in (["tag"], ["compression"])]


def file() -> dict:
    text = [{**named("JSON", faults), **text_frame(faults)} for faults in chosen(TEXT_STEPS)]
    binary = [{**named("MessagePack", faults), **binary_frame(faults)} for faults in chosen(STEPS)]
    return {
        "comment": "Frames with the faults that they are named by, from a client that speaks MessagePack and zlib; of a text frame's the format is JSON. "
        "`code` is what [P-12] has a server answer. A client passes over a message of a type that it does not know, and judges the rest alike.",
        "count": 0,
        "limits": LIMITS,
        "text": text,
        "binary": binary,
    }


def chosen(steps: list[list[str]]) -> list[tuple[str, ...]]:
    """Each fault alone, and each of a step with each of the next one."""
    alone = [(fault,) for step in steps for fault in step]
    return alone + [(first, second) for step, after in pairwise(steps) for first in step for second in after]


def named(form: str, faults: tuple[str, ...]) -> dict:
    code = CODES[faults[0]]
    if faults[0] == "format":
        code += "JSON" if form == "JSON" else "MSGPACK"
    return {"name": f"{form}: {', then '.join(faults)}", "rule": "P-12", "faults": list(faults), "code": code}


def pairs(faults: tuple[str, ...], filling: object) -> list[tuple[str, object]]:
    """A frame's keys and values; `t` comes before `p`, as writers have it."""
    kind = {"c": "WSE", "t": "nonsense"} if "message" in faults else {"t": "a"}
    made: list[tuple[str, object]] = [("v", 3 if "version" in faults else 2), *kind.items(), ("id", "1")]
    if "a key twice" in faults:
        made.append(("id", "1"))
    if "header" in faults:
        made.append(("seq", "x"))
    return [*made, ("p", deep() if "depth" in faults else filling)]


def deep() -> object:
    """One level more than is taken, the envelope included."""
    value: object = None
    for _ in range(LIMITS["nesting_depth"]):
        value = [value]
    return value


def written(faults: tuple[str, ...], filling: str = "") -> str:
    text = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in pairs(faults, filling)) + "}"
    return text + "}" if "format" in faults else text


def packed(faults: tuple[str, ...], filling: str = "") -> bytes:
    body = msgpack.Packer().pack_map_pairs(pairs(faults, filling))
    return body + b"\xc0" if "format" in faults else body


def text_frame(faults: tuple[str, ...]) -> dict:
    if "size" not in faults:
        return {"text": written(faults)}
    # White space after the frame: it is too large whatever else there is in it.
    return repeated_text((written(faults), 1), (" ", LIMITS["message_bytes"]))


def binary_frame(faults: tuple[str, ...]) -> dict:
    tag = b"S:" if "tag" in faults else b"C:" if "compression" in faults else b"M:"
    body = packed(faults)
    if "compression" in faults:
        # A stream without its end, of a frame that may have its own fault; stored, as every zlib writes it.
        body = zlib.compress(b"M:" + body, 0)[:-4]
    if "size" not in faults:
        return hexed(tag + body)
    head = packed(faults, "?").removesuffix(b"\xa1?") + b"\xdb" + LIMITS["message_bytes"].to_bytes(4, "big")
    return repeated((tag + head, 1), (b"a", LIMITS["message_bytes"]))
