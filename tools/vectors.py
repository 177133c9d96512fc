#!/usr/bin/env python3
"""Writes the vectors whose expected values other implementations give: Python's json, its package msgpack, its zlib. `--check` only compares.

    python3 -m venv .work/vectors && .work/vectors/bin/pip install -r tools/vector_cases/requirements.txt
    .work/vectors/bin/python tools/vectors.py

Cases of envelopes.json and messages.json are edited there: a text, and this tool fills in what it means, and the counts. Those of frames.json,
batches.json and faults.json are in tools/vector_cases/.
"""

import json
import sys
import zlib
from pathlib import Path

import msgpack
from vector_cases import batches, faults, frames
from vector_cases.parts import joined_text, meaning

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def envelopes(file: dict) -> dict:
    """What a text means is what Python's json reads of it."""
    for case in file["accept"]:
        case["envelope"] = meaning(joined_text(case))
    return file


def counted(file: dict) -> dict:
    """The number of cases, in lists at any depth but not within a case."""

    def cases(value: object) -> int:
        if isinstance(value, list):
            return len(value)
        return sum(cases(inner) for inner in value.values()) if isinstance(value, dict) else 0

    lists = {key: value for key, value in file.items() if key not in {"comment", "count", "made_with", "limits"}}
    return {**file, "count": cases(lists)}


def text(file: dict) -> str:
    return json.dumps(counted(file), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read(name: str) -> dict:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def main() -> int:
    check = "--check" in sys.argv[1:]
    files = {
        "envelopes.json": envelopes(read("envelopes.json")),
        "messages.json": read("messages.json"),
        "frames.json": generated_frames(check),
        "batches.json": batches.file(),
        "faults.json": faults.file(),
    }
    changed = [name for name, file in files.items() if not is_written(name, text(file))]
    for name in changed:
        if check:
            print(f"vectors/{name} is not what tools/vectors.py writes", file=sys.stderr)
        else:
            (VECTORS / name).write_text(text(files[name]), encoding="utf-8")
            print(f"wrote vectors/{name}: {json.loads(text(files[name]))['count']} cases")
    return 1 if check and changed else 0


def generated_frames(check: bool) -> dict:
    """Another zlib compresses to other bytes, all of them right: a check with another one leaves its part as it stands."""
    made_with = {"msgpack": ".".join(map(str, msgpack.version)), "zlib": zlib.ZLIB_RUNTIME_VERSION}
    made = frames.file(made_with, read("envelopes.json"))
    if check:
        written = read("frames.json")
        if written["made_with"]["zlib"] != made_with["zlib"]:
            made["zlib"] = written["zlib"]
        made["made_with"] = written["made_with"]
    return made


def is_written(name: str, content: str) -> bool:
    path = VECTORS / name
    return path.is_file() and path.read_text(encoding="utf-8") == content


if __name__ == "__main__":
    sys.exit(main())
