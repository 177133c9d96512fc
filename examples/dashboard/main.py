"""The dashboard's server: publishes prices and notifications, answers orders, serves the built page.

`uvicorn main:app` from this folder, after `make demo` or `npm run build` in web/. Settings, all optional:
REDIS_URL (default: in-process bus) and WSE_TAKEOVER (auto, always or never; default auto).
"""

import asyncio
import logging
import os
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Literal

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from wse_server import Takeover, TopicPolicy, WSEConfig, WSEUnavailable, create_wse_router

import market

TICK = 0.25  # seconds between two prices of one instrument
HISTORY = 480  # prices per instrument that a page gets when it opens: two minutes
PAGE = Path(__file__).parent / "static"

log = logging.getLogger("dashboard")
by_symbol = {instrument.symbol: instrument for instrument in market.INSTRUMENTS}
order_numbers = count(random.randrange(4_000, 5_000))

wse = create_wse_router(
    WSEConfig(
        redis_url=os.environ.get("REDIS_URL"),
        takeover=Takeover(os.environ.get("WSE_TAKEOVER", "auto")),
        heartbeat=2,  # the default is 15 s; here one is meant to watch the round trip
        idle_timeout=10,  # 90 s; here one is meant to see who is gone
        topics={"desk": TopicPolicy(presence=True)},  # pages show who else has them open
    )
)


class Order(BaseModel):
    """What the page's order ticket sends."""

    symbol: Literal["BTC", "ETH", "SOL", "AVAX", "LINK"]
    side: Literal["buy", "sell"]
    quantity: float = Field(gt=0, le=100)


class Fill(BaseModel):
    """The reply to an order."""

    order_id: int
    symbol: str
    side: str
    quantity: float
    price: float
    total: float


@wse.on("order")
async def place(order: Order) -> Fill:
    """Fills the order at the present price and tells everyone. A payload that does not fit `Order` never comes here."""
    price = round(market.price(by_symbol[order.symbol], time.time()), 2)
    number = next(order_numbers)
    verb = "Bought" if order.side == "buy" else "Sold"
    text = f"{verb} {order.quantity:g} {order.symbol} at {price:,.2f}"
    await notify(Notification(kind="trade", text=text, order_id=number, at=round(time.time() * 1000)))
    return Fill(order_id=number, **order.model_dump(), price=price, total=round(price * order.quantity, 2))


class Notification(BaseModel):
    """A line of the feed."""

    kind: Literal["shipped", "paid", "delivered", "alert", "trade"]
    text: str
    order_id: int | None
    at: int


class History(BaseModel):
    """The reply to `history`: the latest prices, oldest first, the time of the last one, and the latest notifications."""

    step: int
    until: int
    instruments: list[dict[str, str]]
    prices: dict[str, list[float]]
    notifications: list[Notification]


recent: deque[Notification] = deque(maxlen=12)


@wse.on("history")
def history(_: object) -> History:
    """What a page shows before the first live message; a plain `def` runs in a thread."""
    last = int(time.time() / TICK)
    return History(
        step=round(TICK * 1000),
        until=round(last * TICK * 1000),
        instruments=[{"symbol": i.symbol, "name": i.name} for i in market.INSTRUMENTS],
        prices={i.symbol: [price_at(i, tick) for tick in range(last - HISTORY, last + 1)] for i in market.INSTRUMENTS},
        notifications=list(recent),
    )


@lru_cache(maxsize=2 * HISTORY * len(market.INSTRUMENTS))
def price_at(instrument: market.Instrument, tick: int) -> float:
    """The price that is published at a tick."""
    return round(market.price(instrument, tick * TICK), 4)


async def notify(notification: Notification) -> None:
    """Puts a line into every page's feed."""
    recent.append(notification)
    await wse.publish("notifications", notification)


async def publish_prices(tick: int) -> None:
    """One price of every instrument."""
    at = tick * TICK
    for instrument in market.INSTRUMENTS:
        payload = {
            "symbol": instrument.symbol,
            "price": price_at(instrument, tick),
            "change": round(market.change(instrument, at), 3),
            "at": round(at * 1000),
        }
        await wse.publish("prices", payload, type="price_update", key=instrument.symbol)


def something(at: float) -> Notification:
    """What could have happened in a shop or on a market."""
    number = next(order_numbers)
    instrument = random.choice(market.INSTRUMENTS)
    move = market.change(instrument, at)
    kind, text, order_id = random.choice(
        [
            ("shipped", "Order shipped!", number),
            ("paid", "Payment received", number),
            ("delivered", "Delivered and signed for", number),
            ("alert", f"{instrument.name} {'up' if move >= 0 else 'down'} {abs(move):.2f} % in 24 h", None),
        ]
    )
    return Notification(kind=kind, text=text, order_id=order_id, at=round(at * 1000))


async def on_every_tick() -> None:
    tick = int(time.time() / TICK)
    while True:
        tick = max(tick + 1, int(time.time() / TICK))  # after a pause (a laptop asleep) it does not catch up
        await asyncio.sleep(tick * TICK - time.time())
        await patiently(publish_prices(tick))


async def every_few_seconds() -> None:
    recent.extend(something(time.time() - 7 * ago) for ago in range(6, 0, -1))
    while True:
        await patiently(notify(something(time.time())))
        await asyncio.sleep(random.uniform(2, 5))


async def patiently(publishing: Awaitable[None]) -> None:
    """Publishes; while the bus does not answer, that is worth a line in the log, not the end of the feed."""
    try:
        await publishing
    except WSEUnavailable as error:
        log.warning("not published: %s", error)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(on_every_tick()), tasks.create_task(every_few_seconds())]
        yield
        for task in running:
            task.cancel()


app = FastAPI(title="WSE dashboard", lifespan=lifespan)
app.include_router(wse, prefix="/wse")

if (PAGE / "index.html").is_file():
    app.mount("/", StaticFiles(directory=PAGE, html=True))
else:

    @app.get("/")
    def no_page() -> PlainTextResponse:
        return PlainTextResponse("The page is not built: run `make demo` in the project's root.\n", 503)
