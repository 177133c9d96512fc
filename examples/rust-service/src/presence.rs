//! Who is in the rooms. With `REDIS_URL` in the environment several processes are one service.
use std::time::Duration;
use wse_protocol::{ErrorCode, Payload, Topic, WireError};
use wse_pubsub::{MemoryConfig, PresenceLimits, RedisConfig};
use wse_server::{App, BusChoice, Engine, EngineConfig};

/// A room has 1,500 members at most, or as many as `ROOM` in the environment says; who is lost is seen to leave after a second, and the members of a process that died after two.
pub(super) fn with_short_times(config: &mut EngineConfig) {
    config.presence.grace = Duration::from_secs(1);
    config.session.presence_topics = 3;
    let members = std::env::var("ROOM").ok().and_then(|room| room.parse().ok()).unwrap_or(1500);
    let limits = PresenceLimits { members, lease: Duration::from_secs(2), ..PresenceLimits::default() };
    config.bus = match std::env::var("REDIS_URL") {
        Ok(url) => BusChoice::Redis(reordering(RedisConfig::new(url)).presence(limits)),
        Err(_) => BusChoice::Memory(MemoryConfig::default().presence(limits)),
    };
}

/// `REORDER` in the environment says how many messages, and how many bytes of them, are kept while what was missed before them is read.
fn reordering(config: RedisConfig) -> RedisConfig {
    let bounds = std::env::var("REORDER").unwrap_or_default();
    match bounds.split_once(' ').and_then(|(messages, bytes)| messages.parse().ok().zip(bytes.parse().ok())) {
        Some((messages, bytes)) => config.reorder(messages, bytes),
        None => config,
    }
}

/// The handlers `members`, which tells who is in a topic, and `count`.
pub(super) fn with_members(app: App) -> App {
    let (engine, counting) = (app.engine().clone(), app.engine().clone());
    app.on("members", move |message| members(engine.clone(), message.payload)).on("count", move |message| {
        let engine = counting.clone();
        async move { engine.presence_count(&topic(&message.payload)?).await.map_err(unavailable) }
    })
}

async fn members(engine: Engine, name: Payload) -> Result<Vec<String>, WireError> {
    let presence = engine.presence(&topic(&name)?).await.map_err(unavailable)?;
    Ok(presence.members.iter().map(|member| member.user.as_deref().unwrap_or_default().into()).collect())
}

fn topic(name: &Payload) -> Result<Topic, WireError> {
    Topic::parse(&name.parse::<String>()?)
}

fn unavailable(error: impl ToString) -> WireError {
    WireError::new(ErrorCode::Unavailable, error.to_string())
}
