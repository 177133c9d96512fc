"""batches.json: batches ([P-37]), and the envelopes in them."""

import msgpack

from .parts import with_names
from .topic_messages import text


def message(seq: int, payload: object, **more: object) -> dict:
    return {"v": 2, "t": "price", "id": f"m{seq}", "ts": "2026-01-15T10:30:00.000Z", "tp": "prices", "e": "e1", "seq": seq, **more, "p": payload}


def batch(items: object) -> dict:
    return {"v": 2, "c": "WSE", "t": "batch", "p": items}


def deep(levels: int) -> object:
    """So many arrays inside one another."""
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


RUNS = {
    "two": [message(1, 1), message(2, 2)],
    "three with a filter's gaps": [message(4, {"a": 1}, ps=2), message(9, {"a": 2}, ps=4), message(10, {"a": 3}, ps=9)],
    "keys and priorities": [message(1, [], k="AAPL", pri=8), message(2, None, k="MSFT", pri=1)],
    "sixteen, for which MessagePack takes a longer head": [message(seq, "größe") for seq in range(1, 17)],
    "an envelope of 64 levels, counted from itself": [message(1, 1), message(2, deep(63))],
    "as many as one batch may hold": [message(seq, seq) for seq in range(1, 129)],
}

REFUSED = {
    "no array": {"a": 1},
    "null": None,
    "nothing in it": [],
    "one envelope": [message(1, 1)],
    "an item that is no envelope": [message(1, 1), 2],
    "an item without its version": [message(1, 1), {"t": "a"}],
    "two topics": [message(1, 1), {**message(2, 2), "tp": "other"}],
    "descending": [message(2, 2), message(1, 1)],
    "the same position twice": [message(1, 1), message(1, 1)],
    "an item without a position": [message(1, 1), {"v": 2, "t": "a", "tp": "prices"}],
    "a batch within": [message(1, 1), batch([message(2, 2), message(3, 3)])],
    "an item of another version": [message(1, 1), {**message(2, 2), "v": 3}],
    "an item without its epoch": [message(1, 1), {key: value for key, value in message(2, 2).items() if key != "e"}],
    "a beacon among them": [message(1, 1), {"v": 2, "c": "WSE", "t": "beacon", "tp": "prices", "e": "e1", "seq": 2, "ps": 1}],
    "a snapshot among them": [message(1, 1), {"v": 2, "c": "S", "t": "snapshot", "tp": "prices", "e": "e1", "seq": 2, "p": 2}],
    "a number with a fraction in an item's header": [message(1, 1), {**message(2, 2), "seq": 2.0}],
    "a fraction in an item's ps": [message(1, 1), {**message(2, 2), "ps": 1.0}],
    "a position beyond 2^53-1 in an item": [message(1, 1), message(2**53, 2)],
    "an item's priority that is none": [message(1, 1), message(2, 2, pri=2)],
}

#: Frames that are refused although batches are agreed on, or for another reason than the batch's.
TOO_DEEP = {
    "an envelope of 65 levels, counted from itself": batch([message(1, 1), message(2, deep(64))]),
    "an envelope that is too deep after one that is not valid": batch([{**message(1, 1), "v": 3}, message(2, deep(64))]),
    "an unknown key of an envelope, 65 levels deep": batch([message(1, 1), {**message(2, 2), "x": deep(64)}]),
    "an unknown key of the batch, 65 levels deep": {**batch([message(1, 1), message(2, 2)]), "x": deep(64)},
    "a message alone of 65 levels": message(1, deep(64)),
    "a message alone of 66 levels": message(1, deep(65)),
    "a reply of 66 levels": {"v": 2, "c": "WSE", "t": "reply", "cid": "q1", "p": deep(65)},
}

#: A key of the header that an item has twice, the second time with this value.
TWICE = {"v": 2, "t": "price", "tp": "prices", "e": "e1", "seq": 2, "id": "m2", "p": 2}


def file() -> dict:
    accept = {name: {**both(items), "items": {"json": [text(i) for i in items], "msgpack": [packed(i) for i in items]}} for name, items in RUNS.items()}
    reject = {name: {**both(items), "code": "INVALID_MESSAGE"} for name, items in REFUSED.items()}
    reject |= {f"`{key}` twice in an item": {**twice(key), "code": "INVALID_MESSAGE"} for key in TWICE}
    reject["an item's number with an exponent"] = {**exponent(), "code": "INVALID_MESSAGE"}
    reject |= {name: {**frames(envelope), "code": "TOO_DEEP"} for name, envelope in TOO_DEEP.items()}
    return {
        "comment": "Batches in both formats, with the envelopes in them as each would have come alone; and those that a client refuses.",
        "count": 0,
        "accept": with_names("P-37", accept),
        "reject": with_names("P-37", reject),
    }


def both(items: object) -> dict:
    return frames(batch(items))


def frames(envelope: object) -> dict:
    return {"json": text(envelope), "msgpack": packed(envelope)}


def twice(key: str) -> dict:
    """A batch whose second item has a key twice, which no dictionary holds: both frames are put together from pieces."""
    pairs = [*message(2, 2).items(), (key, TWICE[key])]
    written = "{" + ",".join(f"{text(name)}:{text(value)}" for name, value in pairs) + "}"
    frame = both([message(1, 1), "?"])
    packer = msgpack.Packer()
    item = packer.pack_map_pairs(pairs)
    return {"json": frame["json"].replace('"?"', written), "msgpack": frame["msgpack"].replace(msgpack.packb("?").hex(), item.hex())}


def exponent() -> dict:
    """2e0, which Python does not write; as MessagePack the same number as a float of 32 bits."""
    frame = both([message(1, 1), {**message(2, 2), "seq": "?"}])
    single = msgpack.packb(2.0, use_single_float=True)
    return {"json": frame["json"].replace('"?"', "2e0"), "msgpack": frame["msgpack"].replace(msgpack.packb("?").hex(), single.hex())}


def packed(envelope: dict) -> str:
    return (b"M:" + msgpack.packb(envelope)).hex()
