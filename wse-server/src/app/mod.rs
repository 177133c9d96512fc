//! Handlers for a Rust service: an [`Engine`] with async functions behind it instead of another language.
mod host;
mod snapshot;

pub use snapshot::SnapshotRequest;

use crate::{ConnectionId, Engine, SharedHost, TopicScope};
use bytes::Bytes;
use host::AppHost;
use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};
use wse_protocol::{CompactString, ErrorCode, Format, IntoPayload, Payload, SessionId, WireError};

/// A message as a handler gets it.
#[derive(Debug, Clone)]
pub struct Message {
    /// The connection that it came from.
    pub connection: ConnectionId,
    /// Who that is, where an authenticator or a token said so.
    pub user: Option<Arc<str>>,
    /// What [`Engine::send_to_session`] reaches the client by, on this connection and those that resume it; none where it asked for none.
    pub session: Option<SessionId>,
    /// The event type.
    pub event_type: CompactString,
    /// The message id, where the client gave one.
    pub id: Option<Box<str>>,
    /// The payload: [`Payload::parse`] makes it a type of the service's, [`Payload::value`] a tree.
    pub payload: Payload,
}

/// What a client is told where the log says why.
const FAILED: &str = "the handler failed; the server's log says why";

/// What a handler returned, written; none where nobody waits for it.
type Outcome = Result<Option<(Format, Bytes)>, WireError>;
type Answer = Pin<Box<dyn Future<Output = Outcome> + Send>>;
/// With a message, and whether somebody waits for the reply.
type Handler = Arc<dyn Fn(Message, bool) -> Answer + Send + Sync>;
type Judgement = Pin<Box<dyn Future<Output = Result<Option<String>, WireError>> + Send>>;
type Authenticator = Arc<dyn Fn(Option<String>) -> Judgement + Send + Sync>;

/// Handlers by event type, and who may connect. Build it, then serve it with [`crate::listener`] or mount it in a router.
///
/// Messages of one connection are handled in order, one after the other; connections do not wait for one another.
#[derive(Clone)]
pub struct App {
    engine: Engine,
    /// Few, and looked up for every message: names are compared sooner than hashed.
    handlers: BTreeMap<String, Handler>,
    authenticator: Option<Authenticator>,
    snapshots: Vec<(TopicScope, snapshot::Provider)>,
}

impl App {
    /// An application without handlers.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self { engine, handlers: BTreeMap::new(), authenticator: None, snapshots: Vec::new() }
    }

    /// Handles messages of one type. What it returns is the reply, as serde writes it: `Ok(())` is null. An error goes to the client
    /// with its code. What JSON cannot have is `HANDLER_FAILED`, and the log says why.
    #[must_use]
    pub fn on<F, R, T>(mut self, event_type: &str, handler: F) -> Self
    where
        F: Fn(Message) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, WireError>> + Send + 'static,
        T: IntoPayload,
    {
        let handler = move |message, is_awaited| {
            let call = handler(message);
            Box::pin(async move {
                let value = call.await?;
                Ok(if is_awaited { Some(written(value, FAILED)?) } else { None })
            }) as Answer
        };
        self.handlers.insert(event_type.into(), Arc::new(handler));
        self
    }

    /// `on` for a handler that may run twice for a message: where it is not known whether it has run (a process died meanwhile), it
    /// runs again, and the client is not told `OUTCOME_UNKNOWN`.
    #[must_use]
    pub fn on_idempotent<F, R, T>(self, event_type: &str, handler: F) -> Self
    where
        F: Fn(Message) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, WireError>> + Send + 'static,
        T: IntoPayload,
    {
        self.engine.config().idempotent.insert(event_type);
        self.on(event_type, handler)
    }

    /// Judges each client's token: `Ok(Some(user id))`, or an error such as `AUTH_FAILED`. The engine's configuration must
    /// say `auth_required`. Where it also has `tokens`, only tokens that are valid come here, and `Ok(None)` leaves the user that the
    /// token names.
    #[must_use]
    pub fn authenticate<F, R>(mut self, judge: F) -> Self
    where
        F: Fn(Option<String>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Option<String>, WireError>> + Send + 'static,
    {
        self.authenticator = Some(Arc::new(move |token| Box::pin(judge(token))));
        self
    }

    /// Its engine, to publish from anywhere.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The host that connections are given; handlers run on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn host(&self) -> SharedHost {
        Arc::new(AppHost::new(self.clone()))
    }
}

/// What is sent of a value; `told` is all that the client hears of one that cannot be written.
fn written(value: impl IntoPayload, told: &str) -> Result<(Format, Bytes), WireError> {
    value.into_payload().map_err(|error| {
        tracing::error!(%error, "what the service returned cannot be written as JSON");
        WireError::new(ErrorCode::HandlerFailed, told)
    })
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("engine", &self.engine).field("handlers", &self.handlers.keys()).finish_non_exhaustive()
    }
}
