"""picows under uvloop: a loop of `send()`."""

import json

import uvloop
from control import READY, Control, port, wants_echo
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

clients: set[WSTransport] = set()


class Client(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        clients.add(transport)
        transport.send(WSMsgType.TEXT, READY.encode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        clients.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT:
            text = frame.get_payload_as_bytes()
            if wants_echo(text):
                transport.send(WSMsgType.TEXT, text)
            else:
                json.loads(text)
                control.handled += 1


def publish(messages: list[str]) -> None:
    for text in messages:
        data = text.encode()
        for transport in clients:
            transport.send(WSMsgType.TEXT, data)


def accept(_: WSUpgradeRequest) -> Client:
    return Client()


async def main() -> None:
    global control
    control = Control(publish)
    server = await ws_create_server(accept, "127.0.0.1", port(), backlog=4096)
    await server.start_serving()
    await control.run()


uvloop.run(main())
