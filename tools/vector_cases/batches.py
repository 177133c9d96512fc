"""batches.json: batches ([P-37]), and the envelopes in them."""

import msgpack

from .parts import with_names
from .topic_messages import text


def message(seq: int, payload: object, **more: object) -> dict:
    return {"v": 2, "t": "price", "id": f"m{seq}", "ts": "2026-01-15T10:30:00.000Z", "tp": "prices", "e": "e1", "seq": seq, **more, "p": payload}


def batch(items: object) -> dict:
    return {"v": 2, "c": "WSE", "t": "batch", "p": items}


RUNS = {
    "two": [message(1, 1), message(2, 2)],
    "three with a filter's gaps": [message(4, {"a": 1}, ps=2), message(9, {"a": 2}, ps=4), message(10, {"a": 3}, ps=9)],
    "keys and priorities": [message(1, [], k="AAPL", pri=8), message(2, None, k="MSFT", pri=1)],
    "sixteen, for which MessagePack takes a longer head": [message(seq, "größe") for seq in range(1, 17)],
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
}


def file() -> dict:
    accept = {name: {**both(items), "items": {"json": [text(i) for i in items], "msgpack": [packed(i) for i in items]}} for name, items in RUNS.items()}
    reject = {name: {**both(items), "code": "INVALID_MESSAGE"} for name, items in REFUSED.items()}
    return {
        "comment": "Batches in both formats, with the envelopes in them as each would have come alone; and those that a client refuses.",
        "count": 0,
        "accept": with_names("P-37", accept),
        "reject": with_names("P-37", reject),
    }


def both(items: object) -> dict:
    return {"json": text(batch(items)), "msgpack": packed(batch(items))}


def packed(envelope: dict) -> str:
    return (b"M:" + msgpack.packb(envelope)).hex()
