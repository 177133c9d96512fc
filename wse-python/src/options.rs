//! `WSEConfig.options()` as the engine's own settings.
use crate::convert::config_error;
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyDict, PyMapping, PyString},
};
use std::{sync::Arc, time::Duration};
use wse_core::{
    BreakerConfig, SlowPolicy, WireConfig,
    filter::{Filter, Payload, Scratch},
    log::LogLimits,
    session::SessionConfig,
};
use wse_protocol::defaults;
use wse_pubsub::{DeadLetterLimits, DirectLimits, MemoryConfig, OutcomeLimits, PresenceLimits, RedisConfig};
use wse_server::{
    BusChoice, EngineConfig, Policies, TopicPolicy, TopicScope,
    token::{Key, TokenConfig, TokenConfigError, TokenVerifier},
};

/// Reads typed settings and names the one that is wrong.
struct Options<'a, 'py>(&'a Bound<'py, PyDict>);

impl<'py> Options<'_, 'py> {
    fn given<T>(&self, name: &str) -> PyResult<Option<T>>
    where
        T: for<'a> FromPyObject<'a, 'py>,
    {
        let Some(value) = self.0.get_item(name)?.filter(|value| !value.is_none()) else { return Ok(None) };
        let shown = value.repr()?.to_string();
        let wrong = || config_error(self.0.py(), name, &format!("{shown} is not a value for it"));
        value.extract().map(Some).map_err(|_| wrong())
    }

    fn seconds(&self, name: &str, target: &mut Duration) -> PyResult<()> {
        if let Some(seconds) = self.given::<f64>(name)? {
            let wrong = |_| config_error(self.0.py(), name, "must be a number of seconds above 0");
            *target = Duration::try_from_secs_f64(seconds).map_err(wrong)?;
        }
        Ok(())
    }

    fn set<T>(&self, name: &str, target: &mut T) -> PyResult<()>
    where
        T: for<'a> FromPyObject<'a, 'py>,
    {
        if let Some(value) = self.given(name)? {
            *target = value;
        }
        Ok(())
    }
}

pub(crate) fn engine_config(options: &Bound<'_, PyDict>) -> PyResult<EngineConfig> {
    let options = Options(options);
    let mut config = EngineConfig::default();
    session(&options, &mut config.session)?;
    wire(&options, &mut config.wire)?;
    options.set("filter_limit", &mut config.filter_limit)?;
    options.set("pattern_topics", &mut config.pattern_topics)?;
    options.set("shards", &mut config.shards)?;
    options.seconds("flush_interval", &mut config.flush_interval)?;
    options.seconds("drain_window", &mut config.drain_window)?;
    options.seconds("drain_timeout", &mut config.drain_timeout)?;
    options.seconds("snapshot_timeout", &mut config.snapshots.timeout)?;
    options.set("snapshot_calls", &mut config.snapshots.calls)?;
    options.set("snapshot_pin_bytes", &mut config.snapshots.pin_bytes)?;
    options.seconds("presence_grace", &mut config.presence.grace)?;
    options.seconds("presence_interval", &mut config.presence.interval)?;
    config.policies = policies(&options)?;
    config.auth_required = options.0.get_item("auth_handler")?.is_some_and(|handler| !handler.is_none());
    config.tokens = token_verifier(&options)?;
    config.allowed_origins = options.given("allowed_origins")?.unwrap_or_default();
    config.token_query_parameter = options.given("token_query_parameter")?;
    config.token_cookie = options.given("token_cookie")?;
    config.connections = options.given("connections")?;
    config.bus = bus_choice(&options)?;
    Ok(config)
}

fn session(options: &Options<'_, '_>, session: &mut SessionConfig) -> PyResult<()> {
    options.seconds("heartbeat", &mut session.heartbeat)?;
    options.seconds("idle_timeout", &mut session.idle_timeout)?;
    options.seconds("handshake_timeout", &mut session.handshake_timeout)?;
    options.seconds("auth_timeout", &mut session.auth_timeout)?;
    options.seconds("restart_retry", &mut session.restart_retry)?;
    options.set("message_bytes", &mut session.message_bytes)?;
    options.set("subscriptions", &mut session.subscriptions)?;
    options.set("presence_topics", &mut session.presence_topics)?;
    options.set("presence_data_bytes", &mut session.presence_data_bytes)?;
    options.set("outbound_bytes", &mut session.outbound_bytes)?;
    options.set("handler_queue", &mut session.handler_queue)?;
    options.set("patterns", &mut session.patterns)?;
    options.set("msgpack", &mut session.capabilities.msgpack)?;
    options.set("compression", &mut session.capabilities.compression)?;
    options.set("batch", &mut session.capabilities.batch)?;
    session.messages_per_second = options.given("messages_per_second")?;
    options.set("message_burst", &mut session.message_burst)?;
    session.bytes_per_second = options.given("bytes_per_second")?;
    options.seconds("rate_patience", &mut session.rate_patience)
}

