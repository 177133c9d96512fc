"""The shared vectors, through the engine as Python has it: a channel session is given each frame, and answers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wse_server import WSEConfig, WSETopicError, _defaults, _native
from wse_server.codes import CloseCode, ErrorCode

VECTORS = Path(__file__).parents[2] / "vectors"
PATIENCE = 10


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def text(case: Any) -> str:
    """A text frame: whole, or pieces that are repeated."""
    return case["text"] if "text" in case else "".join(piece["text"] * piece["times"] for piece in case["repeat"])


class Session:
    """A client of the engine in this process, over the queues of the ASGI driver."""

    def __init__(self, engine: _native.Engine) -> None:
        self.engine, self.queue = engine, _native.EventQueue()
        self.number = engine.open_channel(self.queue, engine.admit([], b"", None, False))
        assert [self.receive()["t"] for _ in range(2)] == ["server_hello", "server_ready"]

    def receive(self) -> Any:
        end = time.monotonic() + PATIENCE
        while not (frames := self.engine.take(self.number, 1)):
            assert time.monotonic() < end, "no answer"
            self.queue.wait(0.1)
            self.queue.drain(100)
        return json.loads(frames[0]) if isinstance(frames[0], str) else frames[0]

    def code_of(self, frame: str) -> str | None:
        """The error that a frame gets; a ping behind it shows where its answers end."""
        self.engine.push(self.number, frame)
        self.engine.push(self.number, '{"v":2,"c":"WSE","t":"ping","p":"end"}')
        code = None
        while (answer := self.receive()) != {"v": 2, "c": "WSE", "t": "pong", "p": "end"}:
            code = answer["p"]["code"] if answer["t"] == "error" else code
        return code


@pytest.fixture(scope="module")
def engine() -> Iterator[_native.Engine]:
    engine = _native.Engine(WSEConfig().options())
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def session(engine: _native.Engine) -> Session:
    return Session(engine)


def test_envelopes_are_taken_and_refused_as_listed(session: Session) -> None:
    file = vectors("envelopes.json")
    assert len(file["accept"]) + len(file["reject"]) == file["count"] >= 83
    for case in file["accept"]:
        fine = "INVALID_MESSAGE" if case["envelope"].get("c") == "S" else None  # well-formed, but a server's
        assert session.code_of(text(case)) == fine, case["name"]
    for case in file["reject"]:
        assert session.code_of(text(case)) == case["code"], case["name"]


def test_payloads_reach_python_as_json_would_have_read_them(session: Session) -> None:
    cases = [case for case in vectors("envelopes.json")["accept"] if case["envelope"].get("c", "U") == "U"]
    assert len(cases) >= 29
    for case in cases:
        session.engine.push(session.number, text(case))
        envelope, message = case["envelope"], None
        while message is None:
            assert session.queue.wait(PATIENCE)
            message = next((event for event in session.queue.drain(1) if event[0] == _native.MESSAGE), None)
        assert message[2:] == (envelope["t"], envelope.get("p"), envelope.get("id"), envelope.get("cid")), case["name"]
        session.engine.handled(session.number, 1)


def test_messages_are_taken_and_refused_as_listed(session: Session) -> None:
    file = vectors("messages.json")
    assert len(file["server"]) + len(file["client"]) + len(file["refused"]) == file["count"] >= 37
    late = {"client_hello": "UNEXPECTED_MESSAGE"}  # this session has had its hello
    for case in file["client"]:
        assert session.code_of(case["text"]) == late.get(case["kind"]), case["name"]
    for case in file["refused"]:
        assert session.code_of(case["text"]) == case["code"], case["name"]


def test_topic_names_are_judged_as_listed(engine: _native.Engine, session: Session) -> None:
    file = vectors("topics.json")
    assert len(file["valid"]) + len(file["invalid"]) + len(file["patterns"]) == file["count"] >= 33
    for name in file["valid"]:
        assert engine.publish_blocking(name, b"1", None, 5, None, None, None).seq >= 1
    for case in file["invalid"]:
        with pytest.raises(WSETopicError) as refused:
            engine.publish_blocking(case["name"], b"1", None, 5, None, None, None)
        assert refused.value.code == case["code"], case["name"]


def test_codes_and_defaults_are_those_of_the_tables() -> None:
    codes, defaults = vectors("codes.json"), vectors("defaults.json")["defaults"]
    assert (len(codes["errors"]), len(codes["close"])) == (len(ErrorCode), len(CloseCode))
    assert len(defaults) >= 40
    assert [code.value for code in ErrorCode] == [case["code"] for case in codes["errors"]]
    assert {code.name: code.value for code in CloseCode} == {case["name"]: case["code"] for case in codes["close"]}
    assert {name: getattr(_defaults, name.upper()) for name in defaults} == defaults
