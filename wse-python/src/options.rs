//! `WSEConfig.options()` as the engine's own settings.
use crate::convert::config_error;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyMapping, PyString},
};
use std::{sync::Arc, time::Duration};
use wse_core::log::LogLimits;
use wse_protocol::defaults;
use wse_pubsub::{MemoryConfig, RedisConfig};
use wse_server::{
    BusChoice, EngineConfig,
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

    fn count(&self, name: &str, target: &mut usize) -> PyResult<()> {
        if let Some(count) = self.given(name)? {
            *target = count;
        }
        Ok(())
    }
}

pub(crate) fn engine_config(options: &Bound<'_, PyDict>) -> PyResult<EngineConfig> {
    let options = Options(options);
    let mut config = EngineConfig::default();
    let session = &mut config.session;
    options.seconds("heartbeat", &mut session.heartbeat)?;
    options.seconds("idle_timeout", &mut session.idle_timeout)?;
    options.seconds("handshake_timeout", &mut session.handshake_timeout)?;
    options.seconds("auth_timeout", &mut session.auth_timeout)?;
    options.seconds("restart_retry", &mut session.restart_retry)?;
    options.count("message_bytes", &mut session.message_bytes)?;
    options.count("nesting_depth", &mut session.nesting_depth)?;
    options.count("subscriptions", &mut session.subscriptions)?;
    options.count("outbound_bytes", &mut session.outbound_bytes)?;
    options.count("handler_queue", &mut session.handler_queue)?;
    options.seconds("drain_timeout", &mut config.drain_timeout)?;
    config.auth_required = options.0.get_item("auth_handler")?.is_some_and(|handler| !handler.is_none());
    config.tokens = token_verifier(&options)?;
    config.allowed_origins = options.given("allowed_origins")?.unwrap_or_default();
    config.token_query_parameter = options.given("token_query_parameter")?;
    config.token_cookie = options.given("token_cookie")?;
    config.connections = options.given("connections")?;
    config.bus = bus_choice(&options)?;
    Ok(config)
}

fn bus_choice(options: &Options<'_, '_>) -> PyResult<BusChoice> {
    let mut limits = LogLimits::default();
    options.seconds("history_age", &mut limits.age)?;
    options.count("history_messages", &mut limits.messages)?;
    options.count("history_bytes", &mut limits.bytes)?;
    let (mut budget, mut handover) = (defaults::HISTORY_BUDGET_BYTES as usize, defaults::HANDOVER_BYTES as usize);
    options.count("history_budget_bytes", &mut budget)?;
    options.count("handover_bytes", &mut handover)?;
    let mut meta_age = Duration::from_millis(defaults::META_AGE_MS);
    options.seconds("meta_age", &mut meta_age)?;
    let Some(url) = options.given::<String>("redis_url")? else {
        let config = MemoryConfig::default().history(limits).budget_bytes(budget).meta_age(meta_age).handover_bytes(handover);
        return Ok(BusChoice::Memory(config));
    };
    let mut timeout = Duration::from_millis(defaults::PUBLISH_TIMEOUT_MS);
    options.seconds("publish_timeout", &mut timeout)?;
    let config = RedisConfig::new(url).history(limits).meta_age(meta_age).handover_bytes(handover).publish_timeout(timeout);
    Ok(BusChoice::Redis(match options.given::<String>("redis_prefix")? {
        Some(prefix) => config.namespace(prefix),
        None => config,
    }))
}

/// `check_tokens` of `_native.pyi`.
#[pyfunction]
pub(crate) fn check_tokens(options: &Bound<'_, PyDict>) -> PyResult<()> {
    token_verifier(&Options(options)).map(drop)
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
