"""Takes readings of meters, each once, and says how many it has."""

from typing import Any

from fastapi import FastAPI
from wse_server import Connection, WSEConfig, create_wse_router


def who(connection: Connection) -> str | None:
    return connection.token  # your own check: here the token is the meter's name


app = FastAPI()
wse = create_wse_router(WSEConfig(auth_handler=who))
app.include_router(wse, prefix="/wse")

readings: list[Any] = []


@wse.on("reading")
async def reading(payload: Any) -> int:
    readings.append(payload)
    return len(readings)


@app.get("/readings")
async def taken() -> list[Any]:
    return readings
