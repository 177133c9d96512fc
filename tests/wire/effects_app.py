"""A service whose handlers leave their effects in a file outside of the process, where the test counts them."""

import asyncio
import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from wse_server import Takeover, WSEConfig, create_wse_router

app = FastAPI()
wse = create_wse_router(WSEConfig(redis_url=os.environ.get("REDIS_URL"), takeover=Takeover(os.environ["TAKEOVER"]), outcome_lease=2.0))
app.include_router(wse, prefix="/wse")


def effect(line: str) -> None:
    with Path(os.environ["EFFECTS"]).open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


@wse.on("order")
async def order(payload: dict[str, Any]) -> dict[str, Any]:
    effect(f"order {payload['n']}")
    await asyncio.sleep(payload.get("nap", 0))
    return {"done": payload["n"], "by": os.getpid()}


@wse.on("set", idempotent=True)
async def put(payload: dict[str, Any]) -> dict[str, Any]:
    effect(f"set {payload['n']}")
    await asyncio.sleep(0 if "restarted" in os.environ else payload.get("nap", 0))
    return {"done": payload["n"], "by": os.getpid()}


@wse.on("flaky")
async def flaky(payload: dict[str, Any]) -> int:
    if not Path(payload["file"]).exists():  # noqa: ASYNC240
        raise ValueError("not yet")
    effect(f"flaky {payload['n']}")
    return payload["n"]


@app.get("/letters")
async def letters() -> list[dict[str, Any]]:
    return [{"id": one.id, "type": one.type, "payload": one.payload, "user": one.user, "error": one.error, "attempts": one.attempts}
            for one in await wse.dead_letters.list()]  # fmt: skip


@app.post("/letters/{id}")
async def replay(id: str) -> Any:
    try:
        return {"reply": await wse.dead_letters.replay(id)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


@app.delete("/letters/{id}")
async def remove(id: str) -> bool:
    return await wse.dead_letters.remove(id)
