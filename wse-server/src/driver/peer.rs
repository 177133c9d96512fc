//! One plain socket of the slab: what was read and not taken, what was taken and not written, and nothing while it is idle.
use crate::{
    connection::{Connection, End, dispatch, fetch_if_room},
    shard::Shard,
    transport::Prelude,
};
use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    rc::Rc,
    time::{Duration, Instant},
};
use wse_core::{
    Chunk,
    session::{Session, Transmit},
};
use wse_protocol::{
    CloseCode, frame,
    ws::{DecodeError, Decoder, Incoming, Limits},
};

/// Bytes taken from the session for one write.
const WRITE_BYTES: usize = 128 * 1024;
/// Pieces given to one write.
const WRITE_PIECES: usize = 64;
/// Reads of one socket in one turn, so that a flood leaves the others their share.
const READS: usize = 4;
/// Messages that a session gathers before they are handed on: many for one crossing, and few enough that their memory is used again.
const GATHERED: usize = 128;
/// How long a peer that reads nothing holds up the end of its connection.
const LAST_FLUSH: Duration = Duration::from_secs(2);
/// How long a closed peer may take to close its side.
const LINGER: Duration = Duration::from_secs(2);

/// A socket with its connection.
#[derive(Debug)]
pub(crate) struct Peer {
    socket: TcpStream,
    pub(super) connection: Rc<Connection>,
    decoder: Decoder,
    /// Read while the session did not take more; brought first the next time.
    held: Held,
    /// To be written before anything else: what earlier writes were cut short of.
    pending: Vec<Bytes>,
    /// Only the newest ping needs an answer (RFC 6455, 5.5.3), so this is all that pings can make us hold.
    pong: Option<Bytes>,
    readable: bool,
    writable: bool,
    /// The peer sends no more, or the socket failed: it stays readable, for its end to be read.
    hung_up: bool,
    end: Option<End>,
    stage: Stage,
}

/// Bytes of a read, of which the first are taken in portions without moving the others; empty, it has nothing on the heap.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    taken: usize,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn rest(&mut self) -> &mut [u8] {
        &mut self.bytes[self.taken..]
    }

    /// Only the last so many bytes are left.
    fn with_last(self, left: usize) -> Self {
        if left == 0 { Self::default() } else { Self { taken: self.bytes.len() - left, ..self } }
    }
}

impl From<&[u8]> for Held {
    fn from(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), taken: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The session is over, and its last frames may be written until then.
    Flushing(Instant),
    /// Our close is written; the peer may close its side until then. What it sends is discarded, lest a reset overtake our close.
    Lingering(Instant),
    Gone,
}

/// What every peer of a shard uses in its turn, and leaves empty.
#[derive(Debug)]
pub(super) struct Desk {
    /// What was read.
    pub(super) buffer: Box<[u8]>,
    /// What is to be written.
    pub(super) pieces: Vec<Bytes>,
}

/// Whether a peer needs another turn soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Rests,
    Again,
    Gone,
}

impl Peer {
    pub(super) fn new(socket: TcpStream, connection: Rc<Connection>, prelude: Prelude, message_bytes: usize) -> Self {
        let pending = if prelude.response.is_empty() { Vec::new() } else { vec![prelude.response] };
        Self {
            socket,
            connection,
            decoder: Decoder::new(Limits::default().message_bytes(message_bytes)),
            // Copied: it is a slice of the HTTP side's buffer, which would be kept with it.
            held: Held::from(&prelude.leftover[..]),
            pending,
            pong: None,
            readable: true,
            writable: true,
            hung_up: false,
            end: None,
            stage: Stage::Open,
        }
    }

    /// What is known of its socket already.
    pub(super) fn with_reading(mut self, readable: bool, hung_up: bool) -> Self {
        (self.readable, self.hung_up) = (readable || hung_up, hung_up);
        self
    }

    pub(super) fn is_ready(&mut self, readable: bool, writable: bool, hung_up: bool) {
        self.hung_up |= hung_up;
        self.readable |= readable || hung_up;
        self.writable |= writable;
    }

    /// Everything that can be done for it now: read, handle, write.
    pub(super) fn turn(&mut self, shard: &Rc<Shard>, desk: &mut Desk, now: Instant) -> Turn {
        self.connection.looked_at();
        if self.stage == Stage::Open {
            self.read(shard, &mut desk.buffer, now);
        }
        if let Stage::Open | Stage::Flushing(_) = self.stage {
            self.write(shard, &mut desk.pieces, now);
        }
        if let Stage::Lingering(_) = self.stage {
            self.discard(&mut desk.buffer);
        }
        match self.stage {
            Stage::Gone => Turn::Gone,
            _ if self.has_more() => Turn::Again,
            _ => Turn::Rests,
        }
    }

