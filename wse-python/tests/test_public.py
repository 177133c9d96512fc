"""What the package promises to those who import it."""

import ast
import dataclasses
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wse_server
from wse_server import errors

PACKAGE = Path(wse_server.__file__).parent
PROJECT = Path(__file__).parents[1]


def test_the_public_names() -> None:
    assert wse_server.__all__ == [
        "AuthResult", "CloseCode", "Connection", "DeadLetter", "DeadLetters", "ErrorCode", "Member", "Message", "Msgpack", "Presence", "Priority",
        "Publication",
        "Publisher", "Receipt", "SlowPolicy", "SnapshotProvider", "Takeover", "TopicPolicy", "WSEConfig",
        "WSEConfigError", "WSEDeadLetterError", "WSEError", "WSEForkError", "WSEPayloadError", "WSERouter", "WSEStartupError",
        "WSETopicError", "WSEUnavailable",
        "WSEUsageError", "__version__", "create_wse_router",
    ]  # fmt: skip
    assert all(hasattr(wse_server, name) for name in wse_server.__all__)
    assert (PACKAGE / "py.typed").exists()


SEND = "type, payload, *, priority=<Priority.NORMAL: 5>, ttl=None, idempotency_key=None)"
PUBLISH = "(self, topic, payload, *, type=None, priority=<Priority.NORMAL: 5>, key=None, ttl=None, idempotency_key=None)"


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (wse_server.WSERouter.publish, PUBLISH),
        (wse_server.WSERouter.publish_sync, PUBLISH),
        (wse_server.WSERouter.send_to_user, f"(self, user, {SEND}"),
        (wse_server.WSERouter.send_to_user_sync, f"(self, user, {SEND}"),
        (wse_server.WSERouter.send_to_session, f"(self, session, {SEND}"),
        (wse_server.WSERouter.send_to_session_sync, f"(self, session, {SEND}"),
        (wse_server.Publisher.send_to_user, f"(self, user, {SEND}"),
        (wse_server.WSERouter.publish_many, "(self, messages)"),
        (wse_server.Publication, "(topic, payload, type=None, priority=<Priority.NORMAL: 5>, key=None, idempotency_key=None, ttl=None)"),
        (wse_server.TopicPolicy, "(*, slow=<SlowPolicy.RECOVER: 'recover'>, filter=None, presence=False)"),
        (wse_server.Publisher.publish, PUBLISH),
        (wse_server.create_wse_router, "(config=None)"),
        (wse_server.WSERouter.on, "(self, type, idempotent=False)"),
        (wse_server.WSERouter.snapshot, "(self, pattern, shared=False)"),
        (wse_server.WSERouter.snapshot_provider, "(self, pattern, provider, shared=False)"),
        (wse_server.SnapshotProvider.get_snapshot, "(self, user_id, topics)"),
        (wse_server.WSERouter.presence, "(self, topic)"),
        (wse_server.WSERouter.presence_count, "(self, topic)"),
        (wse_server.Presence, "(count, members)"),
        (wse_server.Member, "(id, user, data)"),
        (wse_server.WSERouter.on_connect, "(self, function)"),
        (wse_server.WSERouter.on_disconnect, "(self, function)"),
        (wse_server.Publisher.__init__, "(self, *, redis_url, redis_prefix='wse')"),
        (wse_server.Connection.close, "(self, code=<CloseCode.NORMAL: 1000>, reason='')"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_the_public_signatures(function: Any, signature: str) -> None:
    whole = inspect.signature(function)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in whole.parameters.values()]
    assert str(inspect.Signature(bare)) == signature


def test_what_handlers_are_given() -> None:
    names = [name for name in dir(wse_server.Connection) if not name.startswith("_")]
    assert names == ["claims", "client", "close", "headers", "id", "session", "token", "topics", "user"]
    assert [field.name for field in dataclasses.fields(wse_server.Message)] == ["type", "id", "connection"]
    assert [name for name in dir(wse_server.Receipt) if not name.startswith("_")] == ["epoch", "id", "seq", "topic"]
    assert inspect.iscoroutinefunction(wse_server.WSERouter.publish) and not inspect.iscoroutinefunction(wse_server.WSERouter.publish_sync)


def test_every_exception_is_in_the_tree_and_public() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds <= set(wse_server.__all__)
    assert all(issubclass(getattr(errors, name), errors.WSEError) for name in kinds)
    assert all(name in (errors.__doc__ or "") for name in kinds)


@pytest.mark.parametrize(
    "error",
    [
        errors.WSEConfigError("heartbeat", "no"), errors.WSEForkError(7), errors.WSEPayloadError("payload.a", "no"),
        errors.WSETopicError("a b", "no", "INVALID_TOPIC"), errors.WSEDeadLetterError("x", "no"),
        errors.WSEUnavailable("no"), errors.WSEStartupError("no"), errors.WSEUsageError("no"),
    ],
)  # fmt: skip
def test_errors_survive_pickling(error: errors.WSEError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)


def test_fastapi_is_imported_in_the_router_only() -> None:
    for file in PACKAGE.glob("*.py"):
        roots = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(file.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert file.name == "router.py" or not roots & {"fastapi", "starlette"}, file


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "check",
    [
        ["mypy", "--config-file", "pyproject.toml"],
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy.stubtest", "wse_server._native", "--mypy-config-file", "pyproject.toml", "--allowlist", "tests/support/stubtest.txt"],
    ],
    ids=" ".join,
)
def test_static_checks_pass(check: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *check], cwd=PROJECT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
