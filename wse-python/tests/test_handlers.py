"""Registering functions: what they may take, and what is refused at once."""

import asyncio
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from wse_server import Message, Priority, WSEPayloadError, WSETopicError, WSEUsageError, create_wse_router
from wse_server._handlers import Handler, InvalidPayload

CONNECTION: Any = object()
MESSAGE = Message("t", "m1", CONNECTION)


class Item(BaseModel):
    n: int


class Callable:
    async def __call__(self, payload: Item) -> int:
        return payload.n


async def call(function: Any, payload: Any) -> Any:
    async with asyncio.timeout(5):
        return await Handler(function, idempotent=False).call(payload, "t", "m1", CONNECTION)


async def test_one_or_two_parameters_async_or_not() -> None:
    async def one(payload: Any) -> Any:
        return payload

    async def two(payload: Any, message: Any) -> Any:
        return payload, message

    async def optional(payload: Any, message: Any = None, *, extra: int = 1) -> Any:
        return payload, message

    assert await call(one, 1) == 1
    assert await call(two, 1) == (1, MESSAGE)
    assert await call(optional, 1) == (1, MESSAGE)
    assert await call(lambda payload: payload + 1, 1) == 2
    assert await call(lambda *all: all, 1) == (1, MESSAGE)
    assert await call(partial(lambda a, payload: (a, payload), "a"), 1) == ("a", 1)
    assert await call(Callable(), {"n": 4}) == 4


async def test_payloads_are_validated_by_their_annotation() -> None:
    async def items(payload: list[Item]) -> Any:
        return payload

    assert await call(items, [{"n": "3"}]) == [Item(n=3)]
    with pytest.raises(InvalidPayload, match=r"^payload\.0\.n: "):
        await call(items, [{}])


@pytest.mark.parametrize("function", [lambda: 1, lambda a, b, c: 1])
def test_a_handler_with_other_parameters_is_refused_when_registered(function: Any) -> None:
    with pytest.raises(WSEUsageError, match="payload and message or fewer"):
        create_wse_router().on("t")(function)


def test_a_type_has_one_handler() -> None:
    wse = create_wse_router()
    wse.on("t")(lambda payload: 1)
    with pytest.raises(WSEUsageError, match="'t' has a handler already"):
        wse.on("t", idempotent=True)(lambda payload: 2)


def test_decorators_return_the_function() -> None:
    wse = create_wse_router()

    async def connect(connection: Any) -> None: ...

    async def disconnect(connection: Any, code: int, reason: str) -> None: ...

    assert wse.on("t")(connect) is connect
    assert wse.on_connect(connect) is connect
    assert wse.on_disconnect(disconnect) is disconnect


def test_publish_refuses_what_cannot_be_published() -> None:
    wse = create_wse_router()
    for name in ("", "a b", "a,b", "a*", "@user:1", "x" * 201):
        with pytest.raises(WSETopicError) as raised:
            wse.publish_sync(name, 1)
        assert raised.value.topic == name
    with pytest.raises(WSEUsageError, match="NORMAL"):
        wse.publish_sync("t", 1, priority=4)
    for ttl in (0, -1, "5"):
        with pytest.raises(WSEUsageError, match="ttl must be a number of seconds above 0"):
            wse.publish_sync("t", 1, ttl=ttl)  # type: ignore[arg-type]
    with pytest.raises(WSEPayloadError, match="payload.n"):
        wse.publish_sync("t", {"n": 2**53})
    assert wse.publish_sync("t", 1, priority=Priority.HIGH, ttl=None).seq == 1
