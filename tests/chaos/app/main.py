"""The service that is cut, stalled and killed: it publishes what it is told, and writes the effect of each message outside the process."""

import json
import os
from typing import Any

from fastapi import FastAPI, Request
from wse_server import Message, Publication, SlowPolicy, TopicPolicy, WSEConfig, create_wse_router

EFFECTS = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

app = FastAPI()
wse = create_wse_router(
    WSEConfig(
        redis_url=os.environ.get("REDIS_URL"),
        heartbeat=0.5,
        idle_timeout=2,
        restart_retry=0.2,
        # Little enough that a stalled client falls behind within the run.
        outbound_bytes=64 * 1024,
        messages_per_second=None,
        bytes_per_second=None,
        shards=2,
        **json.loads(os.environ.get("SETTINGS", "{}")),
        topics={
            "latest:*": TopicPolicy(slow=SlowPolicy.LATEST),
            "low:*": TopicPolicy(slow=SlowPolicy.DROP_LOW),
        },
    )
)
app.include_router(wse, prefix="/wse")


@wse.on("effect")
async def effect(payload: dict[str, Any], message: Message) -> int:
    os.write(EFFECTS, f"{payload['client']} {payload['n']} {message.connection.id}\n".encode())
    return payload["n"]


@app.post("/publish")
async def publish(request: Request) -> list[dict[str, Any]]:
    """What is told twice under one `retry` is one message, where the bus still knows the first."""
    receipts = await wse.publish_many([
        Publication(m["topic"], m["payload"], priority=m["priority"], key=m["key"], idempotency_key=m["retry"]) for m in await request.json()
    ])  # fmt: skip
    return [{"epoch": r.epoch, "seq": r.seq} for r in receipts]
