//! One connection on its shard: the loop that joins a session with its transport, hub and host.
use crate::{
    auth::Verdict,
    host::{ConnectionId, SharedHost},
    shard::Shard,
    transport::{FromPeer, ToPeer, Transport},
};
use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    sync::Notify,
    time::{sleep_until, timeout},
};
use wse_core::session::{Event, Session, Transmit};
use wse_crypto::token::Identity;
use wse_protocol::CloseCode;

/// Where a loop with nothing due looks again.
const FAR: Duration = Duration::from_secs(3600);
/// How long a peer that reads nothing holds up the end of its connection.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// What the hub and commands reach a connection by. A borrow of the session never lives across an await.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    session: RefCell<Session>,
    wake: Notify,
    host: SharedHost,
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, session: Session, host: SharedHost) -> Self {
        Self { id, session: RefCell::new(session), wake: Notify::new(), host }
    }

    pub(crate) fn session(&self) -> RefMut<'_, Session> {
        self.session.borrow_mut()
    }

    /// Has the loop look at the session again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.session.borrow().is_closing()
    }
}

/// Runs a connection to its end.
pub(crate) async fn run(shard: Rc<Shard>, connection: Rc<Connection>, transport: Transport) {
    let Transport { mut from_peer, mut to_peer } = transport;
    let timer = sleep_until(tokio::time::Instant::now() + FAR);
    tokio::pin!(timer);
    let mut end = None;
    loop {
        end = end.or(dispatch(&shard, &connection));
        fill(&connection, &mut to_peer);
        if connection.session.borrow().is_closed() {
            let _ = timeout(LAST_FLUSH, to_peer.flush_all()).await;
            break;
        }
        let (reads, due) = {
            let session = connection.session.borrow();
            (session.reads(), session.poll_timeout())
        };
        timer.as_mut().reset(due.unwrap_or_else(|| Instant::now() + FAR).into());
        tokio::select! {
            biased;
            sent = to_peer.flush(), if to_peer.has_pending() => if let Err(error) = sent {
                connection.session().handle_lost(Instant::now(), None, &error.to_string());
                end = end.or(dispatch(&shard, &connection));
                break;
            },
            () = connection.wake.notified() => {}
            received = from_peer.recv(), if reads => handle(&connection, &mut to_peer, received),
            () = &mut timer => connection.session().handle_timeout(Instant::now()),
        }
    }
    // Told last, so that a host that frames by itself has had the close before it forgets the connection.
    if let Some(End { code, reason, opened }) = end {
        connection.host.closed(connection.id, code, reason, opened);
    }
    to_peer.end(from_peer).await;
}

/// How a connection ended, for its host.
struct End {
    code: CloseCode,
    reason: String,
    opened: bool,
}

/// Moves what waits into the transport, as far as it takes it.
fn fill(connection: &Connection, to_peer: &mut ToPeer) {
    let now = Instant::now();
    while to_peer.has_room() {
        match connection.session().poll_transmit(now) {
            Some(Transmit::Text(frame)) => to_peer.text(&frame),
            Some(Transmit::Close { code, reason }) => return to_peer.close(code, &reason),
            None => return,
        }
    }
}

fn handle(connection: &Connection, to_peer: &mut ToPeer, received: FromPeer) {
    let (mut session, now) = (connection.session(), Instant::now());
    match received {
        FromPeer::Text(mut text) => session.handle_text(now, &mut text),
        FromPeer::Binary(bytes) => session.handle_binary(now, &bytes),
        FromPeer::Ping(payload) => {
            session.handle_control(now);
            to_peer.pong(&payload);
        }
        FromPeer::Pong => session.handle_control(now),
        FromPeer::Close { code, reason } => session.handle_close(now, code, &reason),
        FromPeer::Fault { code, reason } => session.handle_lost(now, Some(code), &reason),
        FromPeer::Gone(reason) => session.handle_lost(now, None, &reason),
    }
}

/// Carries out what the session asks for; returns the end, once it comes.
fn dispatch(shard: &Rc<Shard>, connection: &Rc<Connection>) -> Option<End> {
    let mut identity = None;
    loop {
        let event = connection.session().poll_event()?;
        let (host, id) = (&connection.host, connection.id);
        match event {
            Event::Authenticate { token } => identity = authenticate(shard, connection, token),
            Event::Opened => host.opened(id, identity.take()),
            Event::Subscribe(wanted) => {
                let (shard, connection) = (shard.clone(), connection.clone());
                tokio::task::spawn_local(async move { shard.hub.subscribe(connection, wanted).await });
            }
            Event::Unsubscribe(topics) => shard.hub.unsubscribe(id, &topics),
            Event::Message(envelope) => {
                shard.counters.messages.fetch_add(1, Relaxed);
                host.message(id, envelope);
            }
            Event::Closed { code, reason, topics, opened } => {
                shard.hub.unsubscribe(id, &topics);
                let slow = u64::from(code == CloseCode::SLOW_CONSUMER);
                shard.counters.slow_consumers.fetch_add(slow, Relaxed);
                return Some(End { code, reason, opened });
            }
            _ => {}
        }
    }
}

/// Has the client judged. Whom the engine itself lets in is returned: `Event::Opened` is the next event then.
fn authenticate(shard: &Shard, connection: &Connection, token: Option<String>) -> Option<Identity> {
    let now = Instant::now();
    match shard.auth.judge(token.as_deref(), SystemTime::now().into()) {
        Verdict::Welcome(identity) => {
            connection.session().welcome(now, Some(identity.user.clone()));
            return Some(identity);
        }
        Verdict::Ask(identity) => connection.host.authenticate(connection.id, token, identity),
        Verdict::Refuse(error) => connection.session().refuse(now, &error),
    }
    None
}
