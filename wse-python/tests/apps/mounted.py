"""An application mounted in another, behind middleware that wraps `receive` and `send`."""

import os
from typing import Any

from fastapi import FastAPI
from wse_server import create_wse_router


class Tracing:
    """Middleware as an object, its wrappers as closures."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.count = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted(message: Any) -> None:
            self.count += 1
            await send(message)

        await self.app(scope, receive, counted)


inner = FastAPI()
wse = create_wse_router()
inner.include_router(wse, prefix="/wse")
inner.add_middleware(Tracing)


@inner.post("/publish")
def publish() -> int:
    return wse.publish_sync("news", "mounted").seq


app = FastAPI()
app.mount("/sub", inner)
app.add_middleware(Tracing)


@app.get("/pid")
async def pid() -> int:
    return os.getpid()