fn wire(options: &Options<'_, '_>, wire: &mut WireConfig) -> PyResult<()> {
    options.set("compression_from", &mut wire.compression.from_bytes)?;
    options.set("compression_level", &mut wire.compression.level)?;
    options.set("batch_messages", &mut wire.batches.messages)?;
    options.set("batch_bytes", &mut wire.batches.bytes)
}

/// `topics`: scope, what becomes of slow readers, the filter's JSON, and whether it has presence; the first that holds counts.
fn policies(options: &Options<'_, '_>) -> PyResult<Policies> {
    let topics: Vec<(String, String, Option<PyBackedBytes>, bool)> = options.given("topics")?.unwrap_or_default();
    topics.into_iter().try_fold(Policies::default(), |policies, (name, slow, filter, presence)| {
        let wrong = |text: &str| config_error(options.0.py(), &format!("topics[{name:?}]"), text);
        let scope = TopicScope::parse(&name).map_err(|error| wrong(&error.message))?;
        let slow = SlowPolicy::parse(&slow).ok_or_else(|| wrong("slow must be \"recover\", \"latest\", \"drop_low\" or \"disconnect\""))?;
        let filter = filter.map(|json| Filter::compile_json(&json).map(Arc::new)).transpose().map_err(|error| wrong(&error.to_string()))?;
        Ok(policies.with(scope, TopicPolicy { slow, presence, filter }))
    })
}

fn bus_choice(options: &Options<'_, '_>) -> PyResult<BusChoice> {
    let mut limits = LogLimits::default();
    options.seconds("history_age", &mut limits.age)?;
    options.set("history_messages", &mut limits.messages)?;
    options.set("history_bytes", &mut limits.bytes)?;
    // None is a choice here: never.
    let compress_after = options.given("history_compress_after")?.map_or(Ok(Duration::MAX), Duration::try_from_secs_f64);
    let wrong = |_| config_error(options.0.py(), "history_compress_after", "must be a number of seconds above 0, or None: never");
    let compress_after = compress_after.map_err(wrong)?;
    let (mut budget, mut handover) = (defaults::HISTORY_BUDGET_BYTES as usize, defaults::HANDOVER_BYTES as usize);
    options.set("history_budget_bytes", &mut budget)?;
    options.set("handover_bytes", &mut handover)?;
    let mut meta_age = Duration::from_millis(defaults::META_AGE_MS);
    options.seconds("meta_age", &mut meta_age)?;
    let (outcomes, dead_letters, direct) = (outcome_limits(options)?, dead_letter_limits(options)?, direct_limits(options)?);
    let presence = presence_limits(options)?;
    let (mut retry_age, mut retry_keys) = (Duration::from_millis(defaults::IDEMPOTENCY_AGE_MS), defaults::IDEMPOTENCY_KEYS as usize);
    options.seconds("idempotency_age", &mut retry_age)?;
    options.set("idempotency_keys", &mut retry_keys)?;
    let Some(url) = options.given::<String>("redis_url")? else {
        let config = MemoryConfig::default()
            .history(limits)
            .compress_after(compress_after)
            .budget_bytes(budget)
            .meta_age(meta_age)
            .handover_bytes(handover)
            .retry_age(retry_age)
            .retry_keys(retry_keys)
            .outcomes(outcomes)
            .dead_letters(dead_letters)
            .direct(direct)
            .presence(presence);
        return Ok(BusChoice::Memory(config));
    };
    let mut timeout = Duration::from_millis(defaults::PUBLISH_TIMEOUT_MS);
    options.seconds("publish_timeout", &mut timeout)?;
    let mut breaker = BreakerConfig::default();
    options.set("breaker_failures", &mut breaker.failures)?;
    options.seconds("breaker_cooldown", &mut breaker.cooldown)?;
    let config =
        RedisConfig::new(url).history(limits).meta_age(meta_age).handover_bytes(handover).publish_timeout(timeout).retry_age(retry_age);
    let config = config.outcomes(outcomes).dead_letters(dead_letters).direct(direct).presence(presence);
    let config = config.breaker_failures(breaker.failures).breaker_cooldown(breaker.cooldown);
    let [mut base, mut cap] = [defaults::BUS_BACKOFF_BASE_MS, defaults::BUS_BACKOFF_CAP_MS].map(Duration::from_millis);
    options.seconds("redis_backoff_base", &mut base)?;
    options.seconds("redis_backoff_cap", &mut cap)?;
    let [mut messages, mut bytes] = [defaults::BUS_REORDER_MESSAGES, defaults::BUS_REORDER_BYTES].map(|bound| bound as usize);
    options.set("redis_reorder_messages", &mut messages)?;
    options.set("redis_reorder_bytes", &mut bytes)?;
    let config = config.backoff(base, cap).reorder(messages, bytes);
    Ok(BusChoice::Redis(match options.given::<String>("redis_prefix")? {
        Some(prefix) => config.namespace(prefix),
        None => config,
    }))
}

