//! What waits to be sent on one connection: a bounded queue of frames, and the close at its end.
use crate::Prepared;
use std::collections::VecDeque;
use wse_protocol::CloseCode;

/// The next thing to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A text frame.
    Text(Prepared),
    /// A close frame; nothing follows it.
    Close {
        /// The close code; none answers a close that had none.
        code: Option<CloseCode>,
        /// At most 123 bytes.
        reason: String,
    },
}

/// Said when a frame did not fit: the peer reads too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

#[derive(Debug)]
pub(super) struct Outbound {
    frames: VecDeque<Prepared>,
    bytes: usize,
    limit: usize,
    close: Option<Transmit>,
    closed: bool,
}

impl Outbound {
    pub(super) fn new(limit: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, limit, close: None, closed: false }
    }

    /// Queues a frame. One frame always fits into an empty queue, however large.
    pub(super) fn push(&mut self, frame: Prepared) -> Result<(), Overflow> {
        let size = frame.framed().len();
        if self.bytes > 0 && self.bytes + size > self.limit {
            return Err(Overflow);
        }
        self.push_anyway(frame);
        Ok(())
    }

    /// Queues a frame of the protocol's own. Each answers a frame of the peer, which is not read without `has_room`.
    pub(super) fn push_anyway(&mut self, frame: Prepared) {
        if self.close.is_none() && !self.closed {
            self.bytes += frame.framed().len();
            self.frames.push_back(frame);
        }
    }

    /// Forgets what waits; frames already taken are not affected.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Queues the close; what is queued before it is still sent. The first close wins.
    pub(super) fn close(&mut self, code: Option<CloseCode>, reason: String) {
        if self.close.is_none() && !self.closed {
            self.close = Some(Transmit::Close { code, reason });
        }
    }

    pub(super) fn poll(&mut self) -> Option<Transmit> {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.framed().len();
            return Some(Transmit::Text(frame));
        }
        let close = self.close.take();
        self.closed |= close.is_some();
        close
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.limit
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.bytes
    }
}
