"""WSE through its Python package, under uvicorn with native transport; publishes JSON as bytes, or PAYLOADS=dicts or msgpack."""

import asyncio
import dataclasses
import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any

import uvicorn
from control import MARK, Control, messages, numbered, port, record, rest
from fastapi import FastAPI
from wse_server import Msgpack, WSEConfig, create_wse_router

TOPIC = "bench"
# A flood is what ingest and echo are: the only settings of the session that differ from the defaults.
unlimited = {field.name: None for field in dataclasses.fields(WSEConfig) if field.name in ("messages_per_second", "bytes_per_second")}
wse = create_wse_router(WSEConfig(takeover="always", **unlimited))
PAYLOADS = os.environ.get("PAYLOADS", "json")


def packed(first: int, count: int, size: int) -> Iterator[Msgpack]:
    """The same as MessagePack: a str of up to 65,535 bytes, where the JSON string has quotes around it."""
    behind = f"{time.monotonic_ns():016x}{rest(size)[:-1]}"
    before = f"\xda{chr(size - 2 >> 8)}{chr(size - 2 & 0xFF)}{MARK}"
    return map(Msgpack, numbered(first, count, before, behind, latin))


def latin(text: str) -> bytes:
    return text.encode("latin-1")


def make(first: int, count: int, size: int) -> Iterable[object]:
    if PAYLOADS == "dicts":
        return (record(text) for text in messages(first, count, size))
    return packed(first, count, size) if PAYLOADS == "msgpack" else messages(first, count, size, str.encode)


async def publish(payloads: Iterable[object]) -> None:
    if control.burst > 1:
        await wse.publish_many(zip(repeat(TOPIC), payloads))
        return
    for payload in payloads:
        await wse.publish(TOPIC, payload)


@wse.on("echo")
async def echo(payload: Any) -> Any:
    return payload


@wse.on("count")
async def count(payload: Any) -> None:
    control.handled += 1


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    global control
    control = Control(publish, make)
    task = asyncio.create_task(control.run())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)
app.include_router(wse, prefix="/wse")

uvicorn.run(app, host="127.0.0.1", port=port(), log_level="warning", access_log=False, backlog=4096)