/// `check_options` of `_native.pyi`.
#[pyfunction]
pub(crate) fn check_options(options: &Bound<'_, PyDict>) -> PyResult<()> {
    engine_config(options).map(drop)
}

/// `filter_matches` of `_native.pyi`.
#[pyfunction]
pub(crate) fn filter_matches(filter: &[u8], payload: &[u8]) -> PyResult<bool> {
    let filter = Filter::compile_json(filter).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let mut scratch = Scratch::default();
    Ok(Payload::parse(&mut scratch, payload).is_ok_and(|payload| filter.matches_parsed(&payload)))
}

fn outcome_limits(options: &Options<'_, '_>) -> PyResult<OutcomeLimits> {
    let mut limits = OutcomeLimits::default();
    options.seconds("outcome_age", &mut limits.age)?;
    options.seconds("outcome_lease", &mut limits.lease)?;
    options.set("outcome_messages", &mut limits.messages)?;
    options.set("outcome_bytes", &mut limits.bytes)?;
    options.set("outcome_reply_bytes", &mut limits.reply_bytes)?;
    options.set("outcome_producers", &mut limits.producers)?;
    options.set("outcome_budget_bytes", &mut limits.budget_bytes)?;
    Ok(limits)
}

fn dead_letter_limits(options: &Options<'_, '_>) -> PyResult<DeadLetterLimits> {
    let mut limits = DeadLetterLimits::default();
    options.set("dead_letters", &mut limits.letters)?;
    options.set("dead_letter_bytes", &mut limits.bytes)?;
    options.seconds("dead_letter_age", &mut limits.age)?;
    Ok(limits)
}

fn direct_limits(options: &Options<'_, '_>) -> PyResult<DirectLimits> {
    let mut limits = DirectLimits::default();
    options.seconds("direct_age", &mut limits.user.age)?;
    options.seconds("session_grace", &mut limits.session.age)?;
    options.set("direct_messages", &mut limits.user.messages)?;
    options.set("direct_bytes", &mut limits.user.bytes)?;
    options.set("direct_budget_bytes", &mut limits.budget_bytes)?;
    limits.session = LogLimits { age: limits.session.age, ..limits.user };
    Ok(limits)
}

fn presence_limits(options: &Options<'_, '_>) -> PyResult<PresenceLimits> {
    let mut limits = PresenceLimits::default();
    options.set("presence_members", &mut limits.members)?;
    options.seconds("presence_lease", &mut limits.lease)?;
    Ok(limits)
}

fn token_verifier(options: &Options<'_, '_>) -> PyResult<Option<Arc<TokenVerifier>>> {
    let py = options.0.py();
    let Some(key) = options.0.get_item("jwt_key")?.filter(|key| !key.is_none()) else { return Ok(None) };
    let mut config = keys(&key)?.into_iter().fold(TokenConfig::default(), TokenConfig::key);
    if let Some(names) = options.given::<Vec<String>>("jwt_algorithms")? {
        config = config.algorithms(names);
    }
    if let Some(issuer) = options.given::<String>("jwt_issuer")? {
        config = config.issuer(issuer);
    }
    if let Some(audience) = options.given::<String>("jwt_audience")? {
        config = config.audience(audience);
    }
    if let Some(claim) = options.given::<String>("jwt_user_claim")? {
        config = config.user_claim(claim);
    }
    if let Some(seconds) = options.given::<f64>("jwt_leeway")? {
        let wrong = |_| config_error(py, "jwt_leeway", "must be a number of seconds, 0 or more");
        config = config.leeway(Duration::try_from_secs_f64(seconds).map_err(wrong)?);
    }
    let named = |error: TokenConfigError| config_error(py, &format!("jwt_{}", error.setting()), &error.to_string());
    TokenVerifier::new(config).map(Arc::new).map(Some).map_err(named)
}

/// One key, or several by their ids; a wrong value is not shown, since it may be one.
fn keys(value: &Bound<'_, PyAny>) -> PyResult<Vec<Key>> {
    let wrong =
        || config_error(value.py(), "jwt_key", "must be a secret or a public key in PEM, as str or bytes, or a mapping of such by key id");
    let key = |value: &Bound<'_, PyAny>| match (value.cast::<PyString>(), value.cast::<PyBytes>()) {
        (Ok(text), _) => Ok(Key::detect(text.to_cow()?.as_bytes())),
        (_, Ok(bytes)) => Ok(Key::detect(bytes.as_bytes())),
        _ => Err(wrong()),
    };
    let Ok(mapping) = value.cast::<PyMapping>() else { return Ok(vec![key(value)?]) };
    let named = |item: Bound<'_, PyAny>| {
        let (id, value) = item.extract::<(String, Bound<'_, PyAny>)>().map_err(|_| wrong())?;
        Ok(key(&value)?.with_id(id))
    };
    mapping.items()?.iter().map(named).collect()
}
