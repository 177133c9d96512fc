"""What publishing dicts costs beside making JSON of them: `publish_many` over the rate of `orjson.dumps` alone.

`publish_rate.py --port N --seconds S` serves WSE under uvicorn, waits for a subscriber of the topic `bench`, publishes dicts for S seconds in
calls of 100, and prints what the publishing thread's CPU gave. The subscriber counts what came: `wse-bench load fanout --connections 1
--url "ws://127.0.0.1:N/wse?topics=bench" --ready subscription_update --seconds S`; the payloads repeat,
so it counts all but the first hundred as doubled.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import uvicorn
from control import messages, record
from fastapi import FastAPI
from wse_server import WSEConfig, create_wse_router

SIZE, CALL, TOPIC = 1024, 100, "bench"
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--seconds", type=float, default=10.0)
arguments = parser.parse_args()
wse = create_wse_router(WSEConfig(takeover="always"))


async def subscribed() -> None:
    while wse._host.engine().health()["subscriptions"] == 0:
        await asyncio.sleep(0.05)


async def publish(payloads: list[dict[str, object]]) -> tuple[float, float]:
    """Per second of wall clock, and of this thread's CPU."""
    published, began, cpu = 0, time.monotonic(), time.thread_time()
    batch = [(TOPIC, payload) for payload in payloads]
    while time.monotonic() - began < arguments.seconds:
        await wse.publish_many(batch)
        published += len(batch)
        await asyncio.sleep(0)
    return published / (time.monotonic() - began), published / (time.thread_time() - cpu)


def encode(payloads: list[dict[str, object]]) -> float:
    """Per second of this thread's CPU."""
    encoded, cpu = 0, time.thread_time()
    while time.thread_time() - cpu < 1:
        for payload in payloads:
            orjson.dumps(payload)
        encoded += len(payloads)
    return encoded / (time.thread_time() - cpu)


async def measure() -> None:
    await subscribed()
    payloads = [record(message) for message in messages(0, CALL, SIZE)]
    before = encode(payloads)
    wall, publishing = await publish(payloads)
    alone = (before + encode(payloads)) / 2
    rates = {"per_s": wall, "per_cpu_s": publishing, "orjson_per_cpu_s": alone}
    print(json.dumps({**{name: round(rate) for name, rate in rates.items()}, "share": round(publishing / alone, 3)}), flush=True)
    os._exit(0)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(measure())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)
app.include_router(wse, prefix="/wse")
uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)
