"""Python websockets: its own server, `broadcast()`, no compression."""

import asyncio
import json

from control import READY, Control, port, wants_echo
from websockets.asyncio.server import ServerConnection, broadcast, serve

clients: set[ServerConnection] = set()


def publish(messages: list[str]) -> None:
    for text in messages:
        broadcast(clients, text)


async def handle(socket: ServerConnection) -> None:
    clients.add(socket)
    await socket.send(READY)
    try:
        async for text in socket:
            if wants_echo(text):
                await socket.send(text)
            else:
                json.loads(text)
                control.handled += 1
    finally:
        clients.discard(socket)


async def main() -> None:
    global control
    control = Control(publish)
    async with serve(handle, "127.0.0.1", port(), compression=None, backlog=4096):
        await control.run()


asyncio.run(main())
