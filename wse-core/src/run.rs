//! What a turn holds of one topic for one wire variant: consecutive frames, made once and shared by every connection.
use bytes::Bytes;
use std::{ops::Range, sync::Arc, time::Instant};
use wse_protocol::{Epoch, Priority, Seq};

/// Frames of one topic in ascending order, with their WebSocket headers, in one piece of memory.
#[derive(Debug)]
pub struct Run {
    pub(crate) epoch: Epoch,
    bytes: Bytes,
    marks: Box<[Mark]>,
    /// Messages in all of its frames.
    messages: u64,
    /// When the first of its messages to expire does.
    until: Option<Instant>,
}

/// Where a frame of a run lies, and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// The message before it that its subscription had: where a reader must be to take it.
    pub(crate) previous: Seq,
    /// Its first and last message; they differ only in batches.
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    /// Messages in it; none in a beacon.
    pub(crate) messages: u64,
    /// Where its WebSocket payload begins and where it ends in the run's bytes.
    pub(crate) payload: usize,
    pub(crate) end: usize,
    pub(crate) priority: Priority,
    /// The key, which `latest` keeps the newest of.
    pub(crate) key: Option<Arc<str>>,
    /// From when on it is not to be sent any more.
    pub(crate) until: Option<Instant>,
}

impl Mark {
    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Run {
    pub(crate) fn new(epoch: Epoch, bytes: Bytes, marks: Box<[Mark]>) -> Self {
        let messages = marks.iter().map(|mark| mark.messages).sum();
        let until = marks.iter().filter_map(|mark| mark.until).min();
        Self { epoch, bytes, marks, messages, until }
    }

    /// All of its frames.
    #[must_use]
    pub fn whole(self: &Arc<Self>) -> Chunk {
        Chunk { run: self.clone(), frames: 0..self.marks.len() }
    }

    /// The frames after `seq`, where none of them is a batch that lies on both sides of it.
    #[must_use]
    pub fn after(self: &Arc<Self>, seq: Seq) -> Option<Chunk> {
        let is_ahead = self.marks.first().is_some_and(|mark| mark.first > seq);
        let start = if is_ahead { 0 } else { self.marks.partition_point(|mark| mark.last <= seq) };
        let whole = self.marks.get(start).is_none_or(|mark| mark.first > seq);
        whole.then(|| Chunk { run: self.clone(), frames: start..self.marks.len() })
    }

    /// Whether it has no frame: no message passed the filter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }
}

/// A part of a run: a connection's cursor into shared frames.
#[derive(Debug, Clone)]
pub struct Chunk {
    run: Arc<Run>,
    frames: Range<usize>,
}

impl Chunk {
    /// The frames with their headers: what goes over a socket.
    #[must_use]
    pub fn framed(&self) -> Bytes {
        if self.frames.is_empty() {
            return Bytes::new();
        }
        self.run.bytes.slice(self.range())
    }

    /// The same, to be looked at.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.run.bytes[self.range()]
    }

    /// Each frame's payload, and whether it is text: what goes to a transport that frames by itself.
    pub fn payloads(&self) -> impl Iterator<Item = (bool, Bytes)> + '_ {
        self.frames.clone().map(|index| {
            let mark = &self.run.marks[index];
            (self.run.bytes[self.start(index)] & 0x0F == 1, self.run.bytes.slice(mark.payload..mark.end))
        })
    }

    /// Its bytes, headers included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.start(self.frames.end) - self.start(self.frames.start)
    }

    /// Whether it has no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Messages in it.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let is_whole = self.frames.len() == self.run.marks.len();
        if is_whole { self.run.messages } else { self.marks().iter().map(|mark| mark.messages).sum() }
    }

    /// Whether any of its messages has expired.
    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        self.run.until.is_some_and(|until| until <= now) && self.marks().iter().any(|mark| mark.has_expired(now))
    }

    pub(crate) fn epoch(&self) -> &Epoch {
        &self.run.epoch
    }

    /// Where a reader must be to take it.
    pub(crate) fn previous(&self) -> Seq {
        self.marks().first().map_or(Seq::ZERO, |mark| mark.previous)
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.run.marks[self.frames.clone()]
    }

    /// The part from one of its frames to before another.
    pub(crate) fn part(&self, frames: Range<usize>) -> Self {
        let start = self.frames.start;
        Self { run: self.run.clone(), frames: start + frames.start..start + frames.end }
    }

    fn range(&self) -> Range<usize> {
        self.start(self.frames.start)..self.start(self.frames.end)
    }

    fn start(&self, frame: usize) -> usize {
        frame.checked_sub(1).map_or(0, |before| self.run.marks[before].end)
    }
}
