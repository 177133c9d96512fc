"""WSE through its Python package, under uvicorn with native transport; publishes JSON as bytes, or PAYLOADS=dicts or msgpack."""

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from control import Control, port, record
from fastapi import FastAPI
from wse_server import Msgpack, WSEConfig, create_wse_router

TOPIC = "bench"
# A flood is what ingest and echo are: the only settings of the session that differ from the defaults.
unlimited = {field.name: None for field in dataclasses.fields(WSEConfig) if field.name in ("messages_per_second", "bytes_per_second")}
wse = create_wse_router(WSEConfig(takeover="always", **unlimited))
publish_many = getattr(wse, "publish_many", None)
PAYLOADS = os.environ.get("PAYLOADS", "json")


def payload(text: str) -> bytes | dict[str, object]:
    if PAYLOADS == "dicts":
        return record(text)
    if PAYLOADS == "msgpack":  # a str of up to 65,535 bytes; the JSON string has quotes around it
        return Msgpack(b"\xda" + (len(text) - 2).to_bytes(2, "big") + text[1:-1].encode())
    return text.encode()


async def publish(messages: list[str]) -> None:
    if publish_many is not None and len(messages) > 1:
        await publish_many([(TOPIC, payload(text)) for text in messages])
        return
    for text in messages:
        await wse.publish(TOPIC, payload(text))


@wse.on("echo")
async def echo(payload: Any) -> Any:
    return payload


@wse.on("count")
async def count(payload: Any) -> None:
    control.handled += 1


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    global control
    control = Control(publish)
    task = asyncio.create_task(control.run())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)
app.include_router(wse, prefix="/wse")

uvicorn.run(app, host="127.0.0.1", port=port(), log_level="warning", access_log=False, backlog=4096)
