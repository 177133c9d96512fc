"""WSE: one live, ordered, lossless channel between a Python back end and its front ends.

wse = create_wse_router()
app.include_router(wse, prefix="/wse")
await wse.publish("notifications", {"text": "Order shipped!"})
"""

from ._native import Receipt, __version__
from .codes import CloseCode, ErrorCode
from .config import Takeover, WSEConfig
from .connection import AuthResult, Connection, Message
from .errors import (
    WSEConfigError,
    WSEError,
    WSEForkError,
    WSEPayloadError,
    WSEStartupError,
    WSETopicError,
    WSEUnavailable,
    WSEUsageError,
)
from .priority import Priority
from .publisher import Publisher
from .router import WSERouter, create_wse_router

__all__ = [
    "AuthResult",
    "CloseCode",
    "Connection",
    "ErrorCode",
    "Message",
    "Priority",
    "Publisher",
    "Receipt",
    "Takeover",
    "WSEConfig",
    "WSEConfigError",
    "WSEError",
    "WSEForkError",
    "WSEPayloadError",
    "WSERouter",
    "WSEStartupError",
    "WSETopicError",
    "WSEUnavailable",
    "WSEUsageError",
    "__version__",
    "create_wse_router",
]