    /// Whether something may be read in another turn that nothing will tell of: more than its share, or what was left while the
    /// session had no room, which the writing has made.
    fn has_more(&self) -> bool {
        match self.stage {
            Stage::Open => self.end.is_none() && (self.readable || !self.held.is_empty()) && self.connection.session().reads(),
            Stage::Lingering(_) => self.readable,
            Stage::Flushing(_) | Stage::Gone => false,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.stage {
            Stage::Lingering(until) if now >= until => self.stage = Stage::Gone,
            Stage::Flushing(until) if now >= until => self.finish(now, false),
            Stage::Open if self.connection.session().poll_timeout().is_some_and(|due| due <= now) => {
                self.connection.session().handle_timeout(now);
            }
            _ => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Open => self.connection.session().poll_timeout(),
            Stage::Flushing(until) | Stage::Lingering(until) => Some(until),
            Stage::Gone => None,
        }
    }

    /// Reads while the session takes more, but no more than its share.
    fn read(&mut self, shard: &Rc<Shard>, buffer: &mut [u8], now: Instant) {
        if !self.held.is_empty() && self.connection.session().reads() {
            let mut held = std::mem::take(&mut self.held);
            let left = self.handle(shard, held.rest(), now);
            self.held = held.with_last(left);
        }
        for _ in 0..READS {
            if !self.readable || self.end.is_some() || !self.held.is_empty() || !self.connection.session().reads() {
                return;
            }
            match self.socket.read(buffer) {
                Ok(0) => self.lost(now, "the peer closed the connection without a close frame"),
                Ok(count) => {
                    // A short read has emptied the socket; what comes later is told of again, but not an end that was told with it.
                    self.readable = count == buffer.len() || self.hung_up;
                    let left = self.handle(shard, &mut buffer[..count], now);
                    self.held = Held::from(&buffer[count - left..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.lost(now, &error.kind().to_string()),
            }
            self.end_if_any(shard);
        }
    }

    /// Has the session handle whole messages, as far as it takes them; returns how many bytes are left, to be held.
    fn handle(&mut self, shard: &Rc<Shard>, bytes: &mut [u8], now: Instant) -> usize {
        let mut input = bytes;
        loop {
            let outcome = match self.decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(incoming)) => take(shard, &mut self.connection.session(), &mut self.pong, incoming, now),
                Err(error) => fault(&mut self.connection.session(), error, now),
            };
            if !outcome || !self.connection.session().reads() {
                break;
            }
            if self.connection.session().events_waiting() >= GATHERED {
                self.end_if_any(shard);
            }
        }
        let left = input.len();
        self.end_if_any(shard);
        left
    }

    fn lost(&mut self, now: Instant, reason: &str) {
        self.readable = false;
        self.connection.session().handle_lost(now, None, reason);
    }

    fn end_if_any(&mut self, shard: &Rc<Shard>) {
        if let Some(end) = dispatch(shard, &self.connection) {
            self.end = Some(end);
        }
    }

    /// Writes until nothing waits or the socket is full; then goes on with what the end needs.
    fn write(&mut self, shard: &Rc<Shard>, pieces: &mut Vec<Bytes>, now: Instant) {
        self.end_if_any(shard);
        pieces.extend(std::mem::take(&mut self.pending));
        while self.writable {
            self.fill(shard, pieces, now);
            if pieces.is_empty() {
                break;
            }
            if let Err(error) = self.write_some(pieces) {
                self.lost(now, &error.kind().to_string());
                self.end_if_any(shard);
                break;
            }
        }
        if !pieces.is_empty() {
            // What is left keeps the memory; the next turn begins with none.
            self.pending = std::mem::take(pieces);
        }
        let is_closed = self.connection.session().is_closed();
        match self.stage {
            _ if is_closed && (self.pending.is_empty() || self.is_lost()) => self.finish(now, !self.is_lost()),
            Stage::Open if is_closed => self.stage = Stage::Flushing(now + LAST_FLUSH),
            _ => fetch_if_room(shard, &self.connection),
        }
    }

    /// Writes frames of a topic past the session, where nothing goes before them: what most of a fan-out is. False where they are for
    /// the session: to wait in it, or because it has ended with the socket.
    pub(super) fn write_at_once(&mut self, chunk: &Chunk, now: Instant) -> bool {
        let is_free = self.stage == Stage::Open && self.writable && self.pending.is_empty() && self.pong.is_none() && self.end.is_none();
        if !is_free || !self.connection.session().has_sent_all() {
            return false;
        }
        match self.socket.write(chunk.as_bytes()) {
            Ok(count) => {
                if count < chunk.len() {
                    self.writable = false;
                    self.pending = vec![chunk.framed().split_off(count)];
                }
                return true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => self.lost(now, &error.kind().to_string()),
        }
        false
    }

    /// Takes from the session what one write may carry.
    fn fill(&mut self, shard: &Shard, pieces: &mut Vec<Bytes>, now: Instant) {
        let mut bytes: usize = pieces.iter().map(Bytes::len).sum();
        // Before the rest, whatever is left of earlier writes: a peer that reads slowly has its pong all the same.
        if bytes < WRITE_BYTES
            && pieces.len() < WRITE_PIECES
            && let Some(pong) = self.pong.take()
        {
            bytes += pong.len();
            pieces.push(pong);
        }
        let mut session = self.connection.session();
        while bytes < WRITE_BYTES && pieces.len() < WRITE_PIECES {
            let piece = match session.poll_transmit(now) {
                Some(Transmit::Topic(chunk)) => chunk.framed(),
                Some(Transmit::Plain(plain)) => plain.framed().clone(),
                Some(Transmit::Own(own)) => shard.hub.pack(session.variant(), own).framed().clone(),
                Some(Transmit::Close { code: Some(code), reason }) => frame::close(code.number(), &reason),
                Some(Transmit::Close { code: None, .. }) => frame::close_without_code(),
                None => return,
            };
            bytes += piece.len();
            pieces.push(piece);
        }
    }

    fn write_some(&mut self, pieces: &mut Vec<Bytes>) -> io::Result<()> {
        let written = match &pieces[..] {
            [single] => self.socket.write(single),
            many => {
                let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
                let count = many.len().min(WRITE_PIECES);
                many.iter().zip(&mut slices).for_each(|(piece, slice)| *slice = IoSlice::new(piece));
                self.socket.write_vectored(&slices[..count])
            }
        };
        match written {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                // A short write has filled the socket; that it has room again is told.
                self.writable = advance(pieces, count);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn is_lost(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.code == CloseCode::ABNORMAL)
    }

    /// Our last frame is written, or never will be.
    fn finish(&mut self, now: Instant, written: bool) {
        if let Some(end) = self.end.take() {
            end.tell(&self.connection);
        }
        let half_closed = written && self.socket.shutdown(std::net::Shutdown::Write).is_ok();
        self.pending = Vec::new();
        self.held = Held::default();
        self.readable = true;
        self.stage = if half_closed { Stage::Lingering(now + LINGER) } else { Stage::Gone };
    }

    fn discard(&mut self, buffer: &mut [u8]) {
        for _ in 0..READS {
            if !self.readable || self.stage == Stage::Gone {
                return;
            }
            match self.socket.read(buffer) {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Ok(_) | Err(_) => self.stage = Stage::Gone,
            }
        }
    }
}

/// Takes away what was written; true if that is all.
fn advance(pieces: &mut Vec<Bytes>, mut count: usize) -> bool {
    let whole = pieces.iter().take_while(|piece| {
        let fits = piece.len() <= count;
        count -= if fits { piece.len() } else { 0 };
        fits
    });
    let whole = whole.count();
    pieces.drain(..whole);
    if let Some(first) = pieces.first_mut() {
        first.advance(count);
    }
    pieces.is_empty()
}

/// Hands one message to the session; false after the last.
fn take(shard: &Shard, session: &mut Session, pong: &mut Option<Bytes>, incoming: Incoming<'_>, now: Instant) -> bool {
    match incoming {
        Incoming::Text(text) => session.handle_text(now, text),
        Incoming::Binary(bytes) => session.handle_binary(now, bytes, &mut shard.inflater.borrow_mut()),
        Incoming::Ping(payload) => {
            session.handle_control(now);
            *pong = Some(frame::pong(payload));
        }
        Incoming::Pong(_) => session.handle_control(now),
        Incoming::Close { code, reason } => {
            session.handle_close(now, code.map(CloseCode::new), reason);
            return false;
        }
    }
    true
}

fn fault(session: &mut Session, error: DecodeError, now: Instant) -> bool {
    session.handle_lost(now, Some(error.close_code()), &error.to_string());
    false
}

#[cfg(test)]
mod tests;
