"""What the runner tells a server on its standard input, and what that does with it; README.md says what the lines mean."""

import argparse
import asyncio
import functools
import inspect
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

MARK = "@@"
READY = "ready"
MOST_DUE = 256


def port() -> int:
    """The port that this server was told to listen on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args().port


@functools.cache
def rest(size: int) -> str:
    """What follows the stamp in a message of `size` bytes."""
    return "x" * (size - len(f'"{MARK}') - 8 - 16 - 1) + '"'


def messages(first: int, count: int, size: int) -> list[str]:
    """JSON strings of `size` bytes that begin with their number and the time."""
    behind = f"{time.monotonic_ns():016x}{rest(size)}"
    return [f'"{MARK}{number:08x}{behind}' for number in range(first, first + count)]


@functools.cache
def rows(size: int) -> list[dict[str, object]]:
    """Something like an order's lines, about `size` bytes as JSON."""
    return [{"id": n, "name": f"item {n:04}", "price": n + 0.25, "tags": ["a", "b"]} for n in range(size // 60)]


def record(text: str) -> dict[str, object]:
    """A dict of about as many bytes as a message, with the message's stamp."""
    return {"stamp": text[1:27], "rows": rows(len(text) - 49)}


def wants_echo(text: str | bytes) -> bool:
    """Whether a client's message is to be echoed: it begins with a stamp."""
    return text[1:3] == (MARK if isinstance(text, str) else MARK.encode())


class Control:
    """Reads commands and calls `publish(messages)`, one turn's worth of JSON strings at a time."""

    def __init__(self, publish: Callable[[list[str]], Awaitable[None] | None]) -> None:
        self.publish = publish
        self.handled = 0
        self.burst, self.size, self.rate, self.credit, self.published = 1, 128, 0, 0, 0
        self.running = False
        self.began = 0
        self.changed = asyncio.Event()

    def handle(self, line: str) -> None:
        verb, *numbers = line.split()
        if verb == "publish":
            self.burst, self.size, self.rate = map(int, numbers)
            self.credit, self.published, self.running, self.began = 0, 0, True, time.monotonic_ns()
        elif verb == "credit":
            self.credit = int(numbers[0])
        elif verb == "stop":
            self.running = False
            print(json.dumps({"published": self.published}), flush=True)
        elif verb == "count":
            print(json.dumps({"handled": self.handled}), flush=True)
        self.changed.set()

    def due(self) -> int:
        if not self.running:
            return 0
        if not self.rate:
            return min(self.burst, max(0, self.credit - self.published))
        due = 1 + (time.monotonic_ns() - self.began) * self.rate // 10**9
        return min(MOST_DUE, max(0, due - self.published))

    async def turn(self, due: int) -> None:
        turn = messages(self.published, due, self.size)
        self.published += due
        result = self.publish(turn)
        if inspect.isawaitable(result):
            await result

    async def pump(self) -> None:
        """Publishes what is due, for as long as the server lives."""
        while True:
            if due := self.due():
                await self.turn(due)
                await asyncio.sleep(0)
                continue
            self.changed.clear()
            if self.running and self.rate:
                wait = (self.began + self.published * 10**9 // self.rate - time.monotonic_ns()) / 1e9
                asyncio.get_running_loop().call_later(max(0.0, wait), self.changed.set)
            await self.changed.wait()

    async def run(self) -> None:
        """Serves the runner until its end of the pipe closes; then the process ends."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        pump = asyncio.create_task(self.pump())
        while line := await reader.readline():
            self.handle(line.decode())
        pump.cancel()
        os._exit(0)
