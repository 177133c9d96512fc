//! The sockets of a shard in one slab under one poller: no task, channel, timer or buffer for a connection that is idle.
use super::{
    entrance::Entrance,
    guest::{Guest, Visit},
    peer::{Desk, Peer, Turn},
    socket::prepare,
    timers::{Armed, Timers},
};
use crate::{
    ConnectionId,
    connection::{Connection, Dirty, Waker},
    host::SharedHost,
    listener::{Door, Stray},
    shard::{NewConnection, Shard},
    transport::Prelude,
};
use mio::{
    Events, Interest, Poll, Token,
    event::{Event, Source},
    net::{TcpListener, TcpStream},
};
use std::{
    cell::Cell,
    io, mem,
    os::fd::{AsRawFd, RawFd},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::io::unix::AsyncFd;
use wse_core::{Chunk, session::Session};

/// Bytes read at once; one buffer serves every socket of the shard.
const READ_BYTES: usize = 64 * 1024;
/// Sockets told of at once.
const EVENTS: usize = 1024;

/// A shard's sockets.
pub(crate) struct Reactor {
    poll: AsyncFd<Poller>,
    events: Events,
    slots: Vec<Slot>,
    free: Vec<usize>,
    dirty: Rc<Dirty>,
    /// Places that need a turn in this round.
    due: Vec<usize>,
    /// Places that want another turn although nothing is told of them.
    again: Vec<usize>,
    timers: Timers,
    desk: Desk,
    /// Sockets that were just accepted.
    arrivals: Vec<TcpStream>,
}

/// A place of the slab. Its entry among the timers stays when its occupant goes: the next one has it, and needs none of its own.
#[derive(Default)]
struct Slot {
    occupant: Occupant,
    armed: Armed,
}

#[derive(Default)]
enum Occupant {
    #[default]
    Nobody,
    Entrance(Entrance),
    Guest(Guest),
    Peer(Peer),
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
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Rc::default(),
            due: Vec::new(),
            again: Vec::new(),
            timers: Timers::default(),
            desk: Desk { buffer: vec![0; READ_BYTES].into(), pieces: Vec::new() },
            arrivals: Vec::new(),
        })
    }

    /// Takes a socket in whose handshake is done.
    pub(crate) fn adopt(&mut self, shard: &Rc<Shard>, new: NewConnection, socket: std::net::TcpStream, prelude: Prelude) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        prepare(&socket)?;
        let mut socket = TcpStream::from_std(socket);
        let place = self.place(&mut socket, Interest::READABLE | Interest::WRITABLE)?;
        let peer = self.enter(shard, place, new, socket, prelude);
        self.occupy(place, Occupant::Peer(peer));
        self.again.push(place);
        Ok(())
    }

    /// Accepts on a socket from now on.
    pub(crate) fn listen(&mut self, listener: std::net::TcpListener, door: Arc<Door>) {
        let mut listener = TcpListener::from_std(listener);
        match self.place(&mut listener, Interest::READABLE) {
            Ok(place) => {
                self.occupy(place, Occupant::Entrance(Entrance::new(listener, door)));
                self.again.push(place);
            }
            Err(error) => tracing::error!(%error, "a listener could not be watched"),
        }
    }

    /// Closes a door, for those too that are still in it.
    pub(crate) fn unlisten(&mut self, door: u64) {
        for place in 0..self.slots.len() {
            let is_its = match &self.slots[place].occupant {
                Occupant::Entrance(entrance) => entrance.door.number == door,
                Occupant::Guest(guest) => guest.door().number == door,
                Occupant::Peer(_) | Occupant::Nobody => false,
            };
            if is_its {
                self.leave(place);
            }
        }
    }

    /// Takes a socket in whose request is still to come.
    pub(crate) fn receive(&mut self, id: ConnectionId, mut socket: TcpStream, door: Arc<Door>, now: Instant) {
        match self.place(&mut socket, Interest::READABLE | Interest::WRITABLE) {
            Ok(place) => {
                let guest = Guest::new(socket, id, door, now);
                self.timers.arm(place, &mut self.slots[place].armed, Some(guest.poll_timeout()));
                self.occupy(place, Occupant::Guest(guest));
            }
            Err(error) => tracing::warn!(%error, "a socket could not be watched"),
        }
    }

    /// A free place, at which the poller tells of a socket.
    fn place(&mut self, source: &mut impl Source, interest: Interest) -> io::Result<usize> {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let registered = self.poll.get_ref().0.registry().register(source, Token(place), interest);
        if registered.is_err() {
            self.free.push(place);
        }
        registered.map(|()| place)
    }

    fn occupy(&mut self, place: usize, occupant: Occupant) {
        self.slots[place].occupant = occupant;
    }

    /// Frees a place. Its socket leaves the poller as it is closed.
    fn leave(&mut self, place: usize) -> Occupant {
        self.free.push(place);
        mem::take(&mut self.slots[place].occupant)
    }

    /// Makes a connection of a socket.
    fn enter(&self, shard: &Rc<Shard>, place: usize, new: NewConnection, socket: TcpStream, prelude: Prelude) -> Peer {
        let NewConnection { id, name, host, offer } = new;
        let session = shard.session(name, offer);
        let connection = self.connection(place, id, session, host);
        shard.connections.borrow_mut().insert(id, connection.clone());
        Peer::new(socket, connection, prelude, shard.config.message_bytes)
    }

    fn connection(&self, place: usize, id: ConnectionId, session: Session, host: SharedHost) -> Rc<Connection> {
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
            let Some(slot) = self.slots.get_mut(place) else { continue };
            if slot.armed.take(entry) {
                if let Occupant::Peer(peer) = &mut slot.occupant {
                    peer.handle_timeout(now);
                }
                self.due.push(place);
            }
        }
        self.flush(shard, now);
    }

    /// Writes frames of a topic at once; false where they have to wait in the connection's session.
    pub(crate) fn write(&mut self, connection: &Connection, chunk: &Chunk, now: Instant) -> bool {
        let slot = connection.place().and_then(|place| self.slots.get_mut(place));
        match slot.map(|slot| &mut slot.occupant) {
            Some(Occupant::Peer(peer)) if peer.connection.id == connection.id => peer.write_at_once(chunk, now),
            _ => false,
        }
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
        let Some(slot) = self.slots.get_mut(place) else { return };
        let due = match &mut slot.occupant {
            Occupant::Nobody => None,
            Occupant::Peer(peer) => {
                match peer.turn(shard, &mut self.desk, now) {
                    Turn::Gone => return self.end(shard, place),
                    Turn::Again => self.again.push(place),
                    Turn::Rests => {}
                }
                peer.poll_timeout()
            }
            Occupant::Guest(guest) => {
                match guest.turn(&mut self.desk.buffer, now) {
                    Visit::Waits => {}
                    Visit::Again => self.again.push(place),
                    visit => return self.resolve(shard, place, visit, now),
                }
                Some(guest.poll_timeout())
            }
            Occupant::Entrance(entrance) => {
                if entrance.turn(&mut self.arrivals, now) == Turn::Again {
                    self.again.push(place);
                }
                let (door, due) = (entrance.door.clone(), entrance.poll_timeout());
                self.arrive(&door, now);
                due
            }
        };
        self.timers.arm(place, &mut self.slots[place].armed, due);
    }

    /// Seats what was accepted, each at the shard of its connection to be.
    fn arrive(&mut self, door: &Arc<Door>, now: Instant) {
        let mut arrivals = mem::take(&mut self.arrivals);
        for socket in arrivals.drain(..) {
            let id = door.engine.number();
            match door.engine.is_first_shards(id) {
                true => self.receive(id, socket, door.clone(), now),
                false => door.engine.pass_on(id, socket, door.clone()),
            }
        }
        self.arrivals = arrivals;
    }

    /// A guest's visit is over.
    fn resolve(&mut self, shard: &Rc<Shard>, place: usize, visit: Visit, now: Instant) {
        let Occupant::Guest(guest) = mem::take(&mut self.slots[place].occupant) else { return };
        match visit {
            Visit::Enters(offer, prelude) => {
                let (id, door) = (guest.id(), guest.door());
                let new = NewConnection { id, name: door.engine.count_in(id), host: door.host.clone(), offer };
                let (socket, readable, hung_up) = guest.leave();
                let peer = self.enter(shard, place, new, socket, prelude).with_reading(readable, hung_up);
                self.occupy(place, Occupant::Peer(peer));
                self.turn_of(shard, place, now);
            }
            Visit::Turned(read) => {
                self.free.push(place);
                let door = guest.door().clone();
                let (mut socket, ..) = guest.leave();
                match self.poll.get_ref().0.registry().deregister(&mut socket) {
                    Ok(()) => door.turn_away(Stray { socket: socket.into(), read }),
                    Err(error) => tracing::warn!(%error, "a socket could not leave the poller"),
                }
            }
            Visit::Gone | Visit::Waits | Visit::Again => self.free.push(place),
        }
    }

    fn collect(&mut self) {
        self.due.append(&mut self.again);
        let Self { poll, events, slots, due, .. } = self;
        loop {
            if poll.get_mut().0.poll(events, Some(Duration::ZERO)).is_err() {
                return;
            }
            for event in events.iter() {
                let place = event.token().0;
                let Some(slot) = slots.get_mut(place) else { continue };
                slot.is_ready(event);
                due.push(place);
            }
            if events.iter().count() < EVENTS {
                return;
            }
        }
    }

    fn end(&mut self, shard: &Rc<Shard>, place: usize) {
        if let Occupant::Peer(peer) = self.leave(place) {
            shard.connections.borrow_mut().remove(&peer.connection.id);
            shard.counters.connections.fetch_sub(1, Relaxed);
        }
    }
}

impl Slot {
    fn is_ready(&mut self, event: &Event) {
        let hung_up = event.is_read_closed() || event.is_error();
        match &mut self.occupant {
            Occupant::Peer(peer) => peer.is_ready(event.is_readable(), event.is_writable() || event.is_error(), hung_up),
            Occupant::Guest(guest) => guest.is_ready(event.is_readable(), hung_up),
            Occupant::Entrance(_) | Occupant::Nobody => {}
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
