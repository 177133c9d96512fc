//! The engine: one process's hub and connections behind a handle that any thread may use.
mod dead_letters;
mod direct;
#[cfg(unix)]
mod doors;
mod drain;
mod inspect;
mod presence;
mod publish;
mod threads;

pub use direct::SendError;
pub use inspect::Inspection;
pub use presence::{Presence, PresenceError};
pub use publish::Outcomes;

use crate::{
    EngineConfig,
    admission::{self, Admission, RequestHead},
    counters::Counters,
    health::Health,
    host::{ConnectionId, SharedHost},
    hub::Filters,
    policy::TopicScope,
    presence::Presences,
    shard::{AsyncStream, Command, Commands, Common, NewConnection, Stream},
    snapshot::{Sharing, Snapshots},
    transport::{Channel, Prelude},
    ws::handshake::{Key, raw_switching},
};
use bytes::Bytes;
use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{runtime, sync::oneshot};
use uuid::Uuid;
use wse_protocol::{CloseCode, ErrorCode, Followed, Format, Priority, Publication, Topic, UnixMillis, WireError};
use wse_pubsub::{Bus, BusError, Receipt};

/// A running engine; cheap to clone. It ends when the last handle is dropped, or by `stop`.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: EngineConfig,
    bus: Arc<dyn Bus>,
    /// One for each shard.
    shards: Vec<Handle>,
    counters: Arc<Counters>,
    snapshots: Arc<Snapshots>,
    presences: Arc<Presences>,
    draining: AtomicBool,
    next: AtomicU64,
    /// Makes connection ids of different processes differ.
    instance: u32,
    started: Instant,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration's or the network's fault.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The operating system's.
    #[error("the engine's thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread ended before it was ready: a bug.
    #[error("the engine's thread ended while it started")]
    Ended,
}

/// What to publish.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// How the payload is written.
    pub format: Format,
    /// The payload: the bytes of one value in `format`. The caller vouches for that.
    pub payload: Bytes,
    /// The event type; the topic where none is given.
    pub event_type: Option<Arc<str>>,
    /// The priority.
    pub priority: Priority,
    /// The key of the thing it is about.
    pub key: Option<Arc<str>>,
    /// How long it is worth delivering; none: as long as the log holds it. Judged when it is handed to a connection.
    pub ttl: Option<Duration>,
    /// Makes a retry the same message.
    pub idempotency_key: Option<String>,
}

impl NewMessage {
    /// A message of an event type, of normal priority, its payload in JSON.
    #[must_use]
    pub fn of_type(event_type: &str, payload: impl Into<Bytes>) -> Self {
        Self { event_type: Some(event_type.into()), ..Self::new(payload) }
    }

    /// A message of the topic's own type, of normal priority, its payload in JSON.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self {
            format: Format::Json,
            payload: payload.into(),
            event_type: None,
            priority: Priority::Normal,
            key: None,
            ttl: None,
            idempotency_key: None,
        }
    }
}

/// How other threads reach a shard.
#[derive(Debug, Clone)]
struct Handle {
    runtime: runtime::Handle,
    commands: Commands,
}

impl Engine {
    /// Starts the engine's thread and connects its bus. Blocks until both are done: call it outside of async code, or in
    /// `spawn_blocking`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: EngineConfig) -> Result<Self, StartError> {
        let counters = Arc::new(Counters::default());
        let snapshots = Snapshots::new(config.snapshots, counters.clone());
        let filters = Arc::new(Filters::new(config.filter_limit));
        let presences = Presences::new(&config, counters.clone());
        let common = Common { counters: counters.clone(), filters, snapshots: snapshots.clone(), presences: presences.clone() };
        let (bus, shards) = threads::start(&config, &common)?;
        let instance = Uuid::new_v4().as_fields().0;
        let (next, draining) = (AtomicU64::new(1), AtomicBool::new(false));
        let started = Instant::now();
        let engine = Self(Arc::new(Inner { config, bus, shards, counters, snapshots, presences, draining, next, instance, started }));
        engine.keep_members();
        Ok(engine)
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// Judges an upgrade request. While draining every request is refused with 503, and while a shard is behind: more than 64 MiB of
    /// answers and commands wait for it.
    #[must_use]
    pub fn admit(&self, head: RequestHead<'_>) -> Admission {
        self.serve();
        let mut admission = admission::admit(&self.0.config, head, self.0.counters.connections.load(Relaxed));
        admission.offer.outcomes = Some((self.0.bus.producers_epoch(), self.0.bus.outcome_limits().age));
        admission.offer.secret = direct::secret();
        let refused = if self.0.draining.load(Relaxed) {
            Some(WireError::new(ErrorCode::ServerRestart, "this server is shutting down; try again"))
        } else if self.0.shards.iter().any(|shard| shard.commands.is_full()) {
            self.0.counters.overloads.fetch_add(1, Relaxed);
            Some(WireError::new(ErrorCode::Unavailable, "this server is behind with its work; try again"))
        } else {
            None
        };
        admission.refusal = refused.map(|error| (http::StatusCode::SERVICE_UNAVAILABLE, error)).or(admission.refusal);
        admission
    }

