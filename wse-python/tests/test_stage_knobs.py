"""The settings of the stages, as `test_knobs.py` for those of connections and logs: each changes what a client sees."""

import asyncio
import json
import signal
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgpack
import pytest
from wse_server import Priority, SlowPolicy, TopicPolicy, WSEConfig, WSEUnavailable, _native, create_wse_router
from wse_server._payload import reading

from .test_knobs import Peer, engine, publish, redis_process

ALL = {"formats": ["msgpack", "json"], "compression": ["zlib"], "batch": True}


class Agreed(Peer):
    """A client with a hello of its own; frames are decoded by Python's msgpack and zlib."""

    def __init__(self, running: _native.Engine, **hello: Any) -> None:
        super().__init__(running, [(b"sec-websocket-protocol", b"wse.v2")])
        self.size = 0
        self.hello: dict[str, Any] = {}
        self.send("client_hello", hello, c="WSE")
        self.hello = self.until("server_hello")
        self.until("server_ready")

    def receive(self) -> Any:
        frame = super().receive()
        if isinstance(frame, bytes):
            assert self.hello, "[P-9] the hello is text, and so is what comes before it"
            self.size = len(frame)
            body = zlib.decompress(frame[2:]) if frame[:2] == b"C:" else frame
            frame = msgpack.unpackb(body[2:]) if body[:2] == b"M:" else json.loads(body)
        else:
            self.size = 0  # it came as text
        return frame

    def messages(self, count: int) -> list[list[Any]]:
        """Topic messages, by the frames that they came in."""
        frames: list[list[Any]] = []
        while sum(map(len, frames)) < count:
            frame = self.receive()
            batch = frame["p"] if frame["t"] == "batch" else [frame]
            frames += [batch] if "id" in batch[0] else []  # a beacon has none
        return frames


def publish_many(running: _native.Engine, topic: str, count: int, size: int = 10) -> None:
    message = (topic, b'"' + b"x" * size + b'"', None, None, 5, None, None, None)
    outcomes = running.publish_many(_native.EventQueue(), [message] * count, reading(lambda message: message))
    assert not isinstance(outcomes, int) and outcomes[1] is None


@pytest.mark.parametrize(
    ("setting", "key", "without"), [("msgpack", "format", "json"), ("compression", "compression", None), ("batch", "batch", False)]
)
def test_what_is_switched_off_is_not_agreed_on(setting: str, key: str, without: Any) -> None:
    def agreed(**settings: Any) -> dict[str, Any]:
        with engine(**settings) as running:
            hello = Agreed(running, **ALL).hello
        return {name: hello[name] for name in ("format", "compression", "batch")}

    everything = {"format": "msgpack", "compression": "zlib", "batch": True}
    assert (agreed(), agreed(**{setting: False})) == (everything, {**everything, key: without})


def test_compression_from_and_compression_level() -> None:
    sizes = {}
    for settings in ({}, {"compression_from": 200}, {"compression_from": 200, "compression_level": 1}):
        with engine(**settings) as running:
            peer = Agreed(running, compression=["zlib"])
            peer.subscribe("a")
            text = json.dumps([{"price": n * n % 97, "name": f"item {n % 13}"} for n in range(60)]).encode()
            running.publish_blocking(("a", text, None, None, 5, None, None, None))
            peer.messages(1)
            sizes[tuple(settings.values())] = peer.size
            small = running.publish_blocking(("a", b'"' + b"x" * 300 + b'"', None, None, 5, None, None, None))
            [[message]] = peer.messages(1)
            assert (message["seq"], peer.size > 0) == (small.seq, settings != {})
    # Ids and times differ from message to message, and so do a few bytes.
    assert 0 < sizes[()] < sizes[(200, 1)]
    assert abs(sizes[()] - sizes[(200,)]) <= 16, sizes


def test_a_hello_is_text_however_small_a_frame_is_compressed() -> None:
    with engine(compression_from=1) as running:
        for hello in ({"compression": ["zlib"]}, ALL):
            peer = Agreed(running, **hello)
            assert peer.hello["compression"] == "zlib"
            assert peer.size > 0, "server_ready is compressed"


def test_batch_messages_and_batch_bytes() -> None:
    for settings, most in (({}, 100), ({"batch_messages": 7}, 7), ({"batch_bytes": 2000}, 10)):
        with engine(shards=1, **settings) as running:
            peer = Agreed(running, batch=True)
            peer.subscribe("a")
            publish_many(running, "a", 100, size=50)
            lengths = [len(frame) for frame in peer.messages(100)]
            assert 2 <= max(lengths) <= most, (settings, lengths)
            assert settings or lengths == [100]


