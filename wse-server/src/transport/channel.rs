//! A transport over two queues, for a server that owns the socket and frames by itself (the ASGI driver).
use super::{FromPeer, Source, ToPeer, Transport};
use crate::host::{ConnectionId, SharedHost};
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::sync::{Notify, mpsc};
use wse_protocol::CloseCode;

/// Messages from the peer that wait for the session before the server is asked to pause.
const READ_AHEAD: usize = 16;
/// Bytes for the peer that wait to be taken before the session keeps the rest.
const WRITE_AHEAD: usize = 256 * 1024;

/// A frame for the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelFrame {
    /// A text message; valid UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The close; nothing follows.
    Close {
        /// Its code.
        code: CloseCode,
        /// Its reason.
        reason: String,
    },
}

/// A frame from the peer.
#[derive(Debug)]
pub enum PeerFrame<'a> {
    /// A whole text message.
    Text(&'a [u8]),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// The peer closed, or its transport was lost.
    HangUp(CloseCode),
}

/// The server's end of one connection's two queues; cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct Channel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: ConnectionId,
    host: SharedHost,
    message_bytes: usize,
    inbound: mpsc::UnboundedSender<FromPeer>,
    waiting: AtomicUsize,
    paused: AtomicBool,
    outbound: Mutex<Outbound>,
    taken: Notify,
}

#[derive(Debug, Default)]
struct Outbound {
    frames: VecDeque<ChannelFrame>,
    bytes: usize,
}

impl Channel {
    /// Both ends of a new channel.
    pub(crate) fn open(id: ConnectionId, host: SharedHost, message_bytes: usize) -> (Self, Transport) {
        let (inbound, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            id,
            host,
            message_bytes,
            inbound,
            waiting: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            outbound: Mutex::default(),
            taken: Notify::new(),
        });
        let source = ChannelSource { receiver, shared: shared.clone() };
        let sink = ChannelSink { shared: shared.clone(), pending: VecDeque::new() };
        (Self(shared), Transport { from_peer: Source::Channel(source), to_peer: ToPeer::Channel(sink) })
    }

    /// Hands over what came from the peer. False: it was taken, but bring no more before the host's `writable`.
    pub fn push(&self, frame: PeerFrame<'_>) -> bool {
        let shared = &self.0;
        let room = shared.waiting.fetch_add(1, SeqCst) + 1 < READ_AHEAD;
        // The receiver is gone only when the connection is over; then nobody misses the frame.
        let _ = shared.inbound.send(shared.judged(frame));
        if !room {
            shared.paused.store(true, SeqCst);
            if shared.waiting.load(SeqCst) < READ_AHEAD && shared.paused.swap(false, SeqCst) {
                return true;
            }
        }
        room
    }

    /// Takes up to `limit` frames for the peer, oldest first. Once fewer than `limit` came the host hears `outbound` for the next.
    #[must_use]
    pub fn take(&self, limit: usize) -> Vec<ChannelFrame> {
        let mut outbound = self.0.lock();
        let count = outbound.frames.len().min(limit);
        let frames: Vec<_> = outbound.frames.drain(..count).collect();
        outbound.bytes -= frames.iter().map(size).sum::<usize>();
        drop(outbound);
        self.0.taken.notify_one();
        frames
    }
}

impl Shared {
    fn judged(&self, frame: PeerFrame<'_>) -> FromPeer {
        match frame {
            PeerFrame::Text(bytes) | PeerFrame::Binary(bytes) if bytes.len() > self.message_bytes => {
                FromPeer::Fault { code: CloseCode::TOO_LARGE, reason: format!("a message is larger than {} bytes", self.message_bytes) }
            }
            PeerFrame::Text(text) => FromPeer::Text(BytesMut::from(text)),
            PeerFrame::Binary(bytes) => FromPeer::Binary(BytesMut::from(bytes)),
            PeerFrame::HangUp(CloseCode::ABNORMAL) => FromPeer::Gone("the connection was lost".into()),
            PeerFrame::HangUp(code) => FromPeer::Close { code: Some(code), reason: String::new() },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(frame: &ChannelFrame) -> usize {
    match frame {
        ChannelFrame::Text(payload) | ChannelFrame::Binary(payload) => payload.len(),
        ChannelFrame::Close { .. } => 0,
    }
}

#[derive(Debug)]
pub(crate) struct ChannelSource {
    receiver: mpsc::UnboundedReceiver<FromPeer>,
    shared: Arc<Shared>,
}

impl ChannelSource {
    pub(super) async fn recv(&mut self) -> FromPeer {
        let Some(received) = self.receiver.recv().await else {
            return std::future::pending().await;
        };
        if self.shared.waiting.fetch_sub(1, SeqCst) <= READ_AHEAD && self.shared.paused.swap(false, SeqCst) {
            self.shared.host.writable(self.shared.id);
        }
        received
    }
}

/// The session's end: what the server has not taken beyond a bound stays in the session, whose own bound then holds.
#[derive(Debug)]
pub(crate) struct ChannelSink {
    shared: Arc<Shared>,
    pending: VecDeque<ChannelFrame>,
}

impl ChannelSink {
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < 64
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn push(&mut self, frame: ChannelFrame) {
        self.pending.push_back(frame);
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.move_some() {
            self.shared.taken.notified().await;
        }
        Ok(())
    }

    /// Moves what fits; false if nothing does.
    fn move_some(&mut self) -> bool {
        let mut outbound = self.shared.lock();
        if outbound.bytes >= WRITE_AHEAD {
            return false;
        }
        let was_empty = outbound.frames.is_empty();
        outbound.bytes += self.pending.iter().map(size).sum::<usize>();
        outbound.frames.extend(self.pending.drain(..));
        drop(outbound);
        if was_empty {
            self.shared.host.outbound(self.shared.id);
        }
        true
    }

    pub(super) fn end(mut self) {
        if self.has_pending() {
            self.move_some();
        }
    }
}