    /// Serves a TCP socket. `answer` has the engine answer the upgrade itself; without it the 101 has been sent. `leftover`
    /// is what was read beyond the request.
    pub fn adopt(&self, host: SharedHost, admission: Admission, socket: TcpStream, leftover: Bytes, answer: Option<&Key>) -> ConnectionId {
        let response = answer.map(|key| raw_switching(key, admission.subprotocol).into()).unwrap_or_default();
        self.adopt_stream(host, admission, Stream::Tcp(socket), Prelude { response, leftover })
    }

    /// Serves any other stream, whose 101 has been sent: TLS, or one that another runtime drives.
    pub fn adopt_any(&self, host: SharedHost, admission: Admission, stream: impl AsyncStream, leftover: Bytes) -> ConnectionId {
        self.adopt_stream(host, admission, Stream::Other(Box::new(stream)), Prelude { response: Bytes::new(), leftover })
    }

    /// Serves a connection whose socket another server owns and frames.
    pub fn open_channel(&self, host: SharedHost, admission: Admission) -> (ConnectionId, Channel) {
        let id = self.number();
        let name = self.count_in(id);
        let (channel, transport) = Channel::open(id, host.clone(), self.0.config.session.message_bytes);
        let new = NewConnection { id, name, host, offer: admission.offer };
        self.command(id, Command::Serve { new, transport });
        (id, channel)
    }

    /// The id that the client was told for a connection.
    #[must_use]
    pub fn name_of(&self, id: ConnectionId) -> String {
        format!("{:08x}-{}", self.0.instance, id.0)
    }

    /// Stores a message and hands it to every subscriber. The receipt means: stored.
    ///
    /// # Errors
    /// [`BusError`]; on `Unavailable` a retry with the same idempotency key is safe.
    pub async fn publish(&self, topic: &Topic, message: NewMessage) -> Result<Receipt, BusError> {
        let (publication, key) = Self::publication(topic, message, now(), Uuid::now_v7());
        match self.0.bus.try_publish(topic, publication, key.as_deref()) {
            Ok(outcome) => outcome,
            Err(publication) => self.0.bus.publish(topic, publication, key.as_deref()).await,
        }
    }

    /// `publish` from any thread. The outcome is returned if nothing has to be waited for, and then `done` is dropped;
    /// otherwise `done` is called with it on the engine's thread.
    pub fn publish_or_spawn(
        &self,
        topic: &Topic,
        message: NewMessage,
        done: impl FnOnce(Result<Receipt, BusError>) + Send + 'static,
    ) -> Option<Result<Receipt, BusError>> {
        let (publication, key) = Self::publication(topic, message, now(), Uuid::now_v7());
        match self.0.bus.try_publish(topic, publication, key.as_deref()) {
            Ok(outcome) => Some(outcome),
            Err(publication) => {
                let (bus, topic) = (self.0.bus.clone(), topic.clone());
                self.0.shards[0].runtime.spawn(async move { done(bus.publish(&topic, publication, key.as_deref()).await) });
                None
            }
        }
    }

    /// Answers `Host::authenticate`: yes. `user` is the id that the client is told.
    pub fn welcome(&self, id: ConnectionId, user: Option<String>) {
        self.command(id, Command::Welcome { id, user });
    }

