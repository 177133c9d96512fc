"""The shared vectors through a reader of Python's own parts: the values expected of them are no invention of the Rust reader."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .support.wire import Refused, read_batch, read_binary, read_text

ROOT = Path(__file__).parents[2]


def vectors(name: str) -> Any:
    return json.loads((ROOT / "vectors" / name).read_text())


def text(case: Any) -> str:
    return case["text"] if "text" in case else "".join(piece["text"] * piece["times"] for piece in case["repeat"])


def body(case: Any) -> bytes:
    return bytes.fromhex(case["hex"]) if "hex" in case else b"".join(bytes.fromhex(piece["hex"]) * piece["times"] for piece in case["repeat"])


def code_of(read: Any, *arguments: Any) -> str | None:
    try:
        read(*arguments)
    except Refused as refused:
        return refused.code
    return None


def test_text_frames() -> None:
    file = vectors("envelopes.json")
    assert (len(file["accept"]), len(file["reject"]), file["count"]) == (54, 131, 54 + 131)
    for case in file["accept"]:
        assert read_text(text(case)) == case["envelope"], case["name"]
    for case in file["reject"]:
        assert code_of(read_text, text(case)) == case["code"], case["name"]


def test_binary_frames() -> None:
    file = vectors("frames.json")
    parts = [file["tags"], file["topic_messages"], *file["msgpack"].values(), *file["zlib"].values()]
    assert ([len(part) for part in parts], file["count"]) == ([11, 12, 72, 127, 25, 38], 285)
    for case in [*file["msgpack"]["accept"], *file["zlib"]["accept"]]:
        envelope = read_binary(body(case), file["limits"])
        if "envelope" in case:
            assert envelope == case["envelope"], case["name"]
        elif "inflated" in case:
            assert envelope == json.loads(text(case["inflated"])), case["name"]
        else:
            assert len(envelope["p"]) == case["payload_count"], case["name"]
    for case in [*file["msgpack"]["reject"], *file["zlib"]["reject"]]:
        assert code_of(read_binary, body(case), file["limits"]) == case["code"], case["name"]


def test_of_two_faults_the_first_counts() -> None:
    file = vectors("faults.json")
    assert (len(file["text"]), len(file["binary"]), file["count"]) == (14, 18, 14 + 18)
    for case in [*file["text"], *file["binary"]]:
        if case["faults"][0] not in ("size", "message"):  # a frame's size is judged before it is read, its message after
            code = code_of(read_text, text(case)) if case in file["text"] else code_of(read_binary, body(case), file["limits"])
            assert code == case["code"], case["name"]


def test_tags_that_are_not_of_a_known_kind_are_refused() -> None:
    file = vectors("frames.json")
    for case in file["tags"]:
        known = case["tag"] in ("msgpack", "compressed")
        assert (code_of(read_binary, body(case), file["limits"]) == "UNSUPPORTED_FORMAT") != known, case["name"]


def test_topic_messages_mean_the_same_in_both_formats() -> None:
    file = vectors("frames.json")
    for case in file["topic_messages"]:
        envelope = read_text(case["body"]["json"])
        assert envelope == read_binary(bytes.fromhex(case["body"]["msgpack"]), file["limits"]), case["name"]
        assert (envelope["seq"], envelope.get("ps")) == (case["publication"]["seq"], case["publication"].get("previous"))
        assert envelope["p"] == json.loads(case["payload"]["json"])


def test_batches() -> None:
    file, limits = vectors("batches.json"), vectors("frames.json")["limits"]
    assert (len(file["accept"]), len(file["reject"]), file["count"]) == (6, 34, 6 + 34)
    for case in file["accept"]:
        items = [read_text(item) for item in case["items"]["json"]]
        assert items == [read_binary(bytes.fromhex(item), limits) for item in case["items"]["msgpack"]], case["name"]
        assert items == read_batch(read_text(case["json"])) == read_batch(read_binary(bytes.fromhex(case["msgpack"]), limits)), case["name"]
    for case in file["reject"]:
        assert code_of(lambda case=case: read_batch(read_text(case["json"]))) == case["code"], case["name"]
        packed = bytes.fromhex(case["msgpack"])
        assert code_of(lambda packed=packed: read_batch(read_binary(packed, limits))) == case["code"], case["name"]


@pytest.mark.timeout(60)
def test_the_files_are_what_their_generator_writes() -> None:
    checked = subprocess.run([sys.executable, ROOT / "tools/vectors.py", "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
