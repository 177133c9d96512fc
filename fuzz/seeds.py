#!/usr/bin/env python3
"""Writes seeds for the fuzz targets from vectors/: every frame that is listed there, and its payload alone; every filter, with its payload."""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
OPENS = {b'{"v":2,"t":"a","p":': -1, bytes.fromhex("83a17602a174a161a170"): None}


def lists(value: object) -> list[dict]:
    """The cases of a file, in lists at any depth."""
    if isinstance(value, list):
        return [case for case in value if isinstance(case, dict)]
    return [case for inner in value.values() for case in lists(inner)] if isinstance(value, dict) else []


def bodies(name: str) -> list[bytes]:
    cases = lists(json.loads((VECTORS / name).read_text(encoding="utf-8")))
    whole = [bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode() for case in cases if {"hex", "text"} & case.keys()]
    batches = [frame for case in cases if "msgpack" in case for frame in (case["json"].encode(), bytes.fromhex(case["msgpack"]))]
    return whole + batches


def write(target: str, seeds: list[bytes]) -> None:
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(dict.fromkeys(seeds)):
        (folder / f"vector-{number}").write_bytes(seed)
    print(f"{target}: {number + 1} seeds")


def filters() -> list[bytes]:
    """A filter in a line, and what it is held against."""
    cases = lists(json.loads((VECTORS / "filters.json").read_text(encoding="utf-8")))
    return ["\n".join(json.dumps(case[part]) for part in ("filter", "payload") if part in case).encode() for case in cases if "filter" in case]


def main() -> None:
    frames = [body for name in ("envelopes.json", "messages.json", "frames.json", "batches.json", "published.json") for body in bodies(name)]
    plain = [body.removeprefix(b"M:") for body in frames if not body.startswith(b"C:")]
    payloads = [body[len(start) : end] for body in plain for start, end in OPENS.items() if body.startswith(start)]
    write("envelope", plain + payloads)
    write("filter", filters())
    write("inflate", [body[2:] for body in frames if body.startswith(b"C:")])


if __name__ == "__main__":
    main()
