"""frames.json: binary frames. Bytes are Python's; where a writer never makes them, they are put together here and read by Python."""

from . import msgpack_cases, topic_messages, zlib_cases
from .parts import hexed, with_names

LIMITS = {"nesting_depth": 64, "inflate_bytes": 1048576, "inflate_ratio": 200, "inflate_ratio_from_bytes": 65536}

TAGS = {
    "MessagePack": {**hexed(b"M:\x80"), "tag": "msgpack"},
    "MessagePack, and nothing of it": {**hexed(b"M:"), "tag": "msgpack"},
    "compressed": {**hexed(b"C:\x78\x9c"), "tag": "compressed"},
    "signed": {**hexed(b"S:\x00"), "tag": "reserved"},
    "sealed": {**hexed(b"E:\x00"), "tag": "reserved"},
    "an unknown tag": {**hexed(b"X:\x80"), "tag": "unknown"},
    "a tag in small letters": {**hexed(b"m:\x80"), "tag": "unknown"},
    "half a tag": {**hexed(b"M"), "tag": "unknown"},
    "a tag without its colon": {**hexed(b"M\x80"), "tag": "unknown"},
    "JSON in a binary frame": {**hexed(b'{"v":2,"t":"a"}'), "tag": "unknown"},
    "an empty frame": {**hexed(b""), "tag": "unknown"},
}


def file(made_with: dict, envelopes: dict) -> dict:
    return {
        "comment": "Binary frames with their tags. Bodies are whole in `hex`, or pieces of `repeat` said `times` times, joined. MessagePack is that of Python's "
        "package msgpack, zlib that of Python's zlib; `topic_messages` are publications with what each format makes of them.",
        "count": 0,
        "made_with": made_with,
        "limits": LIMITS,
        "tags": with_names("P-14", TAGS),
        "msgpack": {"accept": msgpack_cases.accept(envelopes), "reject": msgpack_cases.reject(envelopes)},
        "zlib": {"accept": zlib_cases.accept(), "reject": zlib_cases.reject()},
        "topic_messages": topic_messages.cases(),
    }
