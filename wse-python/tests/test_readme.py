"""The Python blocks of the documents run as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

ROOT = Path(__file__).parents[2]
BLOCKS = [
    pytest.param(block, id=f"{name}-{number}")
    for name in ("README.md", "docs/INTEGRATION.md", "wse-python/README.md")
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.S | re.M))
]


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS) == 10


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_makes_a_router_that_answers(block: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    app = names.get("app") or FastAPI()
    if "app" not in names:
        app.include_router(names["wse"], prefix="/wse")
    health = TestClient(app).get("/wse/health").json()
    assert health["status"] == "idle", "nothing starts before first use"
