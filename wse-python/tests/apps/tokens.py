"""An application that checks JSON Web Tokens, with an `auth_handler` after them where the settings say so."""

import json
import os
from typing import Any

from fastapi import FastAPI
from wse_server import AuthResult, Connection, Message, WSEConfig, create_wse_router

SETTINGS: dict[str, Any] = json.loads(os.environ.get("WSE_TEST_SETTINGS", "{}"))
ASKED: list[Any] = []
CONNECTED: list[Any] = []


async def admit(connection: Connection) -> Any:
    """Decides by the claims of the token that was checked already."""
    ASKED.append([connection.user, connection.claims, connection.token is not None])
    match connection.claims["role"]:
        case "banned":
            return None
        case "guest":
            return connection.user
        case "other":
            return AuthResult({"name": "Otto"}, id="otto", claims={"role": "of the handler"})
    return AuthResult({"name": "Ann"}, id="ann-of-the-handler")


if SETTINGS.pop("auth", False):
    SETTINGS["auth_handler"] = admit

app = FastAPI()
wse = create_wse_router(WSEConfig(**SETTINGS))


@wse.on_connect
async def connected(connection: Connection) -> None:
    CONNECTED.append([connection.user, connection.claims])


@wse.on("who")
async def who(_: Any, message: Message) -> Any:
    connection = message.connection
    return {"user": connection.user, "claims": connection.claims, "token": connection.token}


@app.get("/seen")
async def seen() -> Any:
    return {"asked": ASKED, "connected": CONNECTED}


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


app.include_router(wse, prefix="/wse")
