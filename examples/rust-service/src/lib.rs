//! What the service does: one handler that echoes, one that publishes, one that fails; states of topics, messages to users, and who is in a room.
mod direct;
mod ending;
mod presence;
mod states;

pub use ending::ended;
use std::time::Duration;
use wse_core::{SlowPolicy, filter::Filter};
use wse_protocol::{ErrorCode, Priority, Topic, Value, WireError, prelude::*};
use wse_pubsub::{BusError, DeadLetter};
use wse_server::{App, Engine, EngineConfig, Message, NewMessage, Policies, TopicPolicy, TopicScope};

/// Short times and small limits, so that what they do shows; and a policy for each thing that can become of slow readers.
///
/// # Panics
/// Never: the names and the filter are right.
#[must_use]
pub fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.session.heartbeat = Duration::from_secs(3);
    config.session.rate_patience = Duration::from_secs(4);
    config.filter_limit = 8;
    config.pattern_topics = 50;
    config.shards = 2;
    config.auth_required = direct::has_users();
    let policy = |slow| TopicPolicy { slow, ..TopicPolicy::default() };
    let forced = Filter::compile_json(br#"{"tenant":"a"}"#).expect("a filter");
    let rows = forced.clone();
    config.policies = Policies::default()
        .with(scope("tenant:*"), TopicPolicy { filter: Some(forced.into()), ..TopicPolicy::default() })
        .with(scope("rows:*"), TopicPolicy { filter: Some(rows.into()), ..TopicPolicy::default() })
        .with(scope("latest:*"), policy(SlowPolicy::Latest))
        .with(scope("low:*"), policy(SlowPolicy::DropLow))
        .with(scope("cut:*"), policy(SlowPolicy::Disconnect))
        .with(scope("room:*"), TopicPolicy { presence: true, ..TopicPolicy::default() });
    presence::with_short_times(&mut config);
    config
}

fn scope(name: &str) -> TopicScope {
    TopicScope::parse(name).expect("a pattern")
}

/// The handlers `echo` (replies with the payload), `publish`, `fail`, `letters` (what failed for those who wait to know), and `open`, which lets the snapshots of a topic go on.
///
/// # Panics
/// Never: the names are right.
#[must_use]
pub fn app(engine: Engine) -> App {
    let (publisher, keeper) = (engine.clone(), engine.clone());
    let app = App::new(engine)
        .on("echo", |message| async move { Ok(message.payload) })
        .on("publish", move |message| publish(publisher.clone(), message))
        .on("fail", |_| async { Err(WireError::new(ErrorCode::HandlerFailed, "it always does")) })
        .on("letters", move |_| letters(keeper.clone()));
    presence::with_members(direct::with_users(states::with_states(app).expect("patterns")))
}

/// `count` messages to `topic`, numbered by `n`; `bytes` of padding, `keys` and `priorities` in turn; `ttl` in seconds; `many`: in one call.
async fn publish(engine: Engine, message: Message) -> Result<Value, WireError> {
    let order = &message.payload;
    let topic = Topic::parse(order.get_str("topic").unwrap_or_default())?;
    let messages = (0..order.get_u64("count").unwrap_or(1)).map(|n| numbered(order, n));
    let mut seq = 0;
    if order.get_bool("many").unwrap_or(false) {
        for outcome in engine.publish_many(messages.map(|message| (topic.clone(), message))).await {
            seq = outcome.map_err(unavailable)?.position.seq.number();
        }
    } else {
        for message in messages {
            seq = engine.publish(&topic, message).await.map_err(unavailable)?.position.seq.number();
        }
    }
    Ok(seq.into())
}

/// The type and the payload of each.
async fn letters(engine: Engine) -> Result<Value, WireError> {
    let letters = engine.dead_letters(1_000).await.map_err(unavailable)?;
    let text = |letter: &DeadLetter| Value::from(format!("{} {}", letter.event_type, String::from_utf8_lossy(&letter.payload)));
    Ok(Value::Array(Box::new(letters.iter().map(text).collect())))
}

fn unavailable(error: BusError) -> WireError {
    WireError::new(ErrorCode::Unavailable, error.to_string())
}

fn numbered(order: &Value, n: u64) -> NewMessage {
    let mut payload = order.get("payload").cloned().unwrap_or_else(Value::object);
    let _ = payload.try_insert("n", n);
    if let Some(bytes) = order.get_usize("bytes") {
        let _ = payload.try_insert("pad", "x".repeat(bytes));
    }
    let priorities = order.get_array("priorities").map(Vec::as_slice).unwrap_or_default();
    let turn = |count: usize| usize::try_from(n).unwrap_or(0).checked_rem(count);
    let priority = turn(priorities.len()).and_then(|index| Priority::try_from(priorities.get(index)?.as_u8()?).ok());
    let mut message = NewMessage::new(payload.encode());
    message.priority = priority.unwrap_or_default();
    message.key = order.get_usize("keys").and_then(turn).map(|key| format!("k{key}").into());
    message.ttl = order.get("ttl").and_then(Value::cast_f64).map(Duration::from_secs_f64);
    message.idempotency_key = order.get_str("idempotency_key").map(Into::into);
    message
}
