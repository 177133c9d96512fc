"""The suite's application behind a middleware that takes its time before it lets a WebSocket in."""

import asyncio
from typing import Any

from .suite import app


class Slow:
    """As one that asks a database first."""

    def __init__(self, inner: Any) -> None:
        self.app = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await asyncio.sleep(0.3)
        await self.app(scope, receive, send)


app.add_middleware(Slow)
__all__ = ["app"]
