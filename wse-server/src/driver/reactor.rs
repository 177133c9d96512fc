//! The sockets of a shard in one slab under one poller: no task, channel, timer or buffer for a connection that is idle.
use super::{
    peer::{Desk, Peer, Turn},
    timers::Timers,
};
use crate::{
    connection::{Connection, Dirty, Waker},
    host::SharedHost,
    shard::{NewConnection, Shard},
    transport::Prelude,
};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    cell::Cell,
    io,
    os::fd::{AsRawFd, RawFd},
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::io::unix::AsyncFd;
use wse_core::session::Session;

/// Bytes read at once; one buffer serves every socket of the shard.
const READ_BYTES: usize = 64 * 1024;
/// Sockets told of at once.
const EVENTS: usize = 1024;

/// A shard's sockets.
pub(crate) struct Reactor {
    poll: AsyncFd<Poller>,
    events: Events,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    dirty: Rc<Dirty>,
    /// Places that need a turn in this round.
    due: Vec<usize>,
    /// Places that want another turn although nothing is told of them.
    again: Vec<usize>,
    timers: Timers,
    desk: Desk,
}

/// mio's poller, itself waited for by the shard's runtime.
struct Poller(Poll);

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Reactor {
    /// An empty slab; call it within the shard's runtime.
    pub(crate) fn new() -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for a promise that holds here: the poller keeps its one descriptor while it lives"
        )]
        let poll = AsyncFd::with_interest(Poller(Poll::new()?), tokio::io::Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            peers: Vec::new(),
            free: Vec::new(),
            dirty: Rc::default(),
            due: Vec::new(),
            again: Vec::new(),
            timers: Timers::default(),
            desk: Desk { buffer: vec![0; READ_BYTES].into(), pieces: Vec::new() },
        })
    }

    /// Takes a socket in.
    pub(crate) fn adopt(&mut self, shard: &Rc<Shard>, new: NewConnection, socket: std::net::TcpStream, prelude: Prelude) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let mut socket = TcpStream::from_std(socket);
        let place = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        if let Err(error) = self.poll.get_ref().0.registry().register(&mut socket, Token(place), Interest::READABLE | Interest::WRITABLE) {
            self.free.push(place);
            return Err(error);
        }
        let NewConnection { id, name, host, offer } = new;
        let message_bytes = shard.config.message_bytes;
        let session = shard.session(name, offer);
        let connection = self.connection(place, id, session, host);
        shard.connections.borrow_mut().insert(id, connection.clone());
        self.peers[place] = Some(Peer::new(socket, connection, prelude, message_bytes));
        self.again.push(place);
        Ok(())
    }

    fn connection(&self, place: usize, id: crate::ConnectionId, session: Session, host: SharedHost) -> Rc<Connection> {
        let waker = Waker::Place { place, queued: Cell::new(false), dirty: self.dirty.clone() };
        Rc::new(Connection::new(id, session, host, waker))
    }

    /// Waits until a socket, a session or a deadline needs a turn. Cancel safe.
    pub(crate) async fn ready(&mut self) {
        if !self.again.is_empty() {
            return;
        }
        let due = self.timers.next();
        tokio::select! {
            readable = self.poll.readable() => {
                // Cleared before the poller is asked: what it is told of from here on counts again.
                if let Ok(mut readable) = readable {
                    readable.clear_ready();
                }
            }
            () = self.dirty.filled() => {}
            () = sleep_until(due) => {}
        }
    }

    /// Gives every socket its turn that needs one now.
    pub(crate) fn turn(&mut self, shard: &Rc<Shard>) {
        self.collect();
        let now = Instant::now();
        while let Some((place, entry)) = self.timers.pop(now) {
            if let Some(peer) = self.peers.get_mut(place).and_then(Option::as_mut)
                && peer.armed.take(entry)
            {
                peer.handle_timeout(now);
                self.due.push(place);
            }
        }
        self.flush(shard, now);
    }

    /// Gives those sockets their turn whose sessions were brought something.
    pub(crate) fn flush(&mut self, shard: &Rc<Shard>, now: Instant) {
        self.dirty.take(&mut self.due);
        let mut due = std::mem::take(&mut self.due);
        for place in due.drain(..) {
            self.turn_of(shard, place, now);
        }
        self.due = due;
    }

    fn turn_of(&mut self, shard: &Rc<Shard>, place: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(place).and_then(Option::as_mut) else { return };
        match peer.turn(shard, &mut self.desk, now) {
            Turn::Gone => return self.remove(shard, place),
            Turn::Again => self.again.push(place),
            Turn::Rests => {}
        }
        let due = peer.poll_timeout();
        self.timers.arm(place, &mut peer.armed, due);
    }

    fn collect(&mut self) {
        self.due.append(&mut self.again);
        let Self { poll, events, peers, due, .. } = self;
        loop {
            if poll.get_mut().0.poll(events, Some(Duration::ZERO)).is_err() {
                return;
            }
            for event in events.iter() {
                let place = event.token().0;
                if let Some(peer) = peers.get_mut(place).and_then(Option::as_mut) {
                    peer.is_ready(event.is_readable(), event.is_writable() || event.is_error(), event.is_read_closed() || event.is_error());
                    due.push(place);
                }
            }
            if events.iter().count() < EVENTS {
                return;
            }
        }
    }

    fn remove(&mut self, shard: &Rc<Shard>, place: usize) {
        let Some(mut peer) = self.peers.get_mut(place).and_then(Option::take) else { return };
        // It is closed with the socket in any case.
        let _ = self.poll.get_ref().0.registry().deregister(peer.socket());
        self.free.push(place);
        shard.connections.borrow_mut().remove(&peer.connection.id);
        shard.counters.connections.fetch_sub(1, Relaxed);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
