"""Events reach a loop in batches, through a descriptor or, where loops watch none, a thread."""

import asyncio
import time
from typing import Any

import pytest
from wse_server import Receipt, WSEUsageError, _native, _pump, create_wse_router
from wse_server._pump import Pumps


class Proactor(asyncio.SelectorEventLoop):
    """A loop that watches no descriptors, as on Windows."""

    def add_reader(self, *_: Any) -> None:
        raise NotImplementedError


def make_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return Proactor() if kind == "proactor" else asyncio.new_event_loop()


@pytest.mark.parametrize("kind", ["asyncio", "uvloop", "proactor"])
def test_handshake_and_messages_pass_on_every_kind_of_loop(kind: str) -> None:
    wse = create_wse_router()

    @wse.on("echo")
    async def echo(payload: Any) -> Any:
        return payload

    sent: list[dict[str, Any]] = []
    inbox: asyncio.Queue[dict[str, Any]]

    async def scenario() -> None:
        nonlocal inbox
        inbox = asyncio.Queue()
        outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "websocket", "headers": [(b"host", b"h")], "query_string": b"", "client": ("1.2.3.4", 5), "scheme": "ws"}
        await inbox.put({"type": "websocket.connect"})
        served = asyncio.create_task(wse._endpoint.serve(scope, inbox.get, outbox.put))
        for index in range(50):
            await inbox.put({"type": "websocket.receive", "text": f'{{"v":2,"t":"echo","p":{index},"cid":"{index}"}}'})
        async with asyncio.timeout(10):
            while sum('"reply"' in (message.get("text") or "") for message in sent) < 50:
                sent.append(await outbox.get())
            await inbox.put({"type": "websocket.disconnect", "code": 1001})
            await served

    with asyncio.Runner(loop_factory=lambda: make_loop(kind)) as runner:
        runner.run(scenario())
    assert sent[0]["type"] == "websocket.accept"


def test_a_burst_wakes_the_loop_once_per_batch_not_per_event(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []
    original = _pump.Pump._turn
    monkeypatch.setattr(_pump.Pump, "_turn", lambda self: (turns.append(1), original(self)))
    wse = create_wse_router()
    handled = []

    @wse.on("burst")
    async def burst(payload: int) -> None:
        handled.append(payload)

    async def scenario() -> None:
        engine = await wse._host.serving()
        number = engine.open_channel(wse._host.pumps.current().queue, engine.admit([(b"host", b"h")], b"", None, False))
        wse._host.register(number, {}, None)  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            while not engine.take(number, 10):
                await asyncio.sleep(0.01)
            turns.clear()
            for index in range(200):
                engine.push(number, f'{{"v":2,"t":"burst","p":{index}}}')
            time.sleep(0.2)
            while len(handled) < 200:
                await asyncio.sleep(0)

    asyncio.run(scenario())
    assert handled == list(range(200))
    assert len(turns) <= 10, len(turns)


def test_pumps_of_closed_loops_are_dropped() -> None:
    pumps = Pumps(lambda event: None)

    async def touch() -> None:
        assert pumps.current() is pumps.current()

    for _ in range(5):
        asyncio.run(touch())
    assert len(pumps._pumps) == 1
    pumps.close()
    assert not pumps._pumps


def test_a_ticket_is_answered_by_its_event() -> None:
    async def scenario() -> None:
        pump = Pumps(lambda event: None).current()
        future, failing, given_up = pump.answer(1), pump.answer(2), pump.answer(3)
        given_up.cancel()
        events = [
            (_native.PUBLISHED, 1, "receipt"),
            (_native.PUBLISHED, 2, WSEUsageError("no")),
            (_native.PUBLISHED, 3, "late"),
            (_native.PUBLISHED, 9, "x"),
        ]
        for event in events:
            pump._resolve(*event[1:])
        assert await future == "receipt"
        with pytest.raises(WSEUsageError):
            await failing
        pump.close()

    asyncio.run(scenario())


def test_one_broken_event_does_not_take_the_batch_with_it(caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    def deliver(event: tuple[Any, ...]) -> None:
        if event[1] == 1:
            raise ValueError("a bug")
        seen.append(event[1])

    class Queue:
        def drain(self, limit: int) -> list[tuple[int, int]]:
            return [(_native.OPENED, 0), (_native.OPENED, 1), (_native.OPENED, 2)]

    async def scenario() -> None:
        pump = Pumps(deliver).current()
        real, pump.queue = pump.queue, Queue()  # type: ignore[assignment]
        pump._turn()
        real.close()

    asyncio.run(scenario())
    assert seen == [0, 2]
    assert "a bug" in caplog.text


def test_receipts_have_their_four_attributes() -> None:
    receipt = create_wse_router().publish_sync("t", 1)
    assert isinstance(receipt, Receipt)
    assert (receipt.topic, receipt.seq) == ("t", 1)
    assert receipt.id and receipt.epoch
