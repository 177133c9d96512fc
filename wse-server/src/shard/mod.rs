//! A shard: one thread with a current-thread runtime that owns its connections and their hub.
mod command;
mod drain;
mod pace;
mod queue;
mod turns;

pub(crate) use command::{Command, NewConnection, Stream};
pub(crate) use drain::DrainPlan;
pub(crate) use queue::{CommandReceiver, Commands, WAITING_BYTES, commands};

use crate::{
    ConnectionId, EngineConfig, IdempotentTypes, Tally,
    auth::Auth,
    connection::{Connection, Waker},
    counters::Counters,
    driver::task,
    gate::Runs,
    host::SharedHost,
    hub::{Filters, Hub},
    presence::Presences,
    snapshot::Snapshots,
    transport::Transport,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use wse_core::{
    InflateLimits, Inflater, Prepared,
    session::{Offer, Session, SessionConfig},
};
use wse_protocol::{CloseCode, ErrorCode, WireError};
use wse_pubsub::{Bus, Consumer};

/// What a client is told whose commands had no room.
const BEHIND: &str = "the server is behind with its answers; try again";

/// A byte stream in both directions.
pub trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncStream for S {}

/// What all shards of an engine share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) counters: Arc<Counters>,
    pub(crate) filters: Arc<Filters>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) presences: Arc<Presences>,
}

/// What one shard's connections and tasks share; never leaves its thread.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) hub: Hub,
    pub(crate) counters: Arc<Counters>,
    pub(crate) auth: Auth,
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    /// One for all connections: a message is inflated whole.
    pub(crate) inflater: RefCell<Inflater>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) idempotent: IdempotentTypes,
    pub(crate) presences: Arc<Presences>,
    /// Messages whose effect the client wants to know, while a handler has them.
    pub(crate) runs: RefCell<Runs>,
    /// Whether a task says to the bus that this process lives.
    pub(crate) renewing: Cell<bool>,
    /// What connections that are gone have counted.
    pub(crate) gone: Cell<Tally>,
    /// Messages that come within it are written together.
    flush_interval: Duration,
    /// Whoever comes now is told to return soon.
    draining: Cell<bool>,
}

impl Shard {
    pub(crate) fn new(config: &EngineConfig, bus: Arc<dyn Bus>, consumer: Consumer, common: &Common) -> Rc<Self> {
        let limits = InflateLimits { bytes: config.session.message_bytes, ..InflateLimits::default() };
        Rc::new(Self {
            hub: Hub::new(config, bus.clone(), consumer, common),
            counters: common.counters.clone(),
            bus,
            idempotent: config.idempotent.clone(),
            presences: common.presences.clone(),
            runs: RefCell::default(),
            renewing: Cell::new(false),
            auth: Auth::new(config),
            config: Arc::new(config.session.clone()),
            connections: RefCell::default(),
            inflater: RefCell::new(Inflater::new(limits)),
            gone: Cell::default(),
            flush_interval: config.flush_interval,
            draining: Cell::new(false),
        })
    }

    /// A frame of a session's own as its peer agreed to have it.
    pub(crate) fn pack(&self, connection: &Connection, frame: Prepared) -> Prepared {
        self.hub.pack(connection.variant(), frame)
    }

    pub(crate) fn with(&self, id: ConnectionId, change: impl FnOnce(&mut Session)) {
        if let Some(connection) = self.connections.borrow().get(&id) {
            change(&mut connection.session());
            connection.wake();
        }
    }

    /// The session of a new connection. One that was let in before the shard began to drain gets its error and close at once.
    pub(crate) fn session(&self, name: String, mut offer: Offer) -> Session {
        if self.draining.get() {
            offer.refusal = Some(WireError::new(ErrorCode::ServerRestart, drain::RESTARTS));
        }
        Session::new(self.config.clone(), name, offer, Instant::now())
    }

    /// Serves a connection in a task of its own.
    pub(crate) fn serve(self: &Rc<Self>, new: NewConnection, transport: Transport) {
        let NewConnection { id, name, host, offer } = new;
        let session = self.session(name, offer);
        let connection = Rc::new(Connection::new(id, session, host, Waker::Task(Notify::new())));
        self.connections.borrow_mut().insert(id, connection.clone());
        let shard = self.clone();
        tokio::task::spawn_local(async move {
            task::run(shard.clone(), connection, transport).await;
            shard.connections.borrow_mut().remove(&id);
            shard.counters.connections.fetch_sub(1, Relaxed);
        });
    }

    fn tally(&self) -> Tally {
        let mut tally = self.gone.get();
        for connection in self.connections.borrow().values().filter(|connection| !connection.is_closing()) {
            tally.connection(&connection.session());
        }
        self.hub.tally(&mut tally, self.inflater.borrow().counts());
        tally
    }

    /// A stream could not be taken in.
    fn not_adopted(&self, id: ConnectionId, host: &SharedHost, error: &std::io::Error) {
        tracing::warn!(%error, "a socket could not be adopted");
        self.counters.connections.fetch_sub(1, Relaxed);
        host.closed(id, CloseCode::ABNORMAL, error.to_string(), false);
    }
}
