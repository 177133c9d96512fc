#!/usr/bin/env python3
"""Writes vectors/published.json from two published test suites, which are not kept here:

    tools/vector_cases/published.py CHECKOUT_OF_JSONTestSuite CHECKOUT_OF_msgpack-test-suite

Each of their cases becomes the payload of an envelope; those that they leave to the implementation are judged by docs/PROTOCOL.md.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "wse-python/tests/support"))
from wire import Refused, read_binary, read_text  # noqa: E402

LIMITS = {"inflate_bytes": 1 << 20, "inflate_ratio": 200, "inflate_ratio_from_bytes": 1 << 16}
OPEN_JSON, CLOSE_JSON = b'{"v":2,"t":"a","p":', b"}"
OPEN_MSGPACK = b"M:" + bytes.fromhex("83a17602a174a161a170")
#: Both too deep and not closed: an implementation may name either fault.
EITHER = {"n_structure_100000_opening_arrays", "n_structure_open_array_object"}
#: What MessagePack has and JSON has not.
FOREIGN = ("binary", "timestamp", "ext")


def commit(checkout: Path) -> str:
    return subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()


def judged(frame: bytes) -> dict:
    """What the reader of the tests makes of a frame."""
    try:
        envelope = read_binary(frame, LIMITS) if frame.startswith(b"M:") else read_text(frame.decode())
    except UnicodeDecodeError:
        return {"code": "INVALID_JSON"}
    except Refused as refused:
        return {"code": refused.code}
    return {"payload": envelope["p"]}


def json_suite(checkout: Path) -> dict:
    lists: dict[str, list] = {"y": [], "n": [], "i": []}
    for path in sorted((checkout / "test_parsing").iterdir()):
        if path.stem not in EITHER:
            frame = OPEN_JSON + path.read_bytes() + CLOSE_JSON
            lists[path.stem[0]].append({"name": path.stem, "rule": "P-12", "hex": frame.hex(), **judged(frame)})
    assert all("payload" in case for case in lists["y"])
    assert all(case.get("code") == "INVALID_JSON" for case in lists["n"])
    licence = "MIT, Copyright (c) 2016 Nicolas Seriot"
    source = {"source": "github.com/nst/JSONTestSuite", "licence": licence, "commit": commit(checkout)}
    return {**source, "accept": lists["y"], "reject": lists["n"], "decided": lists["i"]}


def msgpack_suite(checkout: Path) -> dict:
    accept, reject = [], []
    for group, entries in json.loads((checkout / "dist/msgpack-test-suite.json").read_text()).items():
        for entry in entries:
            kind, value = next((key, value) for key, value in entry.items() if key != "msgpack")
            for encoding in entry["msgpack"]:
                frame = OPEN_MSGPACK + bytes.fromhex(encoding.replace("-", ""))
                case = {"name": f"{group.removesuffix('.yaml')}: {encoding:.60}", "rule": "P-16", "hex": frame.hex()}
                if kind in FOREIGN:
                    reject.append({**case, "code": "INVALID_MSGPACK"})
                    assert judged(frame) == {"code": "INVALID_MSGPACK"}, case
                else:
                    accept.append({**case, "payload": meaning(kind, entry, value)})
                    assert judged(frame) == {"payload": accept[-1]["payload"]}, case
    licence = "MIT, Copyright (c) 2017-2018 Yusuke Kawasaki"
    return {"source": "github.com/kawanet/msgpack-test-suite", "licence": licence, "commit": commit(checkout), "accept": accept, "reject": reject}


def meaning(kind: str, entry: dict, value: object) -> object:
    """Numbers that JSON's of the suite do not hold stand there as text."""
    return int(entry["bignum"]) if "bignum" in entry else value


def main() -> None:
    suites = {"json": json_suite(Path(sys.argv[1])), "msgpack": msgpack_suite(Path(sys.argv[2]))}
    count = sum(len(cases) for suite in suites.values() for cases in suite.values() if isinstance(cases, list))
    comment = "Published test suites, each case as the payload of a frame in hex. `decided`: left to the implementation by the suite, settled by our rules."
    file = {"comment": comment, "count": count, **suites}
    (ROOT / "vectors/published.json").write_text(json.dumps(file, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    print(f"wrote vectors/published.json: {count} cases")


if __name__ == "__main__":
    main()
