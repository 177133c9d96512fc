//! What the service does: one handler that echoes, one that publishes, one that fails; states of topics, messages to users, and who is in a room.
mod direct;
mod ending;
mod presence;
mod states;

pub use ending::ended;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;
use wse_core::{SlowPolicy, filter::Filter};
use wse_protocol::{ErrorCode, Priority, Topic, WireError};
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
        .on("fail", |_| async { Err::<(), _>(WireError::new(ErrorCode::HandlerFailed, "it always does")) })
        .on("letters", move |_| letters(keeper.clone()));
    presence::with_members(direct::with_users(states::with_states(app).expect("patterns")))
}

/// What `publish` is asked for: `count` messages to `topic`, numbered by `n`.
#[derive(Deserialize)]
struct Order {
    topic: String,
    #[serde(default = "one")]
    count: u64,
    /// In one call.
    #[serde(default)]
    many: bool,
    /// What each has beside its number.
    #[serde(default)]
    payload: Map<String, Value>,
    /// Bytes of padding.
    bytes: Option<usize>,
    /// Keys, in turn.
    keys: Option<u64>,
    /// Priorities, in turn.
    #[serde(default)]
    priorities: Vec<u8>,
    /// Seconds.
    ttl: Option<f64>,
    idempotency_key: Option<String>,
}

fn one() -> u64 {
    1
}

async fn publish(engine: Engine, message: Message) -> Result<u64, WireError> {
    let order: Order = message.payload.parse()?;
    let topic = Topic::parse(&order.topic)?;
    let messages = (0..order.count).map(|n| order.numbered(n));
    let mut seq = 0;
    if order.many {
        for outcome in engine.publish_many(messages.map(|message| (topic.clone(), message))).await {
            seq = outcome.map_err(unavailable)?.position.seq.number();
        }
    } else {
        for message in messages {
            seq = engine.publish(&topic, message).await.map_err(unavailable)?.position.seq.number();
        }
    }
    Ok(seq)
}

/// The type and the payload of each.
async fn letters(engine: Engine) -> Result<Vec<String>, WireError> {
    let letters = engine.dead_letters(1_000).await.map_err(unavailable)?;
    let text = |letter: &DeadLetter| format!("{} {}", letter.event_type, String::from_utf8_lossy(&letter.payload));
    Ok(letters.iter().map(text).collect())
}

fn unavailable(error: BusError) -> WireError {
    WireError::new(ErrorCode::Unavailable, error.to_string())
}

impl Order {
    fn numbered(&self, n: u64) -> NewMessage {
        let mut payload = self.payload.clone();
        payload.insert("n".into(), n.into());
        if let Some(bytes) = self.bytes {
            payload.insert("pad".into(), "x".repeat(bytes).into());
        }
        let turn = usize::try_from(n).unwrap_or(0).checked_rem(self.priorities.len());
        let priority = turn.and_then(|index| Priority::try_from(*self.priorities.get(index)?).ok());
        let mut message = NewMessage::new(Value::Object(payload).to_string());
        message.priority = priority.unwrap_or_default();
        message.key = self.keys.and_then(|keys| n.checked_rem(keys)).map(|key| format!("k{key}").into());
        message.ttl = self.ttl.map(Duration::from_secs_f64);
        message.idempotency_key = self.idempotency_key.as_deref().map(Into::into);
        message
    }
}
