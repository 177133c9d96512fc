"""The application that the suite serves everywhere; settings come as JSON in the environment."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from fastapi import Body, FastAPI
from pydantic import BaseModel
from wse_server import AuthResult, Connection, Message, WSEConfig, create_wse_router

from .states import register

SETTINGS: dict[str, Any] = json.loads(os.environ.get("WSE_TEST_SETTINGS", "{}"))
USERS = {"token-ann": "ann", "token-bob": "bob"}
EVENTS: list[list[Any]] = []


class Order(BaseModel):
    """A payload that validates."""

    id: int
    note: str = ""


async def authenticate(connection: Connection) -> Any:
    """Every outcome that an application may have."""
    match connection.token:
        case "slow":
            await asyncio.sleep(60)
        case "broken":
            raise RuntimeError("the user database is away")
        case "claims":
            return AuthResult({"name": "Cleo"}, id="cleo", claims={"role": "admin"})
    return USERS.get(connection.token or "")


if SETTINGS.pop("auth", False):
    SETTINGS["auth_handler"] = authenticate

app = FastAPI()
wse = create_wse_router(WSEConfig(**SETTINGS))


register(wse)


@wse.on("echo")
async def echo(payload: Any, message: Message) -> Any:
    return {"payload": payload, "type": message.type, "id": message.id}


@wse.on("who")
async def who(_: Any, message: Message) -> Any:
    c = message.connection
    return {
        "user": c.user,
        "claims": c.claims,
        "agent": c.headers["USER-AGENT"],
        "host": c.client and c.client[0],
        "topics": c.topics,
        "token": c.token,
        "session": c.session,
    }


@wse.on("pid")
async def worker(_: Any) -> int:
    return os.getpid()


@wse.on("order")
async def order(payload: Order) -> Any:
    return {"double": payload.id * 2}


@wse.on("thread")
def in_thread(payload: Any) -> Any:
    time.sleep(0.01)
    return wse.publish_sync("from-thread", payload).seq


@wse.on("raise")
async def raising(payload: Any) -> None:
    raise RuntimeError("secret of the house")


@wse.on("cancelled")
async def cancelled(payload: Any) -> None:
    raise asyncio.CancelledError


@wse.on("unsendable")
async def unsendable(payload: Any) -> Any:
    return {"big": 2**60}


@wse.on("nap")
async def nap(payload: float) -> float:
    await asyncio.sleep(payload)
    return payload


@wse.on("block")
async def block(payload: float) -> float:
    time.sleep(payload)
    return payload


@wse.on("leave")
async def leave(payload: int, message: Message) -> None:
    message.connection.close(payload, "go")


@wse.on_connect
async def connected(connection: Connection) -> None:
    EVENTS.append(["connect", connection.id])


@wse.on_disconnect
def disconnected(connection: Connection, code: int, reason: str) -> None:
    EVENTS.append(["disconnect", connection.id, code])


@app.post("/publish")
async def publish(body: dict[str, Any] = Body()) -> dict[str, Any]:
    receipt = await wse.publish(body.pop("topic"), body.pop("payload"), **body)
    return {"id": receipt.id, "topic": receipt.topic, "epoch": receipt.epoch, "seq": receipt.seq, "pid": os.getpid()}


@app.post("/publish-sync")
def publish_sync(body: dict[str, Any] = Body()) -> int:
    return wse.publish_sync(body.pop("topic"), body.pop("payload"), **body).seq


@app.post("/flood")
async def flood(topic: str, count: int, size: int = 100) -> int:
    """Publishes `count` numbered payloads of `size` bytes; lets others run now and then."""
    for n in range(count):
        head = b'{"n":%d,"pad":"' % n
        await wse.publish(topic, head + b"x" * (size - len(head) - 2) + b'"}')
        if n % 50 == 49:
            await asyncio.sleep(0)
    return count


@app.post("/drain")
async def drain(window: float | None = None) -> None:
    await wse.drain(window)


@app.get("/events")
async def events() -> list[list[Any]]:
    return EVENTS


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


@app.get("/sockets")
def sockets() -> int:
    """How many socket descriptors this process has."""
    return sum(_target(link).startswith("socket:") for link in Path("/proc/self/fd").iterdir())


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


app.include_router(wse, prefix="/wse")
