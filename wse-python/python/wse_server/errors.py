"""Every exception that WSE raises.

WSEError
+-- WSEConfigError       a setting is wrong                       (field)   yours to mend
+-- WSEUsageError        a call that cannot work where it is made           yours to mend
+-- WSEForkError         the engine was started before a fork     (pid)     yours to mend
+-- WSEPayloadError      a payload that JSON cannot carry         (path)    yours to mend
+-- WSETopicError        a name that is no topic                  (topic, code)
+-- WSEDeadLetterError   a dead letter that cannot be replayed     (id)
+-- WSEStartupError      the engine cannot start here
+-- WSEUnavailable       the bus did not answer; try again        (code, outcomes)
"""

from typing import TYPE_CHECKING

from .codes import ErrorCode

if TYPE_CHECKING:
    from ._native import Receipt


class WSEError(Exception):
    """The root: `except WSEError` catches all that WSE raises on purpose."""


class WSEConfigError(WSEError, ValueError):
    """A setting is wrong; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class WSEUsageError(WSEError, RuntimeError):
    """A call that cannot work where it is made; the text says which one does."""


class WSEForkError(WSEError, RuntimeError):
    """The engine was started in process `pid`, and this process is a fork of it: threads and sockets do not survive a fork."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"the WSE engine was started in process {pid} and does not survive a fork; "
            "publish or start it in the worker only (not at import time, and without --preload)"
        )
        self.pid = pid

    def __reduce__(self) -> tuple[object, ...]:
        return WSEForkError, (self.pid,)


class WSEPayloadError(WSEError, TypeError):
    """A payload that JSON cannot carry; `path` names the value, as in `payload.items[3].id`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class WSETopicError(WSEError, ValueError):
    """A name that is no topic, or not one that may be published to; `code` is the wire's."""

    def __init__(self, topic: str, message: str, code: str = ErrorCode.INVALID_TOPIC) -> None:
        super().__init__(f"topic {topic!r}: {message}")
        self.topic = topic
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class WSEDeadLetterError(WSEError, LookupError):
    """A dead letter that is not there, is taken, or cannot be handled; `id` names it."""

    def __init__(self, id: str, message: str) -> None:
        super().__init__(f"dead letter {id}: {message}")
        self.id = id

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class WSEStartupError(WSEError, RuntimeError):
    """The engine cannot start here; the text says what to change."""


class WSEUnavailable(WSEError, ConnectionError):
    """The bus did not answer in time; nothing is known to be stored. Try again, with the same idempotency key."""

    code = ErrorCode.UNAVAILABLE
    outcomes: "tuple[Receipt | WSEError, ...]" = ()
    """From `publish_many`: the receipt or the error of each message."""


def _rebuild(kind: type[WSEError], args: tuple[object, ...], state: dict[str, object]) -> WSEError:
    """Unpickles an error whose constructor takes other arguments than its text."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
