"""The service of examples/rust-service, in Python: the wire suite runs on both."""

import os
from typing import Any

from fastapi import FastAPI
from wse_server import Takeover, WSEConfig, create_wse_router

app = FastAPI()
wse = create_wse_router(WSEConfig(takeover=Takeover(os.environ["TAKEOVER"])))
app.include_router(wse, prefix="/wse")


@wse.on("echo")
async def echo(payload: Any) -> Any:
    return payload


@wse.on("publish")
async def publish(payload: dict[str, Any]) -> int:
    receipts = [await wse.publish(payload["topic"], {"n": n}) for n in range(payload.get("count", 1))]
    return receipts[-1].seq


@wse.on("fail")
async def fail(payload: Any) -> None:
    raise ValueError("it always does")
