"""The service of examples/rust-service, in Python: the wire suite runs on both."""

import asyncio
import json
import os
from collections import Counter, defaultdict
from typing import Any

from fastapi import FastAPI
from wse_server import Connection, Message, Publication, Receipt, SlowPolicy, Takeover, TopicPolicy, WSEConfig, create_wse_router

# "MESSAGES BYTES" that are kept while what was missed before them is read from Redis.
REORDER = dict(zip(("redis_reorder_messages", "redis_reorder_bytes"), map(int, os.environ.get("REORDER", "").split()), strict=False))

app = FastAPI()
wse = create_wse_router(
    WSEConfig(
        takeover=Takeover(os.environ["TAKEOVER"]),
        heartbeat=3,
        rate_patience=4,
        filter_limit=8,
        pattern_topics=50,
        shards=2,
        redis_url=os.environ.get("REDIS_URL"),
        **REORDER,
        presence_grace=1,
        presence_lease=2,
        presence_members=int(os.environ.get("ROOM", "1500")),
        presence_topics=3,
        auth_handler=(lambda connection: connection.token) if "USERS" in os.environ else None,
        topics={
            "tenant:*": TopicPolicy(filter={"tenant": "a"}),
            "rows:*": TopicPolicy(filter={"tenant": "a"}),
            "latest:*": TopicPolicy(slow=SlowPolicy.LATEST),
            "low:*": TopicPolicy(slow=SlowPolicy.DROP_LOW),
            "cut:*": TopicPolicy(slow=SlowPolicy.DISCONNECT),
            "room:*": TopicPolicy(presence=True),
        },
    )
)
app.include_router(wse, prefix="/wse")


@wse.on("echo")
async def echo(payload: Any) -> Any:
    return payload


@wse.on("publish")
async def publish(order: dict[str, Any]) -> int:
    """`count` messages to `topic`, numbered by `n`; `bytes` of padding, `keys` and `priorities` in turn; `ttl` in seconds; `many`: in one call."""
    messages = [message(order, n) for n in range(order.get("count", 1))]
    if order.get("many"):
        return (await wse.publish_many(messages))[-1].seq
    return [await publish_one(m) for m in messages][-1].seq


async def publish_one(m: Publication) -> Receipt:
    return await wse.publish(m.topic, m.payload, priority=m.priority, key=m.key, ttl=m.ttl, idempotency_key=m.idempotency_key)


def message(order: dict[str, Any], n: int) -> Publication:
    keys, priorities = order.get("keys"), order.get("priorities", [5])
    payload = {"n": n, **order.get("payload", {})}
    if "bytes" in order:
        payload["pad"] = "x" * order["bytes"]
    key = f"k{n % keys}" if keys else None
    priority = priorities[n % len(priorities)]
    return Publication(order["topic"], payload, priority=priority, key=key, idempotency_key=order.get("idempotency_key"), ttl=order.get("ttl"))


@wse.on("fail")
async def fail(payload: Any) -> None:
    raise ValueError("it always does")


@wse.on("letters")
async def letters(_: Any) -> list[str]:
    """The type and the payload of each message that failed."""
    return [f"{letter.type} {json.dumps(letter.payload, separators=(',', ':'))}" for letter in await wse.dead_letters.list()]


@wse.on("session")
async def session(_: Any, message: Message) -> str | None:
    return message.connection.session


@wse.on("send")
async def send(order: dict[str, Any]) -> int:
    """`count` messages of `type` to a `user` or a `session`."""
    kind, seq = order.get("type", "note"), 0
    for n in range(order.get("count", 1)):
        if "session" in order:
            receipt = await wse.send_to_session(order["session"], kind, {"n": n})
        else:
            receipt = await wse.send_to_user(order["user"], kind, {"n": n})
        seq = receipt.seq
    return seq


@wse.on("members")
async def members(topic: str) -> list[str]:
    """The users in a topic."""
    return [member.user or "" for member in (await wse.presence(topic)).members]


@wse.on("count")
async def count(topic: str) -> int:
    return await wse.presence_count(topic)


gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
calls: Counter[str] = Counter()


@wse.on("open")
async def open_gate(topic: str) -> None:
    """Lets the snapshots of a topic go on."""
    gates[topic].set()


async def gated(connection: Connection, topic: str) -> Any:
    """How often it was asked, once it is let go on."""
    calls[topic] += 1
    call = calls[topic]
    await gates[topic].wait()
    return {"topic": topic, "call": call}


wse.snapshot("own:*")(gated)
wse.snapshot("shared:*", shared=True)(gated)


@wse.snapshot("rows:*")
async def rows(connection: Connection, topic: str) -> Any:
    return None if topic == "rows:none" else [{"tenant": tenant, "n": n} for n, tenant in enumerate("abab")]


@wse.snapshot("broken:*")
async def broken(connection: Connection, topic: str) -> Any:
    """Works from the second time on; of `broken:late` the second one has to be let go on, and does not work either."""
    calls[topic] += 1
    if late := (topic == "broken:late" and calls[topic] == 2):
        await gates[topic].wait()
    if late or calls[topic] == 1:
        raise ValueError("the first time it does not work")
    return "mended"
