"""The shared vectors, through the engine as Python has it: a channel session is given each frame, and answers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wse_server import WSEConfig, WSETopicError, _defaults, _native
from wse_server.codes import CloseCode, ErrorCode

from .support.wire import read_binary, read_text

VECTORS = Path(__file__).parents[2] / "vectors"
PATIENCE = 10
LIMITS = {"inflate_bytes": 1 << 24, "inflate_ratio": 200, "inflate_ratio_from_bytes": 1 << 16}
PACKED = '{"v":2,"c":"WSE","t":"client_hello","p":{"formats":["msgpack"],"compression":["zlib"]}}'


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def text(case: Any) -> str:
    """A text frame: whole, or pieces that are repeated."""
    return case["text"] if "text" in case else "".join(piece["text"] * piece["times"] for piece in case["repeat"])


def body(case: Any) -> bytes:
    """A binary frame, likewise."""
    return bytes.fromhex(case["hex"]) if "hex" in case else b"".join(bytes.fromhex(piece["hex"]) * piece["times"] for piece in case["repeat"])


class Session:
    """A client of the engine in this process, over the queues of the ASGI driver; with a hello, one that promised it."""

    def __init__(self, engine: _native.Engine, hello: str | None = None) -> None:
        self.engine, self.queue = engine, _native.EventQueue()
        headers = [] if hello is None else [(b"sec-websocket-protocol", b"wse.v2")]
        self.number = engine.open_channel(self.queue, engine.admit(headers, b"", None, False))
        if hello is not None:
            engine.push(self.number, hello)
        assert [self.receive()["t"] for _ in range(2)] == ["server_hello", "server_ready"]

    def receive(self) -> Any:
        end = time.monotonic() + PATIENCE
        while not (frames := self.engine.take(self.number, 1)):
            assert time.monotonic() < end, "no answer"
            self.queue.wait(0.1)
            self.queue.drain(100)
        frame = frames[0]
        if isinstance(frame, bytes):
            return read_binary(frame, LIMITS)
        return read_text(frame) if isinstance(frame, str) else frame

    def code_of(self, frame: str | bytes) -> str | None:
        """The error that a frame gets; a ping behind it, or the close, shows where its answers end."""
        self.engine.push(self.number, frame)
        self.engine.push(self.number, '{"v":2,"c":"WSE","t":"ping","p":"end"}')
        code = None
        while not isinstance(answer := self.receive(), tuple) and answer != {"v": 2, "c": "WSE", "t": "pong", "p": "end"}:
            code = answer["p"]["code"] if answer["t"] == "error" else code
        return code

    def message_of(self, frame: str | bytes) -> tuple[Any, ...]:
        """What a handler would get of a frame: type, payload, id, cid."""
        self.engine.push(self.number, frame)
        message = None
        while message is None:
            assert self.queue.wait(PATIENCE)
            message = next((message for event in self.queue.drain(1) if event[0] == _native.MESSAGES for message in event[2]), None)
        self.engine.handled(self.number, 1)
        return message


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
    assert (len(file["accept"]), len(file["reject"]), file["count"]) == (54, 131, 54 + 131)
    for case in file["accept"]:
        fine = "INVALID_MESSAGE" if case["envelope"].get("c") == "S" else None  # well-formed, but a server's
        assert session.code_of(text(case)) == fine, case["name"]
    for case in file["reject"]:
        assert session.code_of(text(case)) == case["code"], case["name"]


def test_payloads_reach_python_as_json_would_have_read_them(session: Session) -> None:
    cases = [case for case in vectors("envelopes.json")["accept"] if is_for_a_handler(case["envelope"])]
    assert len(cases) == 49
    for case in cases:
        assert session.message_of(text(case)) == as_message(case["envelope"]), case["name"]


def is_for_a_handler(envelope: Any) -> bool:
    """Numbered messages come to a handler once, whatever format repeats them: `tests/wire/test_effects.py`."""
    return envelope.get("c", "U") == "U" and "pid" not in envelope


def as_message(envelope: Any) -> tuple[Any, ...]:
    return envelope["t"], envelope.get("p"), envelope.get("id"), envelope.get("cid")


def test_binary_frames_are_taken_and_refused_as_listed(engine: _native.Engine) -> None:
    file = vectors("frames.json")
    assert [len(cases) for part in ("msgpack", "zlib") for cases in file[part].values()] == [72, 127, 25, 38]
    for part in ("msgpack", "zlib"):
        session = Session(engine, PACKED)
        for case in file[part]["accept"]:
            fine = "INVALID_MESSAGE" if case.get("envelope", {}).get("c") == "S" else None
            assert session.code_of(body(case)) == fine, case["name"]
        for case in file[part]["reject"]:
            large = len(body(case)) > _defaults.MESSAGE_BYTES
            code = "MESSAGE_TOO_LARGE" if large else case["code"]
            assert session.code_of(body(case)) == code, case["name"]
            if ErrorCode(code) in (ErrorCode.INFLATE_LIMIT, ErrorCode.MESSAGE_TOO_LARGE):
                session = Session(engine, PACKED)


def test_of_two_faults_the_first_is_answered(engine: _native.Engine) -> None:
    file = vectors("faults.json")
    assert (len(file["text"]), len(file["binary"]), file["count"]) == (14, 18, 14 + 18)
    assert file["limits"]["message_bytes"] == _defaults.MESSAGE_BYTES
    for case in [*file["text"], *file["binary"]]:
        frame = text(case) if case in file["text"] else body(case)
        assert Session(engine, PACKED).code_of(frame) == case["code"], case["name"]


def test_payloads_of_binary_frames_reach_python_as_its_own_readers_read_them(engine: _native.Engine) -> None:
    file, session = vectors("frames.json"), Session(engine, PACKED)
    cases = [case for part in ("msgpack", "zlib") for case in file[part]["accept"] if is_for_a_handler(case.get("envelope", {}))]
    assert len(cases) == 92
    for case in cases:
        assert session.message_of(body(case)) == as_message(read_binary(body(case), LIMITS)), case["name"]


def test_binary_frames_that_were_not_agreed_on_are_refused(engine: _native.Engine, session: Session) -> None:
    file, packed = vectors("frames.json"), Session(engine, PACKED)
    assert len(file["tags"]) == 11
    for case in file["tags"]:
        assert session.code_of(body(case)) == "UNSUPPORTED_FORMAT", case["name"]
        if case["tag"] in ("reserved", "unknown"):
            assert packed.code_of(body(case)) == "UNSUPPORTED_FORMAT", case["name"]


def test_published_suites_are_taken_and_refused_as_they_say(engine: _native.Engine) -> None:
    file, ran = vectors("published.json"), 0
    for suite, hello in ((file["json"], None), (file["msgpack"], PACKED)):
        session = Session(engine, hello)
        for case in [case for cases in suite.values() if isinstance(cases, list) for case in cases]:
            frame = body(case) if hello else as_text(body(case))
            if frame is None:
                continue  # no text frame: what is not UTF-8 ends a WebSocket with 1007
            if "code" in case:
                assert session.code_of(frame) == case["code"], case["name"]
            else:
                assert session.message_of(frame)[1] == case["payload"], case["name"]
            ran += 1
    assert (ran, file["count"]) == (524, 549)


def as_text(frame: bytes) -> str | None:
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return None


def test_messages_are_taken_and_refused_as_listed(session: Session) -> None:
    file = vectors("messages.json")
    assert [len(file[part]) for part in ("server", "client", "refused")] == [33, 23, 50]
    late = {"client_hello": "UNEXPECTED_MESSAGE", "snapshot_request": "NO_SNAPSHOT", "presence": "PRESENCE_OFF"}  # had its hello, no topic
    for case in file["client"]:
        nameless = case["kind"] == "presence" and not any(word in case["text"] for word in ('"key"', '"leave"'))  # and this client has no user
        assert session.code_of(case["text"]) == ("INVALID_MESSAGE" if nameless else late.get(case["kind"])), case["name"]
    for case in file["refused"]:
        assert session.code_of(case["text"]) == case["code"], case["name"]


def test_names_are_counted_as_listed(engine: _native.Engine) -> None:
    file = vectors("names.json")
    assert (len(file["cases"]), file["count"]) == (16, 16)
    assert file["limits"] == {"subscriptions": _defaults.SUBSCRIPTIONS, "names_beyond": _defaults.NAMES_BEYOND}
    for case in file["cases"]:
        code, answered = answers_of_names(engine, case)
        assert (code, len(answered)) == (case["code"], case["named"]), case["name"]
        assert answered[: len(case.get("first", []))] == case.get("first", []), case["name"]


def answers_of_names(engine: _native.Engine, case: Any) -> tuple[str | None, list[str]]:
    """The error that a message of names.json gets, and the topics that it is answered for."""
    kind, names = case["kind"], [*case["topics"], *(f"t{n}" for n in range(case["numbered"]))]
    if kind == "client_hello":
        session = Session(engine, json.dumps({"v": 2, "c": "WSE", "t": kind, "p": {"topics": names}}))
    else:
        session, p = Session(engine), {"topics": names}
        message = {"t": kind, "p": p} if kind == "snapshot_request" else {"t": "subscription", "p": {"action": kind, **p}}
        session.engine.push(session.number, json.dumps({"v": 2, "c": "WSE", "cid": "q", **message}))
    code, answered = None, list[str]()
    while case["named"] > len(answered) or (code is None and case["code"]):
        answer = session.receive()
        assert answer.get("cid") == (None if kind == "client_hello" else "q"), answer
        if answer["t"] == "subscription_update":
            answered += [entry["tp"] for entry in answer["p"]["topics"]]
        elif answer["p"]["code"] == "NO_SNAPSHOT":
            answered.append(answer["p"]["topic"])
        else:
            code = answer["p"]["code"]
    session.engine.push(session.number, json.dumps({"v": 2, "c": "WSE", "t": "ping", "p": "last"}))
    assert session.receive()["t"] == "pong", "nothing else came"
    return code, answered


def test_topic_names_are_judged_as_listed(engine: _native.Engine, session: Session) -> None:
    file = vectors("topics.json")
    assert [len(file[part]) for part in ("valid", "invalid", "patterns", "users")] == [12, 19, 2, 10] and file["count"] == 43
    for case in file["users"]:
        assert engine.publish_blocking((("user", case["id"]), b"1", None, "t", 5, None, None, None)).topic == case["name"]
    for name in file["valid"]:
        assert engine.publish_blocking((name, b"1", None, None, 5, None, None, None)).seq >= 1
    for case in file["invalid"]:
        with pytest.raises(WSETopicError) as refused:
            engine.publish_blocking((case["name"], b"1", None, None, 5, None, None, None))
        assert refused.value.code == case["code"], case["name"]


def test_codes_and_defaults_are_those_of_the_tables() -> None:
    codes, table = vectors("codes.json"), vectors("defaults.json")
    assert (len(codes["errors"]), len(codes["close"]), codes["count"]) == (42, 19, 42 + 19) == (len(ErrorCode), len(CloseCode), 61)
    defaults = table["defaults"]
    assert len(defaults) == table["count"]
    assert [code.value for code in ErrorCode] == [case["code"] for case in codes["errors"]]
    assert {code.name: code.value for code in CloseCode} == {case["name"]: case["code"] for case in codes["close"]}
    assert {name: getattr(_defaults, name.upper()) for name in defaults} == defaults


def test_filters_are_judged_and_refused_as_listed() -> None:
    file = vectors("filters.json")
    assert (len(file["accept"]), len(file["reject"]), file["count"]) == (637, 117, 637 + 117)
    for case in file["accept"]:
        verdict = _native.filter_matches(json.dumps(case["filter"]).encode(), json.dumps(case["payload"]).encode())
        assert verdict == case["matches"], case["name"]
    for case in file["reject"]:
        with pytest.raises(ValueError, match="filter refused at "):
            _native.filter_matches(json.dumps(case["filter"]).encode(), b"null")
