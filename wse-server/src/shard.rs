//! A shard: one thread with a current-thread runtime that owns its connections and their hub.
use crate::{
    auth::Auth,
    connection::{self, Connection},
    counters::Counters,
    host::{ConnectionId, SharedHost},
    hub::Hub,
    transport::{Prelude, Transport, over_stream},
};
use bytes::Bytes;
use std::{
    cell::RefCell,
    collections::HashMap,
    fmt, io,
    net::TcpStream,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
    time::timeout,
};
use wse_core::session::{Offer, Session, SessionConfig};
use wse_protocol::{CloseCode, Topic, WireError};
use wse_pubsub::{Bus, EventReceiver};

/// Bus events handled between two looks at the connections.
const EVENT_BATCH: usize = 256;

/// A connected stream whose handshake is done, or will be by the prelude's response.
pub(crate) enum Stream {
    /// A plain socket: served by the shard's own reactor.
    Tcp(TcpStream),
    /// Anything else: TLS, or a stream that another runtime drives.
    Other(Box<dyn AsyncStream>),
}

/// A byte stream in both directions.
pub trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncStream for S {}

/// What the other threads ask of a shard.
#[derive(Debug)]
pub(crate) enum Command {
    Adopt { id: ConnectionId, name: String, host: SharedHost, offer: Offer, stream: Stream, prelude: Prelude },
    Serve { id: ConnectionId, name: String, host: SharedHost, offer: Offer, transport: Transport },
    Welcome { id: ConnectionId, user: Option<String> },
    Refuse { id: ConnectionId, error: WireError },
    Reply { id: ConnectionId, cid: String, payload: Bytes },
    Fail { id: ConnectionId, error: WireError },
    Handled { id: ConnectionId, count: usize },
    Close { id: ConnectionId, code: CloseCode, reason: String },
    Topics { id: ConnectionId, answer: oneshot::Sender<Vec<Topic>> },
    Drain { limit: Duration, done: oneshot::Sender<()> },
}

/// What one shard's tasks share; never leaves its thread.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) hub: Hub,
    pub(crate) counters: Arc<Counters>,
    pub(crate) auth: Auth,
    config: SessionConfig,
    connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
}

impl Shard {
    pub(crate) fn new(config: SessionConfig, auth: Auth, bus: Arc<dyn Bus>, counters: Arc<Counters>) -> Rc<Self> {
        let hub = Hub::new(bus, counters.clone(), config.outbound_bytes / 2);
        Rc::new(Self { hub, counters, auth, config, connections: RefCell::default() })
    }

    /// Carries out commands and passes on bus events until the engine is dropped.
    pub(crate) async fn run(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<Command>, mut events: EventReceiver) {
        let mut batch = Vec::with_capacity(EVENT_BATCH);
        let mut bus_open = true;
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.carry_out(command),
                    None => return,
                },
                count = events.recv_many(&mut batch, EVENT_BATCH), if bus_open => {
                    bus_open = count > 0;
                    batch.drain(..).for_each(|event| self.hub.handle(event));
                    // Let the connections write before the next batch, so that one backlog does not become another.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn carry_out(self: &Rc<Self>, command: Command) {
        let now = Instant::now();
        match command {
            Command::Adopt { id, name, host, offer, stream, prelude } => self.adopt(id, name, host, offer, stream, prelude),
            Command::Serve { id, name, host, offer, transport } => self.serve(id, name, host, offer, transport),
            Command::Welcome { id, user } => self.with(id, |session| session.welcome(now, user)),
            Command::Refuse { id, error } => self.with(id, |session| session.refuse(now, &error)),
            Command::Reply { id, cid, payload } => self.with(id, |session| session.reply(&cid, &payload)),
            Command::Fail { id, error } => self.with(id, |session| session.fail(&error)),
            Command::Handled { id, count } => self.with(id, |session| session.handled(now, count)),
            Command::Close { id, code, reason } => self.with(id, |session| session.close(now, code, &reason)),
            Command::Topics { id, answer } => {
                let mut topics = Vec::new();
                self.with(id, |session| topics.extend(session.topics().cloned()));
                let _ = answer.send(topics);
            }
            Command::Drain { limit, done } => self.drain(limit, done),
        }
    }

    fn with(&self, id: ConnectionId, change: impl FnOnce(&mut Session)) {
        if let Some(connection) = self.connections.borrow().get(&id) {
            change(&mut connection.session());
            connection.wake();
        }
    }

    fn adopt(self: &Rc<Self>, id: ConnectionId, name: String, host: SharedHost, offer: Offer, stream: Stream, prelude: Prelude) {
        match self.transport(stream, prelude) {
            Ok(transport) => self.serve(id, name, host, offer, transport),
            Err(error) => {
                tracing::warn!(%error, "a socket could not be adopted");
                self.counters.connections.fetch_sub(1, Relaxed);
                host.closed(id, CloseCode::ABNORMAL, error.to_string(), false);
            }
        }
    }

    fn transport(&self, stream: Stream, prelude: Prelude) -> io::Result<Transport> {
        Ok(match stream {
            Stream::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                socket.set_nodelay(true)?;
                let (read, write) = tokio::net::TcpStream::from_std(socket)?.into_split();
                over_stream(read, write, prelude, self.config.message_bytes)
            }
            Stream::Other(stream) => {
                let (read, write) = tokio::io::split(stream);
                over_stream(read, write, prelude, self.config.message_bytes)
            }
        })
    }

    fn serve(self: &Rc<Self>, id: ConnectionId, name: String, host: SharedHost, offer: Offer, transport: Transport) {
        let session = Session::new(self.config.clone(), name, offer, Instant::now());
        let connection = Rc::new(Connection::new(id, session, host));
        self.connections.borrow_mut().insert(id, connection.clone());
        let shard = self.clone();
        tokio::task::spawn_local(async move {
            connection::run(shard.clone(), connection, transport).await;
            shard.connections.borrow_mut().remove(&id);
            shard.counters.connections.fetch_sub(1, Relaxed);
        });
    }

    /// Tells every client to return soon, and waits for them to go.
    fn drain(self: &Rc<Self>, limit: Duration, done: oneshot::Sender<()>) {
        let now = Instant::now();
        for connection in self.connections.borrow().values() {
            connection.session().close(now, CloseCode::RESTART, "the server restarts");
            connection.wake();
        }
        let shard = self.clone();
        tokio::task::spawn_local(async move {
            let _ = timeout(limit, shard.emptied()).await;
            let _ = done.send(());
        });
    }

    async fn emptied(&self) {
        while !self.connections.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(socket) => socket.fmt(f),
            Self::Other(_) => f.write_str("Stream::Other"),
        }
    }
}
