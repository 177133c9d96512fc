//! The host of an [`App`]: each connection's messages one after the other, in a task that exists only while there are any.
use super::{App, FAILED, Message};
use crate::{ConnectionId, Host, SnapshotCall};
use futures_util::FutureExt;
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use wse_crypto::token::Identity;
use wse_protocol::{CloseCode, ErrorCode, SessionId, WireError, envelope::Envelope};

/// Messages handled before the engine is told that they are.
const HANDLED_AT_ONCE: usize = 128;

pub(super) struct AppHost {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
}

struct Shared {
    app: App,
    open: Mutex<HashMap<ConnectionId, Inbox>>,
}

/// Messages to handle, and whose they are.
type Batch = (VecDeque<Box<Envelope>>, Sender);

/// The user and the session that messages are of.
type Sender = (Option<Arc<str>>, Option<SessionId>);

/// A connection's work, in order: bounded by the session, which hands over `handler_queue` messages and then stops reading.
#[derive(Default)]
struct Inbox {
    user: Option<Arc<str>>,
    session: Option<SessionId>,
    waiting: VecDeque<Box<Envelope>>,
    /// Whether a task works on it.
    busy: bool,
}

impl AppHost {
    /// On the current runtime.
    pub(super) fn new(app: App) -> Self {
        Self { shared: Arc::new(Shared { app, open: Mutex::default() }), runtime: tokio::runtime::Handle::current() }
    }
}

impl Host for AppHost {
    fn authenticate(&self, id: ConnectionId, token: Option<String>, identity: Option<Identity>) {
        let engine = self.shared.app.engine.clone();
        let Some(judge) = self.shared.app.authenticator.clone() else {
            return engine.refuse(id, WireError::new(ErrorCode::AuthUnavailable, "the service has no authenticator"));
        };
        // Entered now, so that it can be told from one that has gone while it was judged.
        self.shared.open().insert(id, Inbox::default());
        let shared = self.shared.clone();
        self.runtime.spawn(async move {
            match judge(token).await {
                Ok(user) => {
                    let user = user.or(identity.map(|identity| identity.user));
                    if let Some(inbox) = shared.open().get_mut(&id) {
                        inbox.user = user.as_deref().map(Arc::from);
                    }
                    engine.welcome(id, user);
                }
                Err(error) => engine.refuse(id, error),
            }
        });
    }

    fn opened(&self, id: ConnectionId, identity: Option<Identity>, session: Option<SessionId>) {
        let user = identity.map(|identity| identity.user.into());
        match self.shared.open().entry(id) {
            Entry::Occupied(mut inbox) => inbox.get_mut().session = session,
            Entry::Vacant(place) if user.is_some() || session.is_some() => drop(place.insert(Inbox { user, session, ..Inbox::default() })),
            Entry::Vacant(_) => {}
        }
    }

    fn messages(&self, id: ConnectionId, envelopes: Vec<Box<Envelope>>) {
        let idle = {
            let mut open = self.shared.open();
            let inbox = open.entry(id).or_default();
            inbox.waiting.extend(envelopes);
            !std::mem::replace(&mut inbox.busy, true)
        };
        if idle {
            self.runtime.spawn(self.shared.clone().work(id));
        }
    }

    fn snapshot(&self, call: SnapshotCall) {
        self.shared.app.answer(call, &self.runtime);
    }

    fn closed(&self, id: ConnectionId, _code: CloseCode, _reason: String, _opened: bool) {
        let dropped = self.shared.open().remove(&id).map(|inbox| inbox.waiting).unwrap_or_default();
        for cid in dropped.into_iter().filter_map(|envelope| envelope.cid) {
            self.shared.app.engine.unhandled(id, &cid);
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<ConnectionId, Inbox>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles what waits of a connection, until nothing does.
    async fn work(self: Arc<Self>, id: ConnectionId) {
        while let Some((batch, sender)) = self.next(id) {
            let mut handled = 0;
            for envelope in batch {
                self.handle(id, sender.clone(), envelope).await;
                handled += 1;
                if handled == HANDLED_AT_ONCE {
                    self.app.engine.handled(id, handled);
                    handled = 0;
                }
            }
            self.app.engine.handled(id, handled);
        }
    }

    fn next(&self, id: ConnectionId) -> Option<Batch> {
        let mut open = self.open();
        let inbox = open.get_mut(&id)?;
        inbox.busy = !inbox.waiting.is_empty();
        inbox.busy.then(|| (std::mem::take(&mut inbox.waiting), (inbox.user.clone(), inbox.session)))
    }

    async fn handle(&self, connection: ConnectionId, (user, session): Sender, envelope: Box<Envelope>) {
        let Envelope { event_type, id, cid, payload, .. } = *envelope;
        let engine = &self.app.engine;
        let Some(handler) = self.app.handlers.get(&*event_type) else {
            let error = WireError::new(ErrorCode::NoHandler, format!("this server has no handler for {event_type:?}"));
            return engine.fail(connection, error.answering(cid.or(id)));
        };
        // What an error refers to where the client waits for no answer.
        let named = if cid.is_none() { id.clone() } else { None };
        let call = handler(Message { connection, user, session, event_type, id, payload }, cid.is_some());
        // A panic ends the message and not the connection's order.
        let outcome = AssertUnwindSafe(call).catch_unwind().await;
        let failed = || WireError::new(ErrorCode::HandlerFailed, FAILED);
        match (outcome.unwrap_or_else(|_| Err(failed())), cid) {
            (Ok(Some((format, reply))), Some(cid)) => engine.reply(connection, &cid, format, reply),
            (Ok(_), _) => {}
            (Err(error), cid) => engine.fail(connection, error.answering(cid.or(named))),
        }
    }
}

impl fmt::Debug for AppHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppHost").field("app", &self.shared.app).finish_non_exhaustive()
    }
}