def test_messages_per_second_message_burst_and_rate_patience() -> None:
    def seconds(count: int, **settings: Any) -> float:
        with engine(**settings) as running:
            peer, began = Agreed(running), time.monotonic()
            for n in range(count):
                peer.send("ping", n, c="WSE")
            while peer.until("pong") != count - 1:
                pass
            return time.monotonic() - began

    assert seconds(500) < 1
    assert 0.5 < seconds(60, messages_per_second=50, message_burst=20) < 5
    assert seconds(3000, messages_per_second=None, bytes_per_second=None) < 3
    with engine(messages_per_second=50, message_burst=5, rate_patience=0.3) as running:
        peer, began = Agreed(running), time.monotonic()
        for n in range(100):
            peer.send("ping", n, c="WSE")
        assert peer.ending() == ("RATE_LIMITED", 1013)
        assert 0.2 < time.monotonic() - began < 5
        assert running.health()["rate_closed"] == 1


def test_bytes_per_second() -> None:
    with engine(bytes_per_second=50_000, message_bytes=20_000) as running:
        peer, began = Agreed(running), time.monotonic()
        for n in range(8):
            peer.send("ping", "x" * 9900, c="WSE", id=str(n))
        peer.until("error")  # a ping holds 125 bytes; it is read all the same
        while running.health()["rate_held"] or time.monotonic() - began < 0.1:
            assert time.monotonic() - began < 5
            peer.wait(0.05)
        assert time.monotonic() - began > 0.3


def test_patterns_and_pattern_topics() -> None:
    with engine(patterns=1, pattern_topics=2) as running:
        peer = Agreed(running)
        assert peer.hello["patterns"] == 1
        assert [entry.get("code") for entry in peer.subscribe("a:*", "b:*")] == [None, "TOO_MANY_PATTERNS"]
        for n in range(3):
            publish(running, f"c:{n}", 1)
        assert [entry.get("code") for entry in Agreed(running).subscribe("c:*")] == ["TOO_MANY_TOPICS"]


def test_filter_limit_and_shards() -> None:
    with engine(filter_limit=2, shards=1) as running:
        peers = [Agreed(running) for _ in range(3)]
        codes = [peer.subscribe("a", filters={"a": {"n": n}})[0].get("code") for n, peer in enumerate(peers)]
        assert codes == [None, None, "FILTER_LIMIT"]
        assert (running.health()["filter_classes"], running.health()["shards"]) == (2, 1)
    with engine(shards=3) as running:
        assert (running.health()["shards"], running.health()["shards_silent"]) == (3, 0)
        peers = [Agreed(running) for _ in range(6)]
        for peer in peers:
            peer.subscribe("a")
        publish(running, "a", 3)
        assert all([m["seq"] for frame in peer.messages(3) for m in frame] == [1, 2, 3] for peer in peers)


def test_history_compress_after_lets_more_fit_the_history() -> None:
    answers = {}
    for after in (0.01, None):
        with engine(history_compress_after=after, history_bytes=30_000) as running:
            first = publish(running, "log", 1, size=1000)
            for _ in range(50):
                time.sleep(0.005)
                publish(running, "log", 1, size=1000)
            [answer] = Peer(running).subscribe("log", positions={"log": {"e": first.epoch, "seq": 1}})
            answers[after] = answer["status"]
    assert answers == {0.01: "recovered", None: "resync"}


async def test_breaker_failures_and_breaker_cooldown() -> None:
    with redis_process() as (url, process):
        wse = create_wse_router(WSEConfig(redis_url=url, publish_timeout=0.5, breaker_failures=2, breaker_cooldown=1.5))
        async with asyncio.timeout(20):
            await wse.publish("a", 1)
            process.send_signal(signal.SIGSTOP)
            seconds = []
            for _ in range(3):
                began = time.monotonic()
                with pytest.raises(WSEUnavailable):
                    await wse.publish("a", 2)
                seconds.append(time.monotonic() - began)
            process.send_signal(signal.SIGCONT)
            assert min(seconds[:2]) > 0.3 and seconds[2] < 0.2, seconds
            with pytest.raises(WSEUnavailable):
                await wse.publish("a", 3)
            assert wse._host.running is not None
            health = await asyncio.to_thread(wse._host.running.health)
            assert (health["breaker_opened"], health["breaker_refused"]) == (1, 2)
            await asyncio.sleep(1.6)
            assert (await wse.publish("a", 4)).seq >= 2
        wse._host.stop()


async def test_redis_backoff_base_and_redis_backoff_cap() -> None:
    attempts = {}
    for base, cap in ((0.02, 0.04), (5.0, 10.0)):
        with redis_process() as (url, process):
            wse = create_wse_router(WSEConfig(redis_url=url, redis_backoff_base=base, redis_backoff_cap=cap))
            await wse.publish("a", 1)
            process.terminate()
            process.wait(10)
            attempts[base] = await hang_up(int(url.rsplit(":", 1)[1]), 1.5)
            wse._host.stop()
    assert attempts[0.02] > 20 and attempts[5.0] <= 5, attempts


