"""Payloads to bytes: whatever a FastAPI endpoint may return as JSON, and what is encoded already as it is."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import PurePath
from types import GeneratorType
from typing import Any, Final

import orjson
from pydantic import BaseModel

from ._native import Receipt, StoredMany
from .errors import WSEError, WSEPayloadError

_USUAL: Final = orjson.OPT_STRICT_INTEGER | orjson.OPT_SERIALIZE_NUMPY
_OPTIONS: Final = _USUAL | orjson.OPT_NON_STR_KEYS  # takes 1.6 times as long, whatever the keys are
_RAW: Final = (bytes, bytearray, memoryview)
_LARGEST: Final = 2**53 - 1  # the largest integer that JavaScript's numbers hold exactly
_DEPTH: Final = 64  # how deep the search for a culprit goes


class Msgpack(bytes):
    """A payload that is MessagePack already: one value of JSON's types. Clients that chose JSON get it as JSON."""

    __slots__ = ()


Encoded = tuple[bytes, str | None]
"""A payload's bytes; the format that the application says they have, None: JSON made here."""

Pair = tuple[str, bytes, str | None]
"""A message of a topic and a payload alone, as the engine takes it."""

Reading = tuple[Callable[..., bytes], int, type[Msgpack], Callable[[int, Any], Any]]
"""How the engine reads messages of several: a pair's payload, unless it is bytes or of the class, by `dumps(payload, None, options)`;
where that is a TypeError, and whatever else is no such pair, by `other(number, message)`, which gives a `Pair` or an `Outgoing`."""

Outcomes = tuple[StoredMany, tuple[BaseException, tuple[Receipt | WSEError, ...]] | None]
"""What `publish_many` gives: all that was stored; where one message failed nothing, but the first failure and what became of each."""

To = str | tuple[str, str]
"""A topic, or ("user", id), or ("session", id)."""

Outgoing = tuple[To, bytes, str | None, str | None, int, str | None, int | None, str | None]
"""A message as the engine takes it: whom it is for, payload and format as in `Encoded`, type, priority, key, ttl in ms, idempotency key."""


def reading(outgoing: Callable[[Any], Outgoing]) -> Reading:
    """For the messages of one call; `outgoing` is for those that are no pair. Errors tell a message's number."""

    def other(number: int, message: Any) -> Pair | Outgoing:
        try:
            return (message[0], *encode(message[1])) if type(message) is tuple and len(message) == 2 else outgoing(message)
        except WSEPayloadError as error:
            raise WSEPayloadError(f"messages[{number}].{error.path}", str(error).removeprefix(f"{error.path}: ")) from None

    return orjson.dumps, _USUAL, Msgpack, other


def encode(value: object) -> Encoded:
    """JSON of a payload; bytes are encoded already, which the engine checks."""
    if isinstance(value, _RAW):
        return (value, "msgpack") if isinstance(value, Msgpack) else (bytes(value), "json")
    try:
        # Nothing of the application's is called here, so that it can be done again.
        return orjson.dumps(value, None, _USUAL), None
    except TypeError:
        return _encode_any(value)


def _encode_any(value: object) -> Encoded:
    """JSON of what is more than plain data, or the error that says which part cannot be sent."""
    if isinstance(value, GeneratorType):
        value = list(value)
    try:
        return orjson.dumps(value, default=_default, option=_OPTIONS), None
    except (TypeError, ValueError, RecursionError) as error:
        path, reason = _culprit(value, "payload", _DEPTH) or ("payload", str(error))
        raise WSEPayloadError(path, reason) from None


def _decimal(value: Decimal) -> int | float:
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


_ENCODERS: Final[list[tuple[type | tuple[type, ...], Callable[[Any], Any]]]] = [
    (BaseModel, lambda model: model.model_dump(mode="json", by_alias=True)),
    (Decimal, _decimal),
    ((set, frozenset, tuple, deque, GeneratorType), list),
    (Mapping, dict),
    (timedelta, timedelta.total_seconds),
    ((bytes, bytearray), lambda raw: bytes(raw).decode()),
    (PurePath, str),
]


def _default(value: object) -> Any:
    """What orjson does not know; the same answers as FastAPI's own encoder."""
    for kind, encoder in _ENCODERS:
        if isinstance(value, kind):
            return encoder(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return dict(vars(value))  # as FastAPI does for plain objects; TypeError where there is nothing


def _culprit(value: object, path: str, depth: int) -> tuple[str, str] | None:
    """The first value that cannot be sent, as (path, reason)."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        return path, f"the integer {value} is beyond 2^53-1, which JavaScript cannot hold exactly; send it as a string"
    if depth == 0:
        return path, "is nested too deep or in a circle"
    for name, child in _children(value):
        found = _culprit(child, path + name, depth - 1)
        if found:
            return found
    return None if _encodes(value) else (path, f"{type(value).__name__} cannot be sent as JSON; convert it first")


def _children(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True)
    if isinstance(value, Mapping):
        yield from ((f".{key}", child) for key, child in value.items())
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from ((f"[{index}]", child) for index, child in enumerate(value))
    elif dataclasses.is_dataclass(value):
        yield from ((f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value))


def _encodes(value: object) -> bool:
    try:
        orjson.dumps(value, default=_default, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
