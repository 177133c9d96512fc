//! What waits to be sent on one connection: the protocol's own frames, then topics by rank, and the close at the end.
use crate::{Chunk, Hole, Lanes, Next, Prepared, Shed, ShedCounts, SlowPolicy};
use std::{collections::VecDeque, time::Instant};
use wse_protocol::{CloseCode, Epoch, Seq, Topic};

/// The next thing to send.
#[derive(Debug, Clone)]
pub enum Transmit {
    /// A frame that goes as it is: the hello, and what waits before it, which are read before the peer knows what was agreed on ([P-9]).
    Plain(Prepared),
    /// A frame of the protocol's own, not compressed yet.
    Own(Prepared),
    /// Frames of a topic.
    Topic(Chunk),
    /// A close frame; nothing follows it.
    Close {
        /// The close code; none answers a close that had none.
        code: Option<CloseCode>,
        /// At most 123 bytes.
        reason: String,
    },
}

/// What comes next, before the session has put words to it.
pub(super) enum Waiting {
    Ready(Transmit),
    Hole(Topic, Epoch, Hole),
}

#[derive(Debug)]
pub(super) struct Outbound {
    own: VecDeque<Prepared>,
    own_bytes: usize,
    /// Of these, since there were none, what no frame of the peer asked for.
    word_bytes: usize,
    /// The first of `own`, up to the hello: plain, and what follows cannot be read without it.
    kept: usize,
    lanes: Lanes,
    limit: usize,
    close: Option<Box<(Option<CloseCode>, String)>>,
    closed: bool,
}

impl Outbound {
    pub(super) fn new(limit: usize) -> Self {
        Self { own: VecDeque::new(), own_bytes: 0, word_bytes: 0, kept: 0, lanes: Lanes::default(), limit, close: None, closed: false }
    }

    /// Queues frames of a topic; returns what gave way to stay within the limit.
    pub(super) fn push(&mut self, topic: &Topic, policy: SlowPolicy, chunk: Chunk) -> Vec<Shed> {
        if self.is_ending() || chunk.is_empty() {
            return Vec::new();
        }
        self.lanes.push(topic, policy, chunk, self.limit)
    }

    /// Queues frames that were read for this connection, within the room that it had.
    pub(super) fn put(&mut self, topic: &Topic, policy: SlowPolicy, chunk: Chunk) {
        if !self.is_ending() && !chunk.is_empty() {
            self.lanes.put(topic, policy, chunk);
        }
    }

    /// Queues a frame of the protocol's own. Each answers a frame of the peer, which is not read without `has_room`.
    pub(super) fn push_own(&mut self, frame: Prepared) {
        if !self.is_ending() {
            self.own_bytes += frame.framed().len();
            self.own.push_back(frame);
        }
    }

    /// Queues word that no frame of the peer asked for, whose number therefore nothing bounds: false where it is more than the limit.
    pub(super) fn push_word(&mut self, frame: Prepared) -> bool {
        let bytes = self.word_bytes + frame.framed().len();
        let fits = self.word_bytes == 0 || bytes <= self.limit;
        if fits && !self.is_ending() {
            self.word_bytes = bytes;
            self.push_own(frame);
        }
        fits
    }

    /// Queues the hello, after which frames are in the format that it names.
    pub(super) fn push_hello(&mut self, frame: Prepared) {
        self.push_own(frame);
        self.kept = self.own.len();
    }

    /// Forgets what waits, but not the hello; frames already taken are not affected.
    pub(super) fn clear(&mut self) {
        self.own.truncate(self.kept);
        self.word_bytes = 0;
        self.own.shrink_to_fit();
        self.own_bytes = self.own.iter().map(|frame| frame.framed().len()).sum();
        self.lanes.clear();
    }

    /// Nobody is there any more: what waits is forgotten, and nothing is taken in.
    pub(super) fn end(&mut self) {
        self.kept = 0;
        self.clear();
        (self.close, self.closed) = (None, true);
    }

    /// Whether something of a topic waits.
    pub(super) fn waits(&self, topic: &Topic) -> bool {
        self.lanes.waits(topic)
    }

    /// The message before what waits of a topic.
    pub(super) fn before(&self, topic: &Topic) -> Option<Seq> {
        self.lanes.before(topic)
    }

    /// Forgets what waits of a topic.
    pub(super) fn drop_topic(&mut self, topic: &Topic) {
        self.lanes.drop_topic(topic);
    }

    /// Queues the close; what is queued before it is still sent. The first close wins.
    pub(super) fn close(&mut self, code: Option<CloseCode>, reason: String) {
        if !self.is_ending() {
            self.close = Some(Box::new((code, reason)));
        }
    }

    pub(super) fn poll(&mut self, now: Instant) -> Option<Waiting> {
        if let Some(frame) = self.own.pop_front() {
            self.own_bytes -= frame.framed().len();
            let is_plain = self.kept > 0;
            self.kept = self.kept.saturating_sub(1);
            if self.own.is_empty() {
                (self.own, self.word_bytes) = (VecDeque::new(), 0);
            }
            return Some(Waiting::Ready(if is_plain { Transmit::Plain(frame) } else { Transmit::Own(frame) }));
        }
        match self.lanes.pop(now) {
            Some(Next::Frames(chunk)) => return Some(Waiting::Ready(Transmit::Topic(chunk))),
            Some(Next::Hole(topic, epoch, hole)) => return Some(Waiting::Hole(topic, epoch, hole)),
            None => {}
        }
        let (code, reason) = *self.close.take()?;
        self.closed = true;
        Some(Waiting::Ready(Transmit::Close { code, reason }))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.lanes.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting_bytes() < self.limit
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.own_bytes + self.lanes.bytes()
    }

    pub(super) fn shed(&self) -> ShedCounts {
        self.lanes.counts()
    }

    fn is_ending(&self) -> bool {
        self.close.is_some() || self.closed
    }
}
