"""Settings: checked when made, and every error names the field and the fix."""

import dataclasses
import math
from typing import Any

import pytest
from wse_server import Publisher, SlowPolicy, Takeover, TopicPolicy, WSEConfig, WSEConfigError, _defaults


@pytest.mark.parametrize(
    ("field", "value", "fix"),
    [
        ("redis_url", "localhost:6379", "redis://localhost:6379"),
        ("redis_url", 6379, "leave"),
        ("redis_url", "http://x", "left out"),
        ("redis_prefix", "", "name"),
        ("redis_prefix", "a b", "name"),
        ("redis_prefix", None, "name"),
        ("auth_handler", "check", "function"),
        ("allowed_origins", "https://app.example.com", "['https://app.example.com']"),
        ("allowed_origins", ["app.example.com"], "https://app.example.com"),
        ("allowed_origins", ["https://app.example.com/"], "host and port only"),
        ("takeover", "sometimes", "'auto', 'always' or 'never'"),
        ("heartbeat", 0, "above 0"),
        ("heartbeat", "15", "seconds"),
        ("heartbeat", math.nan, "seconds"),
        ("idle_timeout", True, "seconds"),
        ("idle_timeout", 10, "more than heartbeat"),
        ("message_bytes", 1.5, "whole number"),
        ("subscriptions", -1, "above 0"),
        ("connections", 0, "above 0"),
        ("token_cookie", "a=b", "name"),
        ("token_query_parameter", 1, "name"),
        ("msgpack", 1, "True or False"),
        ("compression", "zlib", "True or False"),
        ("batch", None, "True or False"),
        ("compression_from", 0, "above 0"),
        ("compression_level", 10, "at most 9"),
        ("batch_messages", 0, "above 0"),
        ("batch_bytes", 1.0, "whole number"),
        ("messages_per_second", 0, "above 0"),
        ("messages_per_second", 2**32, "at most 4294967295"),
        ("message_burst", 2**32, "at most 4294967295"),
        ("bytes_per_second", "1M", "whole number"),
        ("rate_patience", -1, "seconds"),
        ("patterns", 0, "above 0"),
        ("pattern_topics", True, "whole number"),
        ("filter_limit", 0, "above 0"),
        ("shards", 65, "at most 64"),
        ("flush_interval", 1.5, "at most 1 s"),
        ("flush_interval", -1, "above 0"),
        ("history_compress_after", 0, "above 0"),
        ("breaker_failures", 2**32, "at most 4294967295"),
        ("breaker_cooldown", math.inf, "seconds"),
        ("redis_backoff_base", 0, "seconds"),
        ("redis_backoff_cap", 0.1, "redis_backoff_base (0.2 s)"),
        ("redis_reorder_messages", 0, "above 0"),
        ("idempotency_age", 0, "seconds"),
        ("idempotency_keys", 0, "above 0"),
        ("presence_grace", -1, "seconds"),
        ("presence_members", 0, "above 0"),
        ("topics", {"prices"}, "TopicPolicy"),
    ],
)
def test_a_wrong_value_names_its_field_and_the_fix(field: str, value: Any, fix: str) -> None:
    with pytest.raises(WSEConfigError) as raised:
        WSEConfig(**{field: value})
    assert raised.value.field == field
    assert str(raised.value).startswith(f"{field}: ")
    assert fix in str(raised.value) or value == 6379


@pytest.mark.parametrize(
    ("name", "policy", "fix"),
    [
        ("prices", "latest", "must be a TopicPolicy"),
        (7, TopicPolicy(), "must be a TopicPolicy(...) under a name"),
        ("a b", TopicPolicy(), "white space"),
        ("@user:1", TopicPolicy(), "@"),
        ("a:*:b", TopicPolicy(), "*"),
        ("prices", TopicPolicy(slow="newest"), "slow must be"),  # type: ignore[arg-type]
        ("prices", TopicPolicy(filter={"price": {"$near": 5}}), "filter refused at price.$near: there is no such operator here"),
        ("prices", TopicPolicy(presence="yes"), "presence must be True or False"),  # type: ignore[arg-type]
        ("prices", TopicPolicy(filter={"id": 2**53}), "beyond 2^53-1"),
        ("prices", TopicPolicy(filter=["price"]), "a filter is an object"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_policy_names_its_topic_and_the_fix(name: Any, policy: Any, fix: str) -> None:
    with pytest.raises(WSEConfigError) as raised:
        WSEConfig(topics={"fine": TopicPolicy(slow=SlowPolicy.LATEST, filter={"a": 1}), name: policy})
    assert raised.value.field == f'topics["{name}"]'
    assert fix in str(raised.value)


@pytest.mark.parametrize("name", ["prices", "orders:*", "orders:1", "*"])
def test_policies_are_for_topics_namespaces_and_all(name: str) -> None:
    assert WSEConfig(topics={name: TopicPolicy(slow=SlowPolicy.DISCONNECT)}).options()["topics"] == [(name, "disconnect", None, False)]


def test_an_unknown_setting_names_the_one_that_was_meant() -> None:
    with pytest.raises(WSEConfigError, match="redis_uri: no such setting; did you mean redis_url?"):
        WSEConfig(redis_uri="redis://x")  # type: ignore[call-arg]
    with pytest.raises(WSEConfigError, match="zzz: no such setting$"):
        WSEConfig(zzz=1)  # type: ignore[call-arg]


def test_defaults_are_those_of_the_one_table() -> None:
    config = WSEConfig()
    assert (config.heartbeat, config.idle_timeout, config.history_age) == (15, 90, 300)
    assert (config.message_bytes, config.subscriptions) == (_defaults.MESSAGE_BYTES, _defaults.SUBSCRIPTIONS)
    assert config.takeover is Takeover.AUTO
    names = ("compression_level", "batch_messages", "batch_bytes", "messages_per_second", "message_burst", "bytes_per_second", "patterns")
    assert all(getattr(config, name) == getattr(_defaults, name.upper()) for name in (*names, "pattern_topics", "filter_limit"))
    assert (config.rate_patience, config.history_compress_after, config.shards) == (30, 30, None)


def test_it_is_frozen_keyword_only_and_can_be_derived() -> None:
    config = WSEConfig(takeover="never")  # type: ignore[arg-type]
    assert config.takeover is Takeover.NEVER
    assert dataclasses.replace(config, heartbeat=1).options()["heartbeat"] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.heartbeat = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        WSEConfig("redis://x")  # type: ignore[misc]


def test_a_publisher_without_redis_says_what_it_needs() -> None:
    with pytest.raises(WSEConfigError, match="through Redis only"):
        Publisher(redis_url=None)  # type: ignore[arg-type]
