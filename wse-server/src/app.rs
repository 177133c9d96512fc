//! Handlers for a Rust service: an [`Engine`] with async functions behind it instead of another language.
use crate::{ConnectionId, Engine, Host, SharedHost};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;
use wse_crypto::token::Identity;
use wse_protocol::{CloseCode, ErrorCode, Format, Value, WireError, envelope::Envelope};

/// A message as a handler gets it.
#[derive(Debug, Clone)]
pub struct Message {
    /// The connection that it came from.
    pub connection: ConnectionId,
    /// Who that is, where an authenticator or a token said so.
    pub user: Option<String>,
    /// The event type.
    pub event_type: Box<str>,
    /// The message id, where the client gave one.
    pub id: Option<Box<str>>,
    /// The payload.
    pub payload: Value,
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, WireError>> + Send>>;
type Handler = Arc<dyn Fn(Message) -> Answer + Send + Sync>;
type Judgement = Pin<Box<dyn Future<Output = Result<Option<String>, WireError>> + Send>>;
type Authenticator = Arc<dyn Fn(Option<String>) -> Judgement + Send + Sync>;

/// Handlers by event type, and who may connect. Build it, then serve it with [`crate::listener`] or mount it in a router.
///
/// Messages of one connection are handled in order, one after the other; connections do not wait for one another.
#[derive(Clone)]
pub struct App {
    engine: Engine,
    handlers: HashMap<Box<str>, Handler>,
    authenticator: Option<Authenticator>,
}

impl App {
    /// An application without handlers.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self { engine, handlers: HashMap::new(), authenticator: None }
    }

    /// Handles messages of one type. What it returns is the reply; an error goes to the client with its code.
    #[must_use]
    pub fn on<F, R>(mut self, event_type: &str, handler: F) -> Self
    where
        F: Fn(Message) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, WireError>> + Send + 'static,
    {
        self.handlers.insert(event_type.into(), Arc::new(move |message| Box::pin(handler(message))));
        self
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
        Arc::new(AppHost { app: self.clone(), runtime: tokio::runtime::Handle::current(), open: Mutex::default() })
    }
}

/// A connection's work, in order: bounded by the session, which hands over `handler_queue` messages and then stops reading.
type Inbox = mpsc::UnboundedSender<Box<Envelope>>;

struct AppHost {
    app: App,
    runtime: tokio::runtime::Handle,
    open: Mutex<HashMap<ConnectionId, Inbox>>,
}

impl AppHost {
    fn open(&self) -> MutexGuard<'_, HashMap<ConnectionId, Inbox>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for AppHost {
    fn authenticate(&self, id: ConnectionId, token: Option<String>, identity: Option<Identity>) {
        let engine = self.app.engine.clone();
        let Some(judge) = self.app.authenticator.clone() else {
            return engine.refuse(id, WireError::new(ErrorCode::AuthUnavailable, "the service has no authenticator"));
        };
        let (inbox, work) = mpsc::unbounded_channel();
        self.open().insert(id, inbox);
        let app = self.app.clone();
        self.runtime.spawn(async move {
            match judge(token).await {
                Ok(user) => {
                    let user = user.or(identity.map(|identity| identity.user));
                    engine.welcome(id, user.clone());
                    handle_all(app, id, user, work).await;
                }
                Err(error) => engine.refuse(id, error),
            }
        });
    }

    fn opened(&self, id: ConnectionId, identity: Option<Identity>) {
        if let Entry::Vacant(place) = self.open().entry(id) {
            let (inbox, work) = mpsc::unbounded_channel();
            place.insert(inbox);
            self.runtime.spawn(handle_all(self.app.clone(), id, identity.map(|identity| identity.user), work));
        }
    }

    fn message(&self, id: ConnectionId, envelope: Box<Envelope>) {
        if let Some(inbox) = self.open().get(&id) {
            // Fails only when the service's runtime has ended, and the connection with it.
            let _ = inbox.send(envelope);
        }
    }

    fn closed(&self, id: ConnectionId, _code: CloseCode, _reason: String, _opened: bool) {
        self.open().remove(&id);
    }
}

async fn handle_all(app: App, id: ConnectionId, user: Option<String>, mut work: mpsc::UnboundedReceiver<Box<Envelope>>) {
    while let Some(envelope) = work.recv().await {
        let reference = envelope.reference();
        let answer = answer(&app, id, user.clone(), &envelope).await;
        match (answer, &envelope.cid) {
            (Ok(value), Some(cid)) => {
                app.engine.reply(id, cid, Format::Json, simd_json::to_vec(&value).unwrap_or_else(|_| b"null".to_vec()))
            }
            (Ok(_), None) => {}
            (Err(error), _) => app.engine.fail(id, error.answering(reference)),
        }
        app.engine.handled(id, 1);
    }
}

async fn answer(app: &App, connection: ConnectionId, user: Option<String>, envelope: &Envelope) -> Result<Value, WireError> {
    let Some(handler) = app.handlers.get(&envelope.event_type) else {
        return Err(WireError::new(ErrorCode::NoHandler, format!("this server has no handler for {:?}", envelope.event_type)));
    };
    let message =
        Message { connection, user, event_type: envelope.event_type.clone(), id: envelope.id.clone(), payload: envelope.payload.clone() };
    // A task of its own, so that a panic ends the message and not the connection's order.
    let outcome = tokio::spawn(handler(message)).await;
    outcome.unwrap_or_else(|_| Err(WireError::new(ErrorCode::HandlerFailed, "the handler failed; the server's log says why")))
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("engine", &self.engine).field("handlers", &self.handlers.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AppHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppHost").field("app", &self.app).finish_non_exhaustive()
    }
}
