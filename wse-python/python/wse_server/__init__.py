"""WSE: one live, ordered, lossless channel between a Python back end and its front ends.

wse = create_wse_router()
app.include_router(wse, prefix="/wse")
await wse.publish("notifications", {"text": "Order shipped!"})
"""

from ._native import Receipt, __version__
from ._payload import Msgpack
from .codes import CloseCode, ErrorCode
from .config import Takeover, WSEConfig
from .connection import AuthResult, Connection, Message
from .dead_letters import DeadLetter, DeadLetters
from .errors import (
    WSEConfigError,
    WSEDeadLetterError,
    WSEError,
    WSEForkError,
    WSEPayloadError,
    WSEStartupError,
    WSETopicError,
    WSEUnavailable,
    WSEUsageError,
)
from .policy import SlowPolicy, TopicPolicy
from .presence import Member, Presence
from .priority import Priority
from .publisher import Publication, Publisher
from .router import WSERouter, create_wse_router
from .snapshots import SnapshotProvider

__all__ = [
    "AuthResult",
    "CloseCode",
    "Connection",
    "DeadLetter",
    "DeadLetters",
    "ErrorCode",
    "Member",
    "Message",
    "Msgpack",
    "Presence",
    "Priority",
    "Publication",
    "Publisher",
    "Receipt",
    "SlowPolicy",
    "SnapshotProvider",
    "Takeover",
    "TopicPolicy",
    "WSEConfig",
    "WSEConfigError",
    "WSEDeadLetterError",
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
