//! One connection on its shard, whatever carries its frames: its session, who stands behind it, and what it follows.
use crate::{
    auth::Verdict,
    gate::{self, Gate},
    host::{ConnectionId, SharedHost},
    presence,
    shard::Shard,
};
use std::{
    cell::{Cell, RefCell, RefMut},
    collections::HashSet,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Context,
    time::{Instant, SystemTime},
};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use wse_core::{
    Variant,
    session::{Event, Session},
};
use wse_crypto::token::Identity;
use wse_protocol::{CloseCode, Pattern, Topic};

/// What the hub and commands reach a connection by. A borrow of the session never lives across an await.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    session: RefCell<Session>,
    waker: Waker,
    pub(crate) host: SharedHost,
    /// Topics that it is in, by name or by a pattern.
    pub(crate) topics: RefCell<HashSet<Topic>>,
    /// Patterns that it follows.
    pub(crate) patterns: RefCell<Vec<Pattern>>,
    /// Topics that wait for room to be fetched from their logs.
    pub(crate) behind: RefCell<Vec<Topic>>,
    /// Whether a task fetches them now.
    pub(crate) fetching: Cell<bool>,
    /// Whether births wait for room to be told of.
    pub(crate) births_wait: Cell<bool>,
    /// Held by who joins topics for it, where it follows patterns.
    turn: RefCell<Option<Arc<Mutex<()>>>>,
    /// Messages that wait behind one whose effect the client wants to know; none mostly.
    pub(crate) gate: RefCell<Option<Box<Gate>>>,
}

/// How the connection's driver is told to look at its session.
#[cfg_attr(not(unix), allow(dead_code, reason = "the slab is what uses it, and is of Unix only"))]
#[derive(Debug)]
pub(crate) enum Waker {
    /// It is a task of its own.
    Task(Notify),
    /// It has a place in the shard's slab.
    Place { place: usize, queued: Cell<bool>, dirty: Rc<Dirty> },
}

/// Places of the slab whose sessions have something to do.
#[cfg_attr(not(unix), allow(dead_code, reason = "the slab is what uses it, and is of Unix only"))]
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    places: RefCell<Vec<usize>>,
    filled: Notify,
}

#[cfg_attr(not(unix), allow(dead_code, reason = "the slab is what uses it, and is of Unix only"))]
impl Dirty {
    /// Moves the places into `out`.
    pub(crate) fn take(&self, out: &mut Vec<usize>) {
        out.append(&mut self.places.borrow_mut());
    }

    /// Waits until there is one. Cancel safe.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, session: Session, host: SharedHost, waker: Waker) -> Self {
        let (topics, patterns, behind) = (RefCell::default(), RefCell::default(), RefCell::default());
        let (fetching, births_wait, turn, gate) = (Cell::new(false), Cell::new(false), RefCell::default(), RefCell::default());
        Self { id, session: RefCell::new(session), waker, host, topics, patterns, behind, fetching, births_wait, turn, gate }
    }

    /// Waits until nobody else joins topics for it: requests and births come one after the other. Cancel safe.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        let turn = self.turn.borrow_mut().get_or_insert_default().clone();
        turn.lock_owned().await
    }

    pub(crate) fn session(&self) -> RefMut<'_, Session> {
        self.session.borrow_mut()
    }

    pub(crate) fn variant(&self) -> Variant {
        self.session.borrow().variant()
    }

    /// Has the driver look at the session again.
    pub(crate) fn wake(&self) {
        match &self.waker {
            Waker::Task(notify) => notify.notify_one(),
            Waker::Place { place, queued, dirty } => {
                if !queued.replace(true) {
                    let mut places = dirty.places.borrow_mut();
                    places.push(*place);
                    if places.len() == 1 {
                        dirty.filled.notify_one();
                    }
                }
            }
        }
    }

    /// Its place in the shard's slab, if it has one.
    #[cfg_attr(not(unix), allow(dead_code, reason = "the slab is what uses it, and is of Unix only"))]
    pub(crate) fn place(&self) -> Option<usize> {
        if let Waker::Place { place, .. } = &self.waker { Some(*place) } else { None }
    }

    /// The driver looks at it now: what comes from here on wakes it again.
    #[cfg_attr(not(unix), allow(dead_code, reason = "the slab is what uses it, and is of Unix only"))]
    pub(crate) fn looked_at(&self) {
        if let Waker::Place { queued, .. } = &self.waker {
            queued.set(false);
        }
    }

    /// Waits for `wake`; only for a task of its own. Cancel safe.
    pub(crate) async fn woken(&self) {
        match &self.waker {
            Waker::Task(notify) => notify.notified().await,
            Waker::Place { .. } => std::future::pending().await,
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.session.borrow().is_closing()
    }

    /// Whether topics wait for room, and there is some.
    pub(crate) fn wants_more(&self) -> bool {
        !self.fetching.get() && !self.behind.borrow().is_empty() && self.session.borrow().has_ample_room()
    }
}

