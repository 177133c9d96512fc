"""An application whose rooms have presence, and that says who is in them."""

import json
import os
from typing import Any

from fastapi import FastAPI
from wse_server import Connection, TopicPolicy, WSEConfig, WSETopicError, create_wse_router

SETTINGS: dict[str, Any] = json.loads(os.environ.get("WSE_TEST_SETTINGS", "{}"))


async def admit(connection: Connection) -> Any:
    """The token is the user's id."""
    return connection.token


if SETTINGS.pop("auth", False):
    SETTINGS["auth_handler"] = admit

app = FastAPI()
wse = create_wse_router(WSEConfig(topics={"room:*": TopicPolicy(presence=True)}, **SETTINGS))
app.include_router(wse, prefix="/wse")


@wse.on("pid")
async def worker(_: Any) -> int:
    return os.getpid()


@app.get("/presence/{topic}")
async def presence(topic: str) -> Any:
    try:
        found = await wse.presence(topic)
        count = await wse.presence_count(topic)
    except WSETopicError as error:
        return {"error": [type(error).__name__, error.code, error.topic]}
    return {"counts": [found.count, count], "members": [[m.id, m.user, m.data] for m in found.members]}


@app.get("/pid")
async def pid() -> int:
    return os.getpid()
