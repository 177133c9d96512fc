"""What holds for topics by their names: what becomes of slow readers, what of a topic anybody may see, and who is in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from . import _payload
from .errors import WSEConfigError, WSEPayloadError


class SlowPolicy(StrEnum):
    """What becomes of a topic's messages that a client does not read in time. Whatever is left out, the client is told."""

    RECOVER = "recover"  # it catches up from the topic's history once it reads again; nothing is left out
    LATEST = "latest"  # only the newest of each `key` is kept, whatever the priorities
    DROP_LOW = "drop_low"  # the lowest priority goes first, CRITICAL never
    DISCONNECT = "disconnect"  # it is closed with 4001, and recovers when it returns


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPolicy:
    """What holds for the topics that `WSEConfig.topics` names it for."""

    slow: SlowPolicy = SlowPolicy.RECOVER
    """What becomes of messages that a client does not read in time."""
    filter: Mapping[str, Any] | None = None
    """Only payloads that pass reach any client, whatever it asks for; a client's own filter can only narrow it. Costs a pass over each payload."""

    presence: bool = False
    """Whether clients may enter the topic, and see who is in it: all who may subscribe to it."""


def options(topics: object) -> list[tuple[str, str, bytes | None, bool]]:
    """`WSEConfig.topics` as the engine takes it."""
    if not isinstance(topics, Mapping):
        raise WSEConfigError("topics", f"must map names, as 'prices', 'orders:*' or '*', to TopicPolicy(...), not {topics!r}")
    return [_option(name, policy) for name, policy in topics.items()]


def _option(name: object, policy: object) -> tuple[str, str, bytes | None, bool]:
    field = f'topics["{name}"]'
    if not isinstance(name, str) or not isinstance(policy, TopicPolicy):
        raise WSEConfigError(field, f"must be a TopicPolicy(...) under a name, not {policy!r}")
    if not isinstance(policy.presence, bool):
        raise WSEConfigError(field, f"presence must be True or False, not {policy.presence!r}")
    try:
        passes = None if policy.filter is None else _payload.encode(policy.filter)[0]
    except WSEPayloadError as error:
        raise WSEConfigError(field, f"filter: {error}") from None
    return name, str(policy.slow), passes, policy.presence
