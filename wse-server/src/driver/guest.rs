//! One socket of the slab whose request is not whole yet: it costs what it has sent of it, for no longer than a handshake may take.
use crate::{
    host::ConnectionId,
    listener::{Door, Judged},
    transport::Prelude,
};
use bytes::Bytes;
use mio::net::TcpStream;
use std::{
    io::{ErrorKind, Read},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};
use wse_core::session::Offer;

/// Bytes of a request that are waited for here; what is longer goes to the HTTP server, which has a limit of its own.
const REQUEST_BYTES: usize = 16 * 1024;

/// A socket with what it has sent.
#[derive(Debug)]
pub(super) struct Guest {
    socket: TcpStream,
    id: ConnectionId,
    seat: Seat,
    held: Vec<u8>,
    readable: bool,
    hung_up: bool,
    until: Instant,
}

/// What is to become of a guest.
#[derive(Debug)]
pub(super) enum Visit {
    Waits,
    /// There may be more that nothing will tell of.
    Again,
    /// It comes in.
    Enters(Offer, Prelude),
    /// Its request, or what there is of it, is not for the slab.
    Turned(Bytes),
    Gone,
}

impl Guest {
    /// A socket that was just accepted; `id` is its connection's, if it becomes one.
    pub(super) fn new(socket: TcpStream, id: ConnectionId, door: Arc<Door>, now: Instant) -> Self {
        let until = now + door.engine.config().session.handshake_timeout;
        // It has hardly sent anything yet, and that it has is told.
        Self { socket, id, seat: Seat::take(door), held: Vec::new(), readable: false, hung_up: false, until }
    }

    pub(super) fn door(&self) -> &Arc<Door> {
        &self.seat.0
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    pub(super) fn is_ready(&mut self, readable: bool, hung_up: bool) {
        self.hung_up |= hung_up;
        self.readable |= readable || hung_up;
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.until
    }

    pub(super) fn turn(&mut self, buffer: &mut [u8], now: Instant) -> Visit {
        if now >= self.until {
            return Visit::Gone;
        }
        if !self.readable {
            return Visit::Waits;
        }
        match self.socket.read(buffer) {
            Ok(0) => Visit::Gone,
            Ok(count) => {
                self.readable = count == buffer.len() || self.hung_up;
                self.handle(&buffer[..count])
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Visit::Waits
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Visit::Again,
            Err(_) => Visit::Gone,
        }
    }

    fn handle(&mut self, bytes: &[u8]) -> Visit {
        if self.held.is_empty() {
            let judged = self.seat.0.judge(bytes);
            if matches!(judged, Judged::Partial) {
                self.held.extend_from_slice(bytes);
            }
            return self.become_of(judged, bytes);
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        // A request that comes byte by byte is judged once, when its end is there.
        let judged = if has_end(&held, bytes.len()) { self.seat.0.judge(&held) } else { Judged::Partial };
        let visit = self.become_of(judged, &held);
        self.held = held;
        visit
    }

    fn become_of(&self, judged: Judged, bytes: &[u8]) -> Visit {
        match judged {
            Judged::Partial if bytes.len() < REQUEST_BYTES => {
                if self.readable {
                    Visit::Again
                } else {
                    Visit::Waits
                }
            }
            Judged::Partial | Judged::Other => Visit::Turned(Bytes::copy_from_slice(bytes)),
            Judged::Welcome { offer, response, used } => {
                let leftover = bytes.get(used..).map(Bytes::copy_from_slice).unwrap_or_default();
                Visit::Enters(offer, Prelude { response, leftover })
            }
        }
    }

    /// Its socket, whether there may be more to read of it that nothing will tell of, and whether its peer sends no more.
    pub(super) fn leave(self) -> (TcpStream, bool, bool) {
        (self.socket, self.readable, self.hung_up)
    }
}

/// A guest's place in the engine's count of them.
#[derive(Debug)]
struct Seat(Arc<Door>);

impl Seat {
    fn take(door: Arc<Door>) -> Self {
        door.engine.counters().handshakes.fetch_add(1, Relaxed);
        Self(door)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.engine.counters().handshakes.fetch_sub(1, Relaxed);
    }
}

/// Whether the end of a request's head is within the newest bytes, which are the last `newest`.
fn has_end(bytes: &[u8], newest: usize) -> bool {
    let from = bytes.len().saturating_sub(newest + 3);
    bytes.get(from..).is_some_and(|tail| tail.windows(2).any(|pair| pair == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_seen_wherever_it_is_cut() {
        for head in [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], b"GET / HTTP/1.1\nhost: a\n\n"] {
            for newest in 1..head.len() {
                assert!(has_end(head, newest), "{newest}");
                assert!(!has_end(&head[..head.len() - 1], newest), "{newest}");
            }
        }
    }
}
