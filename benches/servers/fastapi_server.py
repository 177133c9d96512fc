"""FastAPI under uvicorn (uvloop, websockets, no compression): a loop of `send_text()`, as its tutorial has it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from control import READY, Control, port, wants_echo
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

clients: set[WebSocket] = set()


async def publish(messages: list[str]) -> None:
    for text in messages:
        for socket in list(clients):
            try:
                await socket.send_text(text)
            except (RuntimeError, WebSocketDisconnect):
                clients.discard(socket)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    global control
    control = Control(publish)
    task = asyncio.create_task(control.run())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.websocket("/")
async def handle(socket: WebSocket) -> None:
    await socket.accept()
    clients.add(socket)
    await socket.send_text(READY)
    try:
        while True:
            text = await socket.receive_text()
            if wants_echo(text):
                await socket.send_text(text)
            else:
                json.loads(text)
                control.handled += 1
    except WebSocketDisconnect:
        clients.discard(socket)


uvicorn.run(app, host="127.0.0.1", port=port(), log_level="warning", access_log=False, ws_per_message_deflate=False, backlog=4096)
