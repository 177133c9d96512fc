"""WSE through its Python package, under uvicorn with the native transport; publishes payloads that are JSON already."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from control import Control, port
from fastapi import FastAPI
from wse_server import WSEConfig, create_wse_router

TOPIC = "bench"
wse = create_wse_router(WSEConfig(takeover="always"))
publish_many = getattr(wse, "publish_many", None)


async def publish(messages: list[str]) -> None:
    if publish_many is not None and len(messages) > 1:
        await publish_many([(TOPIC, text.encode()) for text in messages])
        return
    for text in messages:
        await wse.publish(TOPIC, text.encode())


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
