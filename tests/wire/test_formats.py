"""MessagePack, zlib and batches over real sockets, on every server; read and written by Python's own msgpack and zlib."""

import json
import zlib

import msgpack
import pytest
from conftest import Server

ALL = {"formats": ["msgpack", "json"], "compression": ["zlib"], "batch": True}


async def test_hellos_agree_on_what_both_want(server: Server) -> None:
    """[P-9]"""
    agreed = []
    for hello in (ALL, {}, {"formats": ["xml", "json"], "compression": ["br"]}):
        async with server.agreed(hello) as client:
            agreed.append(tuple(client.hello[key] for key in ("format", "compression", "batch")))
    assert agreed == [("msgpack", "zlib", True), ("json", None, False), ("json", None, False)]


async def test_messagepack_goes_both_ways_and_means_what_json_does(server: Server) -> None:
    """[P-16]"""
    payload = {"text": "ünï ☃", "numbers": [1, -2, 2**53 - 1, 2.5, True, None], "deep": {"a": {}}}
    async with server.agreed({"formats": ["msgpack"], "topics": ["packed"]}) as packed, server.agreed({"topics": ["packed"]}) as plain:
        await packed.until("subscription_update")
        assert packed.frame[:2] == b"M:"
        await packed.send(b"M:" + msgpack.packb({"v": 2, "t": "echo", "cid": "q", "p": payload}))
        reply = await packed.until("reply")
        assert (packed.frame[:2], reply) == (b"M:", {"v": 2, "c": "WSE", "t": "reply", "cid": "q", "p": payload})
        await packed.publish("packed", payload=payload)
        assert (await packed.ask("echo", payload))["p"] == payload, "text is taken too"
        [told] = await plain.topic("packed", 1)
        assert isinstance(plain.frame, str)
        async with server.agreed({"formats": ["msgpack"]}) as late:
            await late.subscribe("packed", positions={"packed": {"e": told["e"], "seq": told["seq"] - 1}})
            assert await late.topic("packed", 1) == [told]
            assert late.frame[:2] == b"M:"
        assert told["p"] == {"n": 0, **payload}


async def test_what_is_not_messagepack_of_jsons_types_is_refused_and_the_connection_stays(server: Server) -> None:
    """[P-16]"""
    async with server.agreed({"formats": ["msgpack"]}) as client:
        for body in (b"\xc1", msgpack.packb({"v": 2, "t": "echo", "p": b"raw"}), msgpack.packb({"v": 2, "t": "echo"}) + b"\x00"):
            await client.send(b"M:" + body)
            assert (await client.until("error"))["p"]["code"] == "INVALID_MSGPACK"
        assert (await client.ask("echo", 1))["p"] == 1


async def test_a_mebibyte_of_heads_of_arrays_is_too_deep_and_the_connection_stays(server: Server) -> None:
    """[P-12]"""
    async with server.agreed({"formats": ["msgpack"]}) as client:
        for open_, head in ((b"M:" + msgpack.packb({"v": 2, "t": "echo", "p": 0})[:-1], b"\x91"), (b'{"v":2,"t":"echo","p":', b"[")):
            frame = open_ + head * (2**20 - len(open_))
            await client.send(frame if head == b"\x91" else frame.decode())
            assert (await client.until("error"))["p"]["code"] == "TOO_DEEP"
        assert (await client.ask("echo", 1))["p"] == 1


async def test_a_large_frame_is_compressed_once_for_all_and_a_small_one_is_not(server: Server) -> None:
    """[P-17] [P-18]"""
    clients = 12
    packers = [server.agreed({"compression": ["zlib"], "topics": ["zipped"]}) for _ in range(clients)]
    async with server.agreed({"topics": ["zipped"]}) as plain:
        readers = [await packer.__aenter__() for packer in packers]
        for reader in readers:
            await reader.until("subscription_update")
        before = server.health()
        await plain.publish("zipped", bytes=5000)
        got = [await reader.topic("zipped", 1) for reader in readers]
        frames = {reader.frame for reader in readers}
        after = server.health()
        assert len(frames) == 1, "one encoding for all"
        frame = frames.pop()
        assert isinstance(frame, bytes) and frame[:2] == b"C:" and len(frame) < 1000
        assert 1 <= after["compressed"] - before["compressed"] <= after["shards"] < clients
        assert after["compression_saved_bytes"] - before["compression_saved_bytes"] > 4000
        assert all(messages == await_plain for await_plain in [await plain.topic("zipped", 1)] for messages in got)
        assert isinstance(plain.frame, str)
        await plain.publish("zipped", bytes=500)
        assert [(await reader.topic("zipped", 1))[0]["seq"] for reader in readers] == [got[0][0]["seq"] + 1] * clients
        assert all(isinstance(reader.frame, str) for reader in readers)
        for packer in packers:
            await packer.__aexit__(None, None, None)


