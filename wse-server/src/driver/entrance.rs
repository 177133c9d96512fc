//! A listening socket of the slab: takes in what waits, a burst at a time.
use super::{peer::Turn, socket::prepare};
use crate::listener::Door;
use mio::net::{TcpListener, TcpStream};
use std::{
    io::ErrorKind,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Sockets accepted in one turn, so that a rush leaves the others their share.
const BURST: usize = 64;
/// Sockets of an engine whose requests are waited for; what comes beyond them waits in the kernel's backlog.
const GUESTS: usize = 8192;
/// How long after a failed `accept` (no descriptors left, mostly), or a full house, the next is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener with its door.
#[derive(Debug)]
pub(super) struct Entrance {
    listener: TcpListener,
    pub(super) door: Arc<Door>,
    paused: Option<Instant>,
}

impl Entrance {
    pub(super) fn new(listener: TcpListener, door: Arc<Door>) -> Self {
        Self { listener, door, paused: None }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.paused
    }

    /// Accepts what waits into `out`.
    pub(super) fn turn(&mut self, out: &mut Vec<TcpStream>, now: Instant) -> Turn {
        if self.paused.is_some_and(|until| now < until) {
            return Turn::Rests;
        }
        self.paused = None;
        let room = GUESTS.saturating_sub(self.door.engine.counters().handshakes.load(Relaxed));
        if room == 0 {
            return self.pause(now);
        }
        for _ in 0..BURST.min(room) {
            match self.listener.accept() {
                // It fails on a socket that is gone already.
                Ok((socket, _)) => out.extend(prepare(&socket).is_ok().then_some(socket)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Rests,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    return self.pause(now);
                }
            }
        }
        Turn::Again
    }

    fn pause(&mut self, now: Instant) -> Turn {
        self.paused = Some(now + PAUSE);
        Turn::Rests
    }
}
