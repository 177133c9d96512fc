//! Messages to users and sessions. With `USERS` in the environment a client's token is the name of its user; without it everybody is anonymous.
use wse_protocol::{ErrorCode, SessionId, Value, WireError, prelude::*};
use wse_server::{App, Engine, Message, NewMessage};

pub(super) fn has_users() -> bool {
    std::env::var_os("USERS").is_some()
}

/// The handlers `session`, which tells a client its own, and `send`: `count` messages of `type` to a `user` or a `session`.
pub(super) fn with_users(app: App) -> App {
    let engine = app.engine().clone();
    let refused = || WireError::new(ErrorCode::AuthFailed, "say who you are");
    app.authenticate(move |token| async move { token.map(Some).ok_or_else(refused) })
        .on("session", |message| async move { Ok(message.session.map_or(Value::from(()), |session| session.to_string().into())) })
        .on("send", move |message| send(engine.clone(), message))
}

async fn send(engine: Engine, message: Message) -> Result<Value, WireError> {
    let order = &message.payload;
    let session = order.get_str("session").and_then(SessionId::parse);
    let mut seq = 0;
    for n in 0..order.get_u64("count").unwrap_or(1) {
        let news = NewMessage::of_type(order.get_str("type").unwrap_or("note"), format!(r#"{{"n":{n}}}"#));
        let receipt = match session {
            Some(session) => engine.send_to_session(&session, news).await.map_err(|error| error.to_string()),
            None => engine.send_to_user(order.get_str("user").unwrap_or_default(), news).await.map_err(|error| error.to_string()),
        };
        seq = receipt.map_err(|error| WireError::new(ErrorCode::Unavailable, error))?.position.seq.number();
    }
    Ok(seq.into())
}
