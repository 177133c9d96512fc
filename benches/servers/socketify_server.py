"""uWebSockets through Python socketify: `publish()` to a topic that every client subscribes to, no compression, no limit on a backlog."""

import json

from control import READY, Control, port, wants_echo
from socketify import App, OpCode

TOPIC = "bench"
app = App()


def publish(messages: list[str]) -> None:
    for text in messages:
        app.publish(TOPIC, text, OpCode.TEXT)


def opened(socket) -> None:
    socket.subscribe(TOPIC)
    socket.send(READY, OpCode.TEXT)


def received(socket, text, opcode) -> None:
    if wants_echo(text):
        socket.send(text, OpCode.TEXT)
    else:
        json.loads(text)
        control.handled += 1


app.ws("/*", {"open": opened, "message": received, "idle_timeout": 0, "max_backpressure": 64 << 20, "max_payload_length": 1 << 20})
app.listen(port())
control = Control(publish)
app.loop.loop.set_task_factory(None)  # socketify's own task class loses wake-ups of the task that reads the runner's commands
task = app.loop.loop.create_task(control.run())
app.run()
