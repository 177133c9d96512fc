"""Every setting of `WSEConfig` does what it says: one that reached the engine no more would fail here, or in the file of its subject."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from wse_server import WSEConfig, WSEUnavailable, _native, create_wse_router

from .support import servers

PATIENCE = 10


class Peer:
    """A client of an engine in this process, over the queues of the ASGI driver."""

    def __init__(self, engine: _native.Engine, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.engine, self.queue = engine, _native.EventQueue()
        self.admission = engine.admit(headers or [], b"", None, False)
        self.number = engine.open_channel(self.queue, self.admission)
        self.events: list[tuple[Any, ...]] = []
        self.handed_over: list[tuple[str, Any, str | None, str | None]] = []

    def receive(self) -> Any:
        """The next frame, or (code, reason) of the close."""
        end = time.monotonic() + PATIENCE
        while not (frames := self.engine.take(self.number, 1)):
            assert time.monotonic() < end, "nothing came"
            self.wait(0.05)
        return json.loads(frames[0]) if isinstance(frames[0], str) else frames[0]

    def wait(self, seconds: float) -> None:
        self.queue.wait(seconds)
        for event in self.queue.drain(1000):
            if event[0] == _native.MESSAGES:
                self.handed_over += event[2]
            else:
                self.events.append(event)

    def until(self, kind: str) -> Any:
        while (frame := self.receive())["t"] != kind:
            pass
        return frame["p"]

    def send(self, kind: str, payload: Any = None, **header: Any) -> None:
        self.engine.push(self.number, json.dumps({"v": 2, "t": kind, "p": payload, **header}))

    def subscribe(self, *topics: str, **keys: Any) -> list[dict[str, Any]]:
        self.send("subscription", {"action": "subscribe", "topics": topics, **keys}, c="WSE")
        return list(self.until("subscription_update")["topics"])

    def ending(self) -> tuple[str, int]:
        """The code of the last error, and of the close."""
        code = ""
        while not isinstance(frame := self.receive(), tuple):
            code = frame["p"]["code"] if frame["t"] == "error" else code
        return code, frame[0]


@contextmanager
def engine(**settings: Any) -> Iterator[_native.Engine]:
    running = _native.Engine(WSEConfig(**settings).options())
    running.start()
    try:
        yield running
    finally:
        running.stop()


def publish(running: _native.Engine, topic: str, count: int, size: int = 10) -> _native.Receipt:
    payload = b'"' + b"x" * size + b'"'
    return [running.publish_blocking((topic, payload, None, None, 5, None, None, None)) for _ in range(count)][-1]


def test_the_client_is_told_the_limits_and_times() -> None:
    with engine(heartbeat=7, idle_timeout=33, message_bytes=5000, subscriptions=3, restart_retry=0.25) as running:
        peer = Peer(running)
        hello, ready = peer.until("server_hello"), peer.until("server_ready")
    assert (hello["heartbeat_ms"], hello["idle_timeout_ms"], hello["message_bytes"], hello["subscriptions"]) == (7000, 33000, 5000, 3)
    assert ready["retry_ms"] == 250


def test_heartbeat_and_idle_timeout() -> None:
    with engine(heartbeat=0.2, idle_timeout=0.6) as running:
        peer, began = Peer(running), time.monotonic()
        peer.until("ping")
        assert 0.15 < time.monotonic() - began < 0.55
        assert peer.ending() == ("IDLE_TIMEOUT", 4002)
        assert 0.5 < time.monotonic() - began < 3


def test_handshake_timeout() -> None:
    with engine(handshake_timeout=0.2) as running:
        assert Peer(running, [(b"sec-websocket-protocol", b"wse.v2")]).ending() == ("HANDSHAKE_TIMEOUT", 4003)


def test_message_bytes_and_subscriptions() -> None:
    with engine(message_bytes=1000, subscriptions=2) as running:
        peer = Peer(running)
        assert [topic.get("code") for topic in peer.subscribe("a", "b", "c")] == [None, None, "TOO_MANY_SUBSCRIPTIONS"]
        peer.send("long", "x" * 1000)
        assert peer.ending() == ("MESSAGE_TOO_LARGE", 1009)


def test_handler_queue_holds_reading_back_until_handlers_are_done() -> None:
    with engine(handler_queue=2) as running:
        peer = Peer(running)
        peer.until("server_ready")
        for n in range(8):
            peer.send("job", n)
        for done, handed_over in ((0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2, 3, 4])):
            running.handled(peer.number, done)
            for _ in range(4):
                peer.wait(0.1)
            assert [payload for _, payload, _, _ in peer.handed_over] == handed_over


def test_outbound_bytes_bound_what_waits_and_the_rest_is_caught_up_from_the_log() -> None:
    for outbound_bytes, falls_behind in ((20_000, True), (64 * 2**20, False)):
        with engine(outbound_bytes=outbound_bytes) as running:
            peer = Peer(running)
            peer.subscribe("fast")
            publish(running, "fast", 200, size=10_000)  # nobody takes meanwhile: more than the driver holds
            assert [peer.receive()["seq"] for _ in range(200)] == list(range(1, 201))
            assert (running.health()["fell_behind"] > 0) is falls_behind


@pytest.mark.parametrize(
    "limit",
    [{"history_messages": 3}, {"history_bytes": 3000}, {"history_budget_bytes": 3000}, {"history_age": 0.2}],
    ids=lambda limit: next(iter(limit)),
)
def test_the_history_is_bounded_by(limit: dict[str, Any]) -> None:
    with engine(**limit) as running:
        epoch = publish(running, "log", 10, size=900).epoch
        time.sleep(0.4)
        publish(running, "log", 1)
        [answer] = Peer(running).subscribe("log", positions={"log": {"e": epoch, "seq": 1}})
        assert (answer["status"], answer.get("reason")) == ("resync", "history")
    with engine() as running:
        epoch = publish(running, "log", 10, size=900).epoch
        [answer] = Peer(running).subscribe("log", positions={"log": {"e": epoch, "seq": 1}})
        assert (answer["status"], answer["recovered"]) == ("recovered", 9)


def test_meta_age_is_how_long_an_emptied_topic_keeps_its_epoch() -> None:
    epochs = {}
    for meta_age in (0.3, 60.0):
        with engine(history_age=0.1, meta_age=meta_age) as running:
            before = publish(running, "log", 3)
            time.sleep(0.6)
            publish(running, "another", 3)  # what is due is looked at when something is done
            after = publish(running, "log", 1)
            epochs[meta_age] = (before.epoch == after.epoch, after.seq)
    assert epochs == {0.3: (False, 1), 60.0: (True, 4)}


def test_handover_bytes_make_a_publish_wait_for_the_hub() -> None:
    def waited(**settings: Any) -> bool:
        with engine(**settings) as running:
            Peer(running).subscribe("log")
            queue = _native.EventQueue()
            return any(isinstance(running.publish(queue, ("log", b"1" * 500, None, None, 5, None, None, None)), int) for _ in range(2000))

    assert waited(handover_bytes=1000)
    assert not waited()


def test_connections_are_counted_and_refused_by_status_or_inside_the_socket_of_a_page() -> None:
    with engine(connections=1) as running:
        Peer(running).until("server_ready")
        plain = running.admit([], b"", None, False)
        assert (plain.http_status, "`connections`" in plain.message) == (429, True)
        page = Peer(running, [(b"origin", b"http://localhost:5173"), (b"host", b"localhost:8000")])
        assert (page.admission.http_status, page.ending()) == (None, ("LIMIT_REACHED", 4429))


async def test_drain_timeout_is_how_long_shutdown_waits_for_a_client_that_does_not_go() -> None:
    wse = create_wse_router(WSEConfig(drain_timeout=0.3))
    began = 0.0
    async with asyncio.timeout(10), wse.lifespan_context(None):
        running = wse._host.engine()
        peer = await asyncio.to_thread(Peer, running)
        await asyncio.to_thread(peer.subscribe, "a")
        await asyncio.to_thread(publish, running, "a", 60, 10_000)  # more than the driver holds, so that the close cannot go out
        while running.health()["deliveries"] < 60:  # what is stored may not be on its way yet
            await asyncio.sleep(0.01)
        began = time.monotonic()
    assert 0.2 < time.monotonic() - began < 2


async def test_publish_timeout_ends_a_publish_that_redis_does_not_answer() -> None:
    with redis_process() as (url, process):
        wse = create_wse_router(WSEConfig(redis_url=url, publish_timeout=0.5))
        async with asyncio.timeout(10):
            await wse.publish("a", 1)
            process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(WSEUnavailable):
                await wse.publish("a", 2)
        assert 0.3 < time.monotonic() - began < 2.5


@contextmanager
def redis_process() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A Redis that can be stopped."""
    port = servers.free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL, cwd=os.environ.get("TMPDIR", "/tmp")
    )
    listens: Callable[[], bool] = lambda: servers._listens(port)  # noqa: E731
    try:
        servers.wait_for(listens, 10, lambda: "redis-server did not start")
        yield f"redis://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


async def test_redis_prefix_keeps_applications_apart(redis_url: str) -> None:
    one, same, other = (create_wse_router(WSEConfig(redis_url=redis_url, redis_prefix=prefix)) for prefix in ("apart-a", "apart-a", "apart-b"))
    async with asyncio.timeout(10):
        assert [(await wse.publish("a", 1)).seq for wse in (one, same, other)] == [1, 2, 1]
