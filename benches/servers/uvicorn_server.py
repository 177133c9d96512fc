"""A bare ASGI application under uvicorn (uvloop, websockets, no compression): what a connection costs without a framework."""

import asyncio
import json
from typing import Any

import uvicorn
from control import READY, Control, port, wants_echo

clients: set[Any] = set()


async def publish(messages: list[str]) -> None:
    for text in messages:
        for send in list(clients):
            await send({"type": "websocket.send", "text": text})


async def lifespan(receive: Any, send: Any) -> None:
    global control, task
    while (message := await receive())["type"] == "lifespan.startup":
        control = Control(publish)
        task = asyncio.create_task(control.run())
        await send({"type": "lifespan.startup.complete"})
    await send({"type": f"{message['type']}.complete"})


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    clients.add(send)
    await send({"type": "websocket.send", "text": READY})
    while (message := await receive())["type"] == "websocket.receive":
        text = message["text"]
        if wants_echo(text):
            await send({"type": "websocket.send", "text": text})
        else:
            json.loads(text)
            control.handled += 1
    clients.discard(send)


uvicorn.run(app, host="127.0.0.1", port=port(), log_level="warning", access_log=False, ws_per_message_deflate=False, backlog=4096)
