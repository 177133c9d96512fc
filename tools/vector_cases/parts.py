"""How a case writes its frame: whole (`text` or `hex`), or as `repeat`, a list of pieces each said `times` times."""

import json


def hexed(body: bytes) -> dict:
    return {"hex": body.hex()}


def repeated(*pieces: tuple[bytes, int]) -> dict:
    """A frame too long to be written out."""
    return {"repeat": [{"hex": piece.hex(), "times": times} for piece, times in pieces]}


def repeated_text(*pieces: tuple[str, int]) -> dict:
    return {"repeat": [{"text": piece, "times": times} for piece, times in pieces]}


def joined_text(case: dict) -> str:
    if "text" in case:
        return case["text"]
    return "".join(piece["text"] * piece["times"] for piece in case["repeat"])


def joined(case: dict) -> bytes:
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    return b"".join(bytes.fromhex(piece["hex"]) * piece["times"] for piece in case["repeat"])


def with_names(rule: str, cases: dict) -> list[dict]:
    """Cases from a dictionary of names."""
    return [{"name": name, "rule": rule, **case} for name, case in cases.items()]


def meaning(text: str) -> object:
    """What Python's json reads; integers beyond 64 bits are doubles, as the protocol has it."""

    def integer(digits: str) -> int | float:
        number = int(digits)
        return number if -(2**63) <= number < 2**64 else float(digits)

    return json.loads(text, parse_int=integer)
