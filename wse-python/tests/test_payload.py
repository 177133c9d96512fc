"""Payloads: whatever a FastAPI endpoint may return, and errors that name the value."""

import dataclasses
import json
import math
from collections import deque, namedtuple
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import msgpack
import pytest
from fastapi.encoders import jsonable_encoder
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from wse_server import Msgpack, WSEConfig, WSEPayloadError, _native
from wse_server._payload import encode


class Color(Enum):
    RED = "red"


class Size(StrEnum):
    BIG = "big"


class Line(BaseModel):
    price: Decimal
    at: datetime
    ident: UUID = Field(alias="id")


@dataclasses.dataclass
class Point:
    x: float
    tags: set[str]


Pair = namedtuple("Pair", "a b")

MOMENT = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


class Plain:
    def __init__(self) -> None:
        self.x = 1


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -5, 1.5, "ü\n", "", [], {}, [1, [2]], {"a": {"b": None}}, (1, 2), {3}, frozenset({4}), deque([5]),
        Color.RED, Size.BIG, ID, date(2026, 1, 2), datetime(2026, 1, 2, 3, 4), time(1, 2), timedelta(seconds=90), Decimal("1.50"), Decimal("7"),
        PurePosixPath("/a/b"), {1: "a"}, {"d": {"e": Decimal("2.5")}}, Pair(1, 2), Plain(), [Plain()],
        Line(price=Decimal("9.9"), at=MOMENT, id=ID), [Line(price=Decimal("9"), at=MOMENT, id=ID)], Point(1.0, {"t"}), {"p": Point(2.0, set())},
    ],
)  # fmt: skip
def test_what_a_fastapi_endpoint_may_return_is_what_may_be_published(value: Any) -> None:
    expected = json.loads(json.dumps(jsonable_encoder(value)))
    assert json.loads(encode(value)[0]) == expected or (isinstance(value, Line | list) and _with_text_decimals(value, expected))


def _with_text_decimals(value: Any, expected: Any) -> bool:
    return bool(json.loads(encode(value)[0]) == json.loads(json.dumps(expected, default=str)))


def test_nan_and_infinity_are_null_as_in_javascript() -> None:
    assert encode([math.nan, math.inf, {"x": -math.inf}, Decimal("NaN")]) == (b'[null,null,{"x":null},null]', None)


@pytest.fixture(scope="module")
def engine() -> Iterator[_native.Engine]:
    engine = _native.Engine(WSEConfig().options())
    engine.start()
    yield engine
    engine.stop()


def publish(engine: _native.Engine, value: object) -> int:
    return engine.publish_blocking(("t", *encode(value), None, 5, None, None, None)).seq


@pytest.mark.parametrize("value", [b'{"a": 1}', bytearray(b"[1]"), memoryview(b'"x"'), Msgpack(msgpack.packb({"a": [1, None, 2.5]}))])
def test_bytes_that_are_encoded_already_pass_as_they_are(engine: _native.Engine, value: Any) -> None:
    assert encode(value) == (bytes(value), "msgpack" if isinstance(value, Msgpack) else "json")
    assert publish(engine, value) > 0


@pytest.mark.parametrize("value", [b"plain text", b"", b"\xff", b"{", b"NaN", b"1 2", b'"\xff"', b"[" * 64 + b"]" * 64])
def test_bytes_that_are_not_json_are_refused(engine: _native.Engine, value: bytes) -> None:
    with pytest.raises(WSEPayloadError, match="payload: bytes must be JSON already, for text pass a str: ") as raised:
        publish(engine, value)
    assert raised.value.path == "payload"


@pytest.mark.parametrize(
    "value",
    [b"", b"\x07\x07", msgpack.packb(b"raw"), msgpack.packb({1: 1}), msgpack.packb(math.nan), msgpack.packb(datetime.now(UTC), datetime=True)],
)
def test_bytes_that_are_not_msgpack_of_jsons_types_are_refused(engine: _native.Engine, value: bytes) -> None:
    with pytest.raises(WSEPayloadError, match="payload: must be one MessagePack value of JSON's types: "):
        publish(engine, Msgpack(value))


def test_what_no_client_would_read_is_the_publishers_error(engine: _native.Engine) -> None:
    nested: Any = []
    for _ in range(62):
        nested = [nested]
    assert publish(engine, nested) and publish(engine, [[]] * 1000)
    with pytest.raises(WSEPayloadError, match="payload: is nested deeper than 63 levels"):
        publish(engine, [nested])


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (2**53, "payload"),
        (-(2**53), "payload"),
        (10**30, "payload"),
        ({"order": {"id": 2**60}}, "payload.order.id"),
        ({"items": [{"id": 1}, {"id": 2**53}]}, "payload.items[1].id"),
        (Point(2**60, set()), "payload.x"),
    ],
)
def test_an_integer_that_javascript_cannot_hold_names_its_field(value: Any, path: str) -> None:
    with pytest.raises(WSEPayloadError, match=r"beyond 2\^53-1.*string") as raised:
        encode(value)
    assert raised.value.path == path


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53 - 1), {"a": [2**53 - 1]}])
def test_the_largest_integers_pass(value: Any) -> None:
    assert json.loads(encode(value)[0]) == value


def test_a_value_that_is_no_json_names_its_field() -> None:
    with pytest.raises(WSEPayloadError) as raised:
        encode({"a": [1, {"b": object()}]})
    assert raised.value.path == "payload.a[1].b"
    with pytest.raises(WSEPayloadError, match=r"payload\.s"):
        encode({"s": "\ud800"})


def test_a_circle_ends_in_an_error() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(WSEPayloadError):
        encode(circle)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(JSON)
def test_any_json_value_survives(value: Any) -> None:
    assert json.loads(encode(value)[0]) == value