async def hang_up(port: int, seconds: float) -> int:
    """Ends what connects to a port, and counts it."""
    came = 0

    def end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        writer.close()

    server = await asyncio.start_server(end, "127.0.0.1", port, reuse_address=True)
    await asyncio.sleep(seconds)
    server.close()
    return came


@pytest.mark.parametrize("settings", [{"redis_reorder_messages": 1}, {"redis_reorder_bytes": 1}, {}])
def test_what_comes_while_a_hole_is_read_is_in_order_however_little_of_it_is_kept(settings: dict[str, int]) -> None:
    with redis_process() as (url, _), engine(redis_url=url, **settings) as running:
        peer = Agreed(running)
        peer.subscribe("a")
        redis_command(url, "CLIENT", "KILL", "TYPE", "pubsub")  # a hole, until the bus listens again
        count = publish_from_threads(running, "a", 1.0)
        seqs = [message["seq"] for frame in peer.messages(count) for message in frame]
    assert seqs == list(range(1, count + 1))


def test_what_comes_within_a_flush_interval_is_written_together_and_what_comes_first_at_once() -> None:
    with engine(flush_interval=1) as running:
        peer = Agreed(running, **ALL)
        peer.subscribe("a")
        publish(running, "a", 1)
        assert [message["seq"] for frame in peer.messages(1) for message in frame] == [1]
        for _ in range(20):
            publish(running, "a", 1)
            time.sleep(0.01)
        got = peer.messages(20)
    assert [message["seq"] for frame in got for message in frame] == list(range(2, 22))
    assert len(got) < 8, "one frame, or a few where the machine stood still for longer; each message was published by itself"


@pytest.mark.parametrize("bus", ["memory", "redis"])
def test_an_idempotency_key_holds_for_its_time_and_is_a_second_message_after_it(bus: str) -> None:
    with redis_process() as (url, _), engine(redis_url=url if bus == "redis" else None, idempotency_age=0.4) as running:
        seqs = [keyed(running, "a"), keyed(running, "a")]
        time.sleep(0.6)
        seqs.append(keyed(running, "a"))
        answered = running.health()["retries_answered"]
    assert (seqs, answered) == ([1, 1, 2], 1)


def test_above_its_bound_the_oldest_idempotency_key_is_forgotten_and_counted() -> None:
    with engine(idempotency_keys=2) as running:
        assert [keyed(running, key) for key in "abcba"] == [1, 2, 3, 2, 4]
        health = running.health()
        assert (health["retries_answered"], health["retries_forgotten"]) == (1, 2)


def keyed(running: _native.Engine, key: str) -> int:
    return running.publish_blocking(("once", b"1", None, None, 5, None, None, key)).seq


def publish_from_threads(running: _native.Engine, topic: str, seconds: float) -> int:
    """From eight, so that messages come while any hole is being read."""
    end = time.monotonic() + seconds

    def run() -> int:
        count = 0
        while time.monotonic() < end:
            publish(running, topic, 1)
            count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        return sum(future.result() for future in [pool.submit(run) for _ in range(8)])


def redis_command(url: str, *words: str) -> bytes:
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), 5) as connection:
        connection.sendall(b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)]))
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_first_policy_that_fits_a_topic_holds() -> None:
    topics = {
        "a:1": TopicPolicy(),
        "a:*": TopicPolicy(filter={"n": {"$gt": 1}}),
        "*": TopicPolicy(slow=SlowPolicy.DISCONNECT, filter={"n": {"$gt": 2}}),
    }
    with engine(topics=topics, outbound_bytes=20_000) as running:
        peer = Agreed(running)
        peer.subscribe("a:1", "a:2", "b")
        for n in (1, 2, 3):
            for topic in ("a:1", "a:2", "b"):
                running.publish_blocking((topic, json.dumps({"n": n}).encode(), None, None, Priority.NORMAL, None, None, None))
        got = [(m["tp"], m["p"]["n"]) for frame in peer.messages(6) for m in frame]
        assert sorted(got) == [("a:1", 1), ("a:1", 2), ("a:1", 3), ("a:2", 2), ("a:2", 3), ("b", 3)]
        for _ in range(600):  # more than the channel to the server takes ahead
            running.publish_blocking(("b", json.dumps({"n": 9, "pad": "x" * 5000}).encode(), None, None, 5, None, None, None))
        assert peer.ending() == ("SLOW_CONSUMER", 4001)
