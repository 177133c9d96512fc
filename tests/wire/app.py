"""The service of examples/rust-service, in Python: the wire suite runs on both."""

import os
from typing import Any

from fastapi import FastAPI
from wse_server import Publication, SlowPolicy, Takeover, TopicPolicy, WSEConfig, create_wse_router

app = FastAPI()
wse = create_wse_router(
    WSEConfig(
        takeover=Takeover(os.environ["TAKEOVER"]),
        heartbeat=3,
        rate_patience=4,
        filter_limit=8,
        pattern_topics=50,
        shards=2,
        topics={
            "tenant:*": TopicPolicy(filter={"tenant": "a"}),
            "latest:*": TopicPolicy(slow=SlowPolicy.LATEST),
            "low:*": TopicPolicy(slow=SlowPolicy.DROP_LOW),
            "cut:*": TopicPolicy(slow=SlowPolicy.DISCONNECT),
        },
    )
)
app.include_router(wse, prefix="/wse")


@wse.on("echo")
async def echo(payload: Any) -> Any:
    return payload


@wse.on("publish")
async def publish(order: dict[str, Any]) -> int:
    """`count` messages to `topic`, numbered by `n`; `bytes` of padding, `keys` and `priorities` in turn; `many`: in one call."""
    messages = [message(order, n) for n in range(order.get("count", 1))]
    if order.get("many"):
        receipts = await wse.publish_many(messages)
    else:
        receipts = [await wse.publish(m.topic, m.payload, priority=m.priority, key=m.key, idempotency_key=m.idempotency_key) for m in messages]
    return receipts[-1].seq


def message(order: dict[str, Any], n: int) -> Publication:
    keys, priorities = order.get("keys"), order.get("priorities", [5])
    payload = {"n": n, **order.get("payload", {})}
    if "bytes" in order:
        payload["pad"] = "x" * order["bytes"]
    key = f"k{n % keys}" if keys else None
    priority = priorities[n % len(priorities)]
    return Publication(order["topic"], payload, priority=priority, key=key, idempotency_key=order.get("idempotency_key"))


@wse.on("fail")
async def fail(payload: Any) -> None:
    raise ValueError("it always does")
