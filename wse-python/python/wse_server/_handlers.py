"""The application's functions: how they are registered, checked and called."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter, ValidationError

from .connection import Connection, Message
from .errors import WSEUsageError

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class InvalidPayload(Exception):
    """The client's payload does not fit the handler's type; the text names the field."""


class Handler:
    """A function registered with `on`: how many parameters it takes and what its payload must be."""

    def __init__(self, function: Callable[..., Any], idempotent: bool) -> None:
        self.idempotent = idempotent
        self._call = asynchronous(function)
        self._takes_message = arity(function, 2, "payload and message") == 2
        self._adapter = _payload_type(function)

    def call(self, payload: object, type: str, id: str | None, connection: Connection) -> Awaitable[Any]:
        """Validates and calls; `InvalidPayload` where the payload does not fit. A `Message` is made for those who take one."""
        if self._adapter is not None:
            payload = _validated(self._adapter, payload)
        return self._call(payload, Message(type, id, connection)) if self._takes_message else self._call(payload)


class Handlers:
    """All that one router's application has registered."""

    def __init__(self) -> None:
        self.types: dict[str, Handler] = {}
        self.connect: list[Callable[[Connection], Awaitable[Any]]] = []
        self.disconnect: list[Callable[[Connection, int, str], Awaitable[Any]]] = []

    def add(self, type: str, function: Callable[..., Any], idempotent: bool) -> None:
        """Registers the handler of a message type; one type has one."""
        if type in self.types:
            raise WSEUsageError(f"the message type {type!r} has a handler already; a type has one")
        self.types[type] = Handler(function, idempotent)

    def add_connect(self, function: Callable[..., Any]) -> None:
        """Registers a function of (connection)."""
        arity(function, 1, "connection")
        self.connect.append(asynchronous(function))

    def add_disconnect(self, function: Callable[..., Any]) -> None:
        """Registers a function of (connection, code, reason), or of the first of these."""
        taken = arity(function, 3, "connection, code and reason")
        call = asynchronous(function)

        async def shortened(*arguments: object) -> None:
            await call(*arguments[:taken])

        self.disconnect.append(shortened)


def asynchronous(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """A coroutine function as it is; a plain `def` runs in a thread, so that it cannot block the loop."""
    inner = function.func if isinstance(function, functools.partial) else function
    if inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None)):  # noqa: B004
        return function
    return functools.partial(asyncio.to_thread, function)


def arity(function: Callable[..., Any], most: int, names: str) -> int:
    """How many positional arguments the function takes, 1 to `most`."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return most
    taken = [p for p in parameters if p.kind in _POSITIONAL]
    required = [p for p in taken if p.default is p.empty]
    if not taken or len(required) > most:
        name = getattr(function, "__name__", repr(function))
        raise WSEUsageError(f"{name}: must take {names}{' or fewer' if most > 1 else ''}, but takes {len(required)} parameters")
    return min(len(taken), most)


def _payload_type(function: Callable[..., Any]) -> "TypeAdapter[Any] | None":
    """The validator of the first parameter's annotation; None without one."""
    first = next(iter(inspect.signature(function).parameters.values()))
    target = function.func if isinstance(function, functools.partial) else function
    if not inspect.isroutine(target):
        target = type(target).__call__
    annotation = get_type_hints(target, include_extras=True).get(first.name, Any)
    return None if annotation in (Any, object) else TypeAdapter(annotation)


def _validated(adapter: "TypeAdapter[Any]", payload: object) -> Any:
    try:
        return adapter.validate_python(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(["payload", *map(str, first["loc"])])
        raise InvalidPayload(f"{path}: {first['msg']}") from None
