"""The service that is cut, stalled and killed: it publishes what it is told, and writes the effect of each message outside the process."""

import asyncio
import json
import os
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from wse_server import Connection, Message, Publication, SlowPolicy, Takeover, TopicPolicy, WSEConfig, create_wse_router

EFFECTS = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
# One file for each topic that has a state: the database, which outlives a worker that is killed.
TABLES = Path(os.environ["TABLES"])

# How long handlers take that take their time.
NAPS = {"slow": 0.05, "long": 1.0}

# Of the length of the faults: some of those whose connection breaks return within the grace, and some do not (lib/rooms.mjs).
TIMES = {"heartbeat": 0.5, "idle_timeout": 2, "presence_grace": 1.2, "presence_lease": 4, "drain_window": 0.4, "drain_timeout": 1}

app = FastAPI()
wse = create_wse_router(
    WSEConfig(
        takeover=Takeover(os.environ.get("TAKEOVER", "auto")),
        redis_url=os.environ.get("REDIS_URL"),
        restart_retry=0.2,
        # Little enough that a stalled client falls behind within the run.
        outbound_bytes=64 * 1024,
        messages_per_second=None,
        bytes_per_second=None,
        **({"shards": 2} | TIMES | json.loads(os.environ.get("SETTINGS", "{}"))),
        topics={
            "latest:*": TopicPolicy(slow=SlowPolicy.LATEST),
            "low:*": TopicPolicy(slow=SlowPolicy.DROP_LOW),
            "room:*": TopicPolicy(presence=True),
        },
        # Where users are told apart, a token is its user's name.
        auth_handler=(lambda connection: connection.token) if os.environ.get("USERS") else None,
    )
)
app.include_router(wse, prefix="/wse")
calls = Counter[str]()
gates = defaultdict[str, asyncio.Event](asyncio.Event)


@wse.on("effect")
async def effect(payload: dict[str, Any], message: Message) -> int:
    os.write(EFFECTS, f"{payload['client']} {payload['n']} {message.connection.id}\n".encode())
    if payload["how"] in NAPS:
        await asyncio.sleep(NAPS[payload["how"]])
    if payload["how"] == "raise":
        raise ValueError("as it was told to")
    return payload["n"]


@wse.on("session")
async def session(_: Any, message: Message) -> str | None:
    return message.connection.session


@app.post("/publish")
async def publish(request: Request) -> list[dict[str, Any]]:
    """What is told twice under one `retry` is one message, where the bus still knows the first."""
    messages = await request.json()
    commit(messages)
    kind, _, whom = messages[0]["topic"].partition(":")
    if send := {"@user": wse.send_to_user, "@session": wse.send_to_session}.get(kind):
        receipts = [await send(whom, "note", m["payload"], priority=m["priority"], idempotency_key=m["retry"]) for m in messages]
    else:
        receipts = await wse.publish_many([
            Publication(m["topic"], m["payload"], priority=m["priority"], key=m["key"], ttl=m.get("ttl"), idempotency_key=m["retry"]) for m in messages
        ])  # fmt: skip
    return [{"epoch": r.epoch, "seq": r.seq} for r in receipts]


def commit(messages: list[dict[str, Any]]) -> None:
    """Enters rows into their tables, before anybody hears of them."""
    lines: dict[str, str] = {}
    for m in messages:
        if m["topic"].startswith(("state:", "shared:")):
            lines[m["topic"]] = lines.get(m["topic"], "") + json.dumps({k: m["payload"][k] for k in ("key", "group", "n")}) + "\n"
    for topic, text in lines.items():
        with (TABLES / topic).open("a") as table:
            table.write(text)


@wse.snapshot("state:*")
async def own(connection: Connection, topic: str) -> list[dict[str, Any]]:
    return await rows(topic)


@wse.snapshot("shared:*", shared=True)
async def shared(connection: Connection, topic: str) -> list[dict[str, Any]]:
    return await rows(topic)


async def rows(topic: str) -> list[dict[str, Any]]:
    """The newest row of each key, as it was when the call began: it comes late, and sometimes it fails."""
    table = TABLES / topic
    lines = table.read_text().splitlines() if table.exists() else []
    calls[topic] += 1
    chance = random.Random(f"{topic} {calls[topic]}")
    await asyncio.sleep(chance.choice((0.0, 0.05, 0.4)))
    if chance.random() < 0.2:
        raise ValueError("as it happens to databases")
    return list({row["key"]: row for row in map(json.loads, lines)}.values())


@wse.snapshot("held:*")
async def held(connection: Connection, topic: str) -> dict[str, Any]:
    """Whose state it is; it is there once the topic is let go."""
    calls[topic] += 1
    await gates[topic].wait()
    return {"user": connection.user}


@app.post("/let-go/{topic}")
async def let_go(topic: str) -> None:
    gates[topic].set()


@app.get("/calls/{topic}")
async def asked(topic: str) -> int:
    return calls[topic]