async def test_the_servers_own_large_frames_are_compressed_and_a_clients_are_inflated(server: Server) -> None:
    """[P-17]"""
    for formats, inner in (["json"], lambda m: json.dumps(m).encode()), (["msgpack"], lambda m: b"M:" + msgpack.packb(m)):
        async with server.agreed({"compression": ["zlib"], "formats": formats}) as client:
            before = server.health()["inflated"]
            await client.send(b"C:" + zlib.compress(inner({"v": 2, "t": "echo", "cid": "q", "p": "long " * 1000})))
            assert (await client.until("reply"))["p"] == "long " * 1000
            assert client.frame[:2] == b"C:"
            assert (await client.ask("echo", "short"))["p"] == "short"
            assert client.frame[:2] != b"C:"
            assert server.health()["inflated"] == before + 1


async def test_a_bomb_is_not_inflated_and_ends_its_connection(server: Server) -> None:
    """[P-17]"""
    for bomb in (b'"' + b"a" * 10_000_000 + b'"', b'"' + b"a" * 900_000 + b'"'):
        async with server.agreed({"compression": ["zlib"]}) as client:
            await client.send(b"C:" + zlib.compress(b'{"v":2,"t":"echo","p":' + bomb + b"}", 9))
            assert (await client.until("error"))["p"]["code"] == "INFLATE_LIMIT"
            assert await client.closed() == 1009


@pytest.mark.parametrize(
    "broken", [b"", b"no zlib", zlib.compress(b"{}")[:-1], zlib.compress(b"{}") + b"x", zlib.compress(b"C:" + zlib.compress(b"{}"))]
)
async def test_a_broken_stream_is_refused_and_the_connection_stays(server: Server, broken: bytes) -> None:
    """[P-17]"""
    async with server.agreed({"compression": ["zlib"]}) as client:
        await client.send(b"C:" + broken)
        assert (await client.until("error"))["p"]["code"] == "INVALID_COMPRESSION"
        assert (await client.ask("echo", 1))["p"] == 1


async def test_what_comes_at_once_of_a_topic_is_one_batch_for_those_who_read_batches(server: Server) -> None:
    """[P-37]"""
    async with server.agreed({"batch": True, "topics": ["runs"]}) as batched, server.agreed({"topics": ["runs"]}) as single:
        await batched.until("subscription_update")
        await single.until("subscription_update")
        before = server.health()
        last = await single.publish("runs", count=300, many=True)
        sizes, got = [], []
        while len(got) < 300:
            got.append(await batched.receive())
            sizes.append(batched.batch)
        after = server.health()
        assert max(sizes) >= 2
        assert max(sizes) <= 128, "batch_messages"
        assert (after["batches"] - before["batches"], after["batched"] - before["batched"]) >= (1, max(sizes))
        assert [m["seq"] for m in got] == list(range(last - 299, last + 1))
        assert [m["p"]["n"] for m in got] == list(range(300))
        assert await single.topic("runs", 300) == got
        assert single.batch == 1


async def test_batches_are_packed_and_compressed_like_any_frame(server: Server) -> None:
    """[P-18]: envelope, then batch, then `C:`"""
    async with server.agreed({**ALL, "topics": ["packs"]}) as client, server.agreed() as publisher:
        await client.until("subscription_update")
        await publisher.publish("packs", count=100, many=True)
        got = await client.topic("packs", 100)
        assert client.batch >= 2
        assert client.frame[:2] == b"C:" and zlib.decompress(client.frame[2:])[:2] == b"M:"
        assert [m["p"]["n"] for m in got] == list(range(100))
