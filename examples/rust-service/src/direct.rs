//! Messages to users and sessions. With `USERS` in the environment a client's token is the name of its user; without it everybody is anonymous.
use serde::Deserialize;
use wse_protocol::{ErrorCode, SessionId, WireError};
use wse_server::{App, Engine, Message, NewMessage};

pub(super) fn has_users() -> bool {
    std::env::var_os("USERS").is_some()
}

/// The handlers `session`, which tells a client its own, and `send`: `count` messages of `type` to a `user` or a `session`.
pub(super) fn with_users(app: App) -> App {
    let engine = app.engine().clone();
    let refused = || WireError::new(ErrorCode::AuthFailed, "say who you are");
    app.authenticate(move |token| async move { token.map(Some).ok_or_else(refused) })
        .on("session", |message| async move { Ok(message.session.map(|session| session.to_string())) })
        .on("send", move |message| send(engine.clone(), message))
}

/// What `send` is asked for.
#[derive(Deserialize)]
struct Letter {
    user: Option<String>,
    session: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    count: Option<u64>,
}

async fn send(engine: Engine, message: Message) -> Result<u64, WireError> {
    let letter: Letter = message.payload.parse()?;
    let session = letter.session.as_deref().and_then(SessionId::parse);
    let (user, event_type) = (letter.user.unwrap_or_default(), letter.event_type.unwrap_or("note".into()));
    let mut seq = 0;
    for n in 0..letter.count.unwrap_or(1) {
        let news = NewMessage::of_type(&event_type, format!(r#"{{"n":{n}}}"#));
        let receipt = match session {
            Some(session) => engine.send_to_session(&session, news).await.map_err(|error| error.to_string()),
            None => engine.send_to_user(&user, news).await.map_err(|error| error.to_string()),
        };
        seq = receipt.map_err(|error| WireError::new(ErrorCode::Unavailable, error))?.position.seq.number();
    }
    Ok(seq)
}
