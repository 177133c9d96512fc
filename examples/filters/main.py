"""Prices under one topic, orders under a topic each; what a client does not want is not sent to it."""

from typing import Any

from fastapi import FastAPI
from wse_server import SlowPolicy, TopicPolicy, WSEConfig, create_wse_router

app = FastAPI()
wse = create_wse_router(
    WSEConfig(
        topics={
            "prices": TopicPolicy(slow=SlowPolicy.LATEST),  # a slow client gets the newest of each symbol
            "orders:*": TopicPolicy(filter={"internal": {"$ne": True}}),  # whatever a client asks for
        },
    )
)
app.include_router(wse, prefix="/wse")


@app.post("/prices/{symbol}")
async def price(symbol: str, price: float) -> int:
    receipt = await wse.publish("prices", {"symbol": symbol, "price": price}, key=symbol)
    return receipt.seq


@app.post("/orders/{number}")
async def order(number: int, order: dict[str, Any]) -> int:
    receipt = await wse.publish(f"orders:{number}", order, type="order")
    return receipt.seq