/// How a connection ended, for its host.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
    pub(crate) opened: bool,
}

impl End {
    /// Told last, so that a host that frames by itself has had the close before it forgets the connection.
    pub(crate) fn tell(self, connection: &Connection) {
        connection.host.closed(connection.id, self.code, self.reason, self.opened);
    }
}

/// Carries out what the session asks for; returns the end, once it comes.
pub(crate) fn dispatch(shard: &Rc<Shard>, connection: &Rc<Connection>) -> Option<End> {
    let (mut identity, mut messages) = (None, Vec::new());
    let (host, id) = (&connection.host, connection.id);
    loop {
        let next = connection.session().poll_event();
        if let Some(Event::Message(envelope)) = next {
            if messages.is_empty() {
                messages.reserve(1 + connection.session().events_waiting());
            }
            messages.push(envelope);
            continue;
        }
        if !messages.is_empty() {
            shard.counters.messages.fetch_add(messages.len() as u64, Relaxed);
            gate::hand_over(shard, connection, std::mem::take(&mut messages));
        }
        match next? {
            Event::Authenticate { token } => identity = authenticate(shard, connection, token),
            Event::Opened => {
                let session = connection.session().session();
                host.opened(id, identity.take(), session);
            }
            Event::Direct { wanted, away } => join(shard, connection, |s, c| async move { s.hub.direct(&s, &c, wanted, away).await }),
            Event::Subscribe(wanted) => join(shard, connection, |s, c| async move { s.hub.subscribe(&s, &c, wanted).await }),
            Event::Unsubscribe(names) => shard.hub.unsubscribe(shard, connection, &names),
            Event::Snapshot { topics, cid } => shard.hub.snapshot(shard, connection, &topics, cid.as_deref()),
            Event::Heartbeat => shard.hub.tell_positions(connection),
            Event::Presence(change) => presence::change(shard, connection, *change),
            Event::Closed { code, reason, opened, for_good, .. } => {
                shard.hub.leave(connection);
                shard.presences.closed(id, for_good);
                let slow = u64::from(code == CloseCode::SLOW_CONSUMER);
                shard.counters.slow_consumers.fetch_add(slow, Relaxed);
                let mut gone = shard.gone.get();
                gone.closed(connection.session().shed(), code, &reason);
                shard.gone.set(gone);
                return Some(End { code, reason, opened });
            }
            _ => {}
        }
    }
}

/// Joins topics at once where the bus need not be waited for, so that the answer goes out with what is written now; otherwise in a task
/// of its own.
fn join<F: Future<Output = ()> + 'static>(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    join: impl FnOnce(Rc<Shard>, Rc<Connection>) -> F,
) {
    let mut joining = Box::pin(join(shard.clone(), connection.clone()));
    let mut context = Context::from_waker(std::task::Waker::noop());
    if joining.as_mut().poll(&mut context).is_pending() {
        let connection = connection.clone();
        tokio::task::spawn_local(async move {
            joining.await;
            connection.wake();
        });
    }
}

/// Has topics that fell behind fetched, and births told of, if the connection has room for them.
pub(crate) fn fetch_if_room(shard: &Rc<Shard>, connection: &Rc<Connection>) {
    if connection.births_wait.get() && connection.session().has_ample_room() {
        connection.births_wait.set(false);
        shard.hub.resume_births(shard, connection);
    }
    if connection.wants_more() && !connection.is_closing() {
        connection.fetching.set(true);
        let (shard, connection) = (shard.clone(), connection.clone());
        tokio::task::spawn_local(async move {
            shard.hub.fetch(&shard, &connection).await;
            connection.fetching.set(false);
            connection.wake();
        });
    }
}

/// Has the client judged. Whom the engine itself lets in is returned: `Event::Opened` is the next event then.
fn authenticate(shard: &Shard, connection: &Connection, token: Option<String>) -> Option<Identity> {
    match shard.auth.judge(token.as_deref(), SystemTime::now().into()) {
        Verdict::Welcome(identity) => {
            connection.session().welcome(Some(identity.user.clone()));
            return Some(identity);
        }
        Verdict::Ask(identity) => connection.host.authenticate(connection.id, token, identity),
        Verdict::Refuse(error) => connection.session().refuse(Instant::now(), &error),
    }
    None
}
