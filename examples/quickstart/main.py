# main.py
from fastapi import FastAPI
from wse_server import create_wse_router, WSEConfig

app = FastAPI()
wse = create_wse_router(WSEConfig(
    redis_url="redis://localhost:6379",     # leave it out: in-process, no server needed
))
app.include_router(wse, prefix="/wse")


@app.post("/ship")
async def ship():
    # Publish from anywhere in your app
    await wse.publish("notifications", {"text": "Order shipped!", "order_id": 42})
