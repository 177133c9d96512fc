"""An application that publishes from a thread, blocks its loop, and counts every call that Python makes."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from wse_server import create_wse_router

app = FastAPI()
wse = create_wse_router()


@wse.on("block")
async def block(payload: float) -> None:
    time.sleep(payload)


def ticks() -> None:
    while True:
        wse.publish_sync("ticks", time.time())
        time.sleep(0.05)


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


@app.post("/ticks")
async def start_ticks() -> None:
    threading.Thread(target=ticks, name="ticks", daemon=True).start()


@app.post("/counted")
async def counted(publishes: int) -> int:
    """Publishes, waits until all is delivered, and returns how many calls every thread made meanwhile."""
    with counter() as calls:
        for n in range(publishes):
            await wse.publish("counted", n)
        await asyncio.sleep(1)
    return calls[0]


@contextmanager
def counter() -> Iterator[list[int]]:
    """Counts calls on all threads; the interpreter-wide monitor where there is one sees threads of Rust as well."""
    calls = [0]

    def count(*_: Any) -> None:
        calls[0] += 1

    if sys.version_info >= (3, 12):
        tool, events = sys.monitoring, sys.monitoring.events
        tool.use_tool_id(3, "counter")
        for event in (events.PY_START, events.CALL):
            tool.register_callback(3, event, count)
        tool.set_events(3, events.PY_START | events.CALL)
        yield calls
        tool.set_events(3, 0)
        tool.free_tool_id(3)
    else:
        threading.setprofile(count)
        sys.setprofile(count)
        yield calls
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


app.include_router(wse, prefix="/wse")
