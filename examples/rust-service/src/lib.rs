//! What the service does: one handler that echoes, one that publishes, one that fails.
use wse_protocol::{ErrorCode, Topic, Value, WireError, prelude::*};
use wse_server::{App, Engine, Message, NewMessage};

/// The handlers `echo` (replies with the payload), `publish` (to the topic `p.topic`, `p.count` times) and `fail`.
#[must_use]
pub fn app(engine: Engine) -> App {
    let publisher = engine.clone();
    App::new(engine)
        .on("echo", |message| async move { Ok(message.payload) })
        .on("publish", move |message| publish(publisher.clone(), message))
        .on("fail", |_| async { Err(WireError::new(ErrorCode::HandlerFailed, "it always does")) })
}

async fn publish(engine: Engine, message: Message) -> Result<Value, WireError> {
    let topic = Topic::parse(message.payload.get_str("topic").unwrap_or_default())?;
    let mut seq = 0;
    for n in 0..message.payload.get_u64("count").unwrap_or(1) {
        let text = format!("{{\"n\":{n}}}");
        let stored = engine.publish(&topic, NewMessage::new(text)).await;
        let receipt = stored.map_err(|error| WireError::new(ErrorCode::Unavailable, error.to_string()))?;
        seq = receipt.position.seq.number();
    }
    Ok(seq.into())
}
