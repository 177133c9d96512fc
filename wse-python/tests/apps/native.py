"""An application that publishes from a thread, blocks its loop, and counts every call that Python makes on any thread."""

import os
import sys
import threading
import time
from collections import Counter
from typing import Any

from fastapi import FastAPI
from wse_server import create_wse_router

CALLS: Counter[int] = Counter()


def count(_: Any, event: str, argument: Any) -> None:
    CALLS[threading.get_ident()] += event in ("call", "c_call")


# From here on, before any other thread runs: this thread, and each that is ever started.
threading.setprofile(count)
sys.setprofile(count)
if sys.version_info >= (3, 12):  # and each that enters the interpreter from outside, which no profile function sees
    sys.monitoring.use_tool_id(3, "calls")
    sys.monitoring.register_callback(3, sys.monitoring.events.PY_START, lambda *_: CALLS.update([0]))
    sys.monitoring.set_events(3, sys.monitoring.events.PY_START)

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


@app.post("/publish-counted")
async def publish_counted(publishes: int) -> None:
    for n in range(publishes):
        await wse.publish("counted", n)


@app.get("/calls")
async def calls() -> int:
    return sum(CALLS.values())


app.include_router(wse, prefix="/wse")
