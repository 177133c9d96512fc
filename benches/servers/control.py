"""What the runner tells a server on its standard input, and what that does with it; README.md says what the lines mean."""

import argparse
import asyncio
import functools
import inspect
import json
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

Text = TypeVar("Text", str, bytes)
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


@functools.cache
def digits(encode: Callable[[str], Text]) -> list[Text]:
    """The last four of every number."""
    return [encode(f"{number:04x}") for number in range(1 << 16)]


def numbered(first: int, count: int, before: str, behind: str, encode: Callable[[str], Text]) -> list[Text]:
    """Texts or bytes, each with its number of 8 digits between the two: as cheaply as Python can, since its CPU is the server's."""
    made: list[Text] = []
    while count:
        high, low = divmod(first, 1 << 16)
        head, tail, part = encode(f"{before}{high:04x}"), encode(behind), digits(encode)[low : low + count]
        made += [head + number + tail for number in part]
        first, count = first + len(part), count - len(part)
    return made


def messages(first: int, count: int, size: int, encode: Callable[[str], Text] = str) -> list[Text]:
    """JSON strings of `size` bytes that begin with their number and the time."""
    if count == 1:
        return [encode(f'"{MARK}{first:08x}{time.monotonic_ns():016x}{rest(size)}')]
    return numbered(first, count, f'"{MARK}', f"{time.monotonic_ns():016x}{rest(size)}", encode)


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
    """Reads commands and calls `publish(messages)`, with one turn's worth of what `make(first, count, size)` gives."""

    def __init__(self, publish: Callable[[Any], Awaitable[None] | None], make: Callable[[int, int, int], Iterable[object]] = messages) -> None:
        self.publish = publish
        self.make = make
        self.handled = 0
        self.burst, self.size, self.rate, self.credit, self.published = 1, 128, 0, 0, 0
        self.running = False
        self.began = 0
        self.changed = asyncio.Event()
        self.unread = b""

    def handle(self, line: str) -> None:
        verb, *numbers = line.split()
        if verb == "credit":
            self.credit = int(numbers[0])
        elif verb == "publish":
            self.burst, self.size, self.rate = map(int, numbers)
            self.credit, self.published, self.running, self.began = 0, 0, True, time.monotonic_ns()
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
        turn = self.make(self.published, due, self.size)
        self.published += due
        result = self.publish(turn)
        if inspect.isawaitable(result):
            await result

    async def pump(self) -> None:
        """Publishes what is due, for as long as the server lives."""
        while True:
            if due := self.due():
                await self.turn(due)
                if self.due():
                    await asyncio.sleep(0)
                continue
            self.changed.clear()
            if self.running and self.rate:
                asyncio.get_running_loop().call_later(self.wait(), self.changed.set)
            await self.changed.wait()

    def wait(self) -> float:
        """Seconds until something is due, in whole milliseconds as tokio counts them too: uvloop turns without a pause for less than half of one."""
        nanos = self.began + self.published * 10**9 // self.rate - time.monotonic_ns()
        return max(1, math.ceil(nanos / 1e6)) / 1e3

    def read(self) -> None:
        """What came on the pipe; its end ends the process."""
        came = os.read(sys.stdin.fileno(), 65536)
        if not came:
            os._exit(0)
        *lines, self.unread = (self.unread + came).split(b"\n")
        for line in lines:
            self.handle(line.decode())

    async def run(self) -> None:
        """Serves the runner until its end of the pipe closes."""
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self.read)
        await self.pump()
