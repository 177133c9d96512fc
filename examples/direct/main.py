"""Notes to users by their ids: to all of a user's clients, now or when they return."""

from typing import Any

from fastapi import FastAPI
from wse_server import Connection, Message, WSEConfig, create_wse_router


def who(connection: Connection) -> str | None:
    return connection.token  # your own check: here the token is the name


app = FastAPI()
wse = create_wse_router(WSEConfig(auth_handler=who))
app.include_router(wse, prefix="/wse")


@app.post("/notes/{user}")
async def note(user: str, text: str) -> int:
    receipt = await wse.send_to_user(user, "note", {"text": text})
    return receipt.seq


@wse.on("export")
async def export(_: Any, message: Message) -> str:
    """What is for the one client that asked, and not for the user's others."""
    if message.connection.session is not None:
        await wse.send_to_session(message.connection.session, "progress", {"percent": 100})
    return "done"