    /// Answers `Host::authenticate`: no, or not now.
    pub fn refuse(&self, id: ConnectionId, error: WireError) {
        self.command(id, Command::Refuse { id, error });
    }

    /// Answers a message; `payload` is the bytes of one value in `format`.
    pub fn reply(&self, id: ConnectionId, cid: &str, format: Format, payload: impl Into<Bytes>) {
        self.command(id, Command::Reply { id, cid: cid.into(), format, payload: payload.into() });
    }

    /// Tells the client of an error; the error's `cid` says which message it is about.
    pub fn fail(&self, id: ConnectionId, error: WireError) {
        self.command(id, Command::Fail { id, error });
    }

    /// A message with this `cid` was handed over and will not be handled: who wants to know of its effect may send it again.
    pub fn unhandled(&self, id: ConnectionId, cid: &str) {
        self.command(id, Command::Unhandled { id, cid: cid.into() });
    }

    /// So many messages of a connection are done with; the ones that are not hold back the reading of its socket.
    pub fn handled(&self, id: ConnectionId, count: usize) {
        self.command(id, Command::Handled { id, count });
    }

    /// Closes a connection after what is queued for it.
    pub fn close(&self, id: ConnectionId, code: CloseCode, reason: &str) {
        self.command(id, Command::Close { id, code, reason: reason.into() });
    }

    /// What a connection is subscribed to.
    pub async fn topics(&self, id: ConnectionId) -> Vec<Followed> {
        let (answer, topics) = oneshot::channel();
        self.command(id, Command::Topics { id, answer });
        topics.await.unwrap_or_default()
    }

    /// From now on the hosts have the state of these topics: `Host::snapshot` is called for those who subscribe. Of several scopes that
    /// hold for a topic the first counts; one that is known already is passed over.
    pub fn register_snapshot(&self, scope: TopicScope, sharing: Sharing) {
        self.0.snapshots.register(scope, sharing);
    }

    /// Closes the bus, after the last word of members. Connections end with the last handle.
    pub async fn close_bus(&self) {
        self.0.presences.settle().await;
        self.0.bus.close().await;
    }

    /// What it knows of its own state without asking its shards.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::read(&self.0.counters, self.0.bus.health(), self.0.started.elapsed(), self.0.draining.load(Relaxed))
    }

    /// The runtime of the engine's first thread, for waiting from another one.
    #[must_use]
    pub fn runtime(&self) -> &runtime::Handle {
        &self.0.shards[0].runtime
    }

    fn adopt_stream(&self, host: SharedHost, admission: Admission, stream: Stream, prelude: Prelude) -> ConnectionId {
        let id = self.number();
        let name = self.count_in(id);
        let new = NewConnection { id, name, host, offer: admission.offer };
        self.command(id, Command::Adopt { new, stream, prelude });
        id
    }

    /// A number for a connection, or for whatever else needs one of its own.
    pub(crate) fn number(&self) -> ConnectionId {
        ConnectionId(self.0.next.fetch_add(1, Relaxed))
    }

    /// Counts a connection in; returns the id that its client is told.
    pub(crate) fn count_in(&self, id: ConnectionId) -> String {
        self.0.counters.connections.fetch_add(1, Relaxed);
        self.0.counters.accepted.fetch_add(1, Relaxed);
        self.name_of(id)
    }

    /// Never waits; see [`Commands::send`] for a shard that is behind.
    fn command(&self, id: ConnectionId, command: Command) {
        self.0.shards[self.shard_of(id)].commands.send(command);
    }

    fn shard_of(&self, id: ConnectionId) -> usize {
        (id.0 % self.0.shards.len() as u64) as usize
    }

    fn publication(topic: &Topic, message: NewMessage, ts: UnixMillis, id: Uuid) -> (Publication, Option<String>) {
        let publication = Publication {
            id: (&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).into(),
            event_type: message.event_type.unwrap_or_else(|| topic.shared()),
            ts,
            expires: message.ttl.map(|ttl| UnixMillis(ts.0.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))),
            key: message.key,
            priority: message.priority,
            format: message.format,
            payload: message.payload,
        };
        (publication, message.idempotency_key)
    }
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(since.as_millis() as u64)
}
