//! How a connection joins a topic without a window: buffer what comes, read what was missed, replay, go live.
use crate::connection::Connection;
use std::{rc::Rc, time::Instant};
use wse_core::{Prepared, session::Outcome};
use wse_protocol::{ErrorCode, Format, Position, Seq, Topic, WireError, encode};
use wse_pubsub::{Bus, Entry, History, HistoryGap};

/// The fewest bytes of a message in a log; bounds how many are read for a budget of bytes.
const LEAST_BYTES: usize = 100;

/// One topic that a connection is joining.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) topic: Topic,
    /// Entries after it are buffered.
    pub(super) start: Position,
    /// What the client says that it has examined.
    pub(super) theirs: Option<Position>,
}

/// What lies between the client's position and the start of the buffer.
#[derive(Debug)]
pub(super) enum Missed {
    /// Nothing; the client has examined up to here.
    Nothing(Position),
    /// These frames.
    Frames(Vec<Prepared>),
    /// It cannot be had.
    Unknown(HistoryGap),
}

/// Reads what a client missed, within `budget` bytes, which it takes from.
pub(super) async fn missed(bus: &dyn Bus, begun: &Begun, budget: &mut usize) -> Missed {
    let Begun { topic, start, theirs } = begun;
    let Some(theirs) = theirs.as_ref().filter(|theirs| *theirs != start) else {
        return Missed::Nothing(start.clone());
    };
    let behind = start.seq.number().saturating_sub(theirs.seq.number()) as usize;
    if behind > *budget / LEAST_BYTES {
        return Missed::Unknown(HistoryGap::Trimmed);
    }
    match bus.history(topic, theirs, behind.max(1)).await {
        Ok(History::Entries { entries, .. }) if theirs.epoch == start.epoch => replay(entries, theirs, start, budget),
        Ok(History::Entries { .. }) => Missed::Unknown(HistoryGap::Epoch),
        Ok(History::Gap { reason, .. }) => Missed::Unknown(reason),
        Err(error) => {
            tracing::warn!(%error, %topic, "what a client missed could not be read");
            Missed::Unknown(HistoryGap::Trimmed)
        }
    }
}

fn replay(entries: Vec<Entry>, theirs: &Position, start: &Position, budget: &mut usize) -> Missed {
    if theirs.seq > start.seq {
        // The client heard more from another worker than has reached this one.
        return Missed::Nothing(theirs.clone());
    }
    let wanted = entries.into_iter().take_while(|entry| entry.position.seq <= start.seq);
    let frames: Vec<_> = wanted.filter_map(|entry| prepared(&entry)).collect();
    let bytes: usize = frames.iter().map(|frame| frame.framed().len()).sum();
    let whole = frames.len() as u64 == start.seq.number() - theirs.seq.number();
    if !whole || bytes > *budget {
        return Missed::Unknown(HistoryGap::Trimmed);
    }
    *budget -= bytes;
    Missed::Frames(frames)
}

/// The frame of one entry; none when its payload is not what its publisher said it is.
pub(super) fn prepared(entry: &Entry) -> Option<Prepared> {
    let mut text = Vec::new();
    match encode::topic_message(&mut text, Format::Json, &entry.topic, &entry.position, None, &entry.publication) {
        Ok(()) => Some(Prepared::text(&text)),
        Err(error) => {
            tracing::error!(%error, topic = %entry.topic, id = %entry.publication.id, "a payload cannot be sent");
            None
        }
    }
}

/// A connection in a topic.
#[derive(Debug)]
pub(super) struct Subscriber {
    connection: Rc<Connection>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Gets what is above this.
    Live(Seq),
    Joining(Buffer),
}

/// What came while the client's past was being read.
#[derive(Debug)]
struct Buffer {
    frames: Vec<(Seq, Prepared)>,
    bytes: usize,
    limit: usize,
    /// The topic went on elsewhere, or more came than may be buffered.
    broken: Option<HistoryGap>,
}

/// The end of joining: the answer for the client, and the frames that follow it.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) outcome: Outcome,
    pub(super) frames: Vec<Prepared>,
}

impl Joined {
    /// The answer to a connection that left while it joined; nobody reads it.
    pub(super) fn gone() -> Self {
        Self { outcome: Outcome::Refused(WireError::new(ErrorCode::UnexpectedMessage, "the connection is closing")), frames: Vec::new() }
    }
}

impl Subscriber {
    pub(super) fn joining(connection: Rc<Connection>, limit: usize) -> Self {
        Self { connection, state: State::Joining(Buffer { frames: Vec::new(), bytes: 0, limit, broken: None }) }
    }

    /// Passes an entry on, or keeps it; true if it went to the connection.
    pub(super) fn deliver(&mut self, now: Instant, seq: Seq, frame: &Prepared) -> bool {
        match &mut self.state {
            State::Live(from) if seq <= *from => false,
            State::Live(_) => {
                self.connection.session().deliver(now, frame.clone());
                self.connection.wake();
                true
            }
            State::Joining(buffer) => {
                buffer.push(seq, frame.clone());
                false
            }
        }
    }

    /// The topic goes on from another position.
    pub(super) fn reset(&mut self, topic: &Topic, position: &Position, reason: HistoryGap) {
        match &mut self.state {
            State::Live(from) => {
                *from = position.seq;
                self.connection.session().resync(topic, position.clone(), reason.as_str());
                self.connection.wake();
            }
            State::Joining(buffer) => buffer.broken = Some(reason),
        }
    }

    /// Goes live; `position` is where the topic stands now. One that is live already stays as it is.
    pub(super) fn join(&mut self, begun: &Begun, missed: Missed, position: Position) -> Joined {
        let buffer = match std::mem::replace(&mut self.state, State::Live(position.seq)) {
            State::Joining(buffer) => buffer,
            live @ State::Live(_) => {
                self.state = live;
                return Joined { outcome: Outcome::Live(position), frames: Vec::new() };
            }
        };
        if let Some(reason) = buffer.broken {
            return Joined { outcome: Outcome::Resync(position, reason.as_str()), frames: Vec::new() };
        }
        let (outcome, from, mut frames) = match missed {
            Missed::Nothing(theirs) => (Outcome::Live(theirs.clone()), theirs.seq, Vec::new()),
            Missed::Unknown(reason) => (Outcome::Resync(begun.start.clone(), reason.as_str()), begun.start.seq, Vec::new()),
            Missed::Frames(frames) => {
                let theirs = begun.theirs.clone().unwrap_or_else(|| begun.start.clone());
                (Outcome::Recovered(theirs, frames.len() as u64), begun.start.seq, frames)
            }
        };
        frames.extend(buffer.frames.into_iter().filter(|(seq, _)| *seq > from).map(|(_, frame)| frame));
        self.state = State::Live(from);
        Joined { outcome, frames }
    }
}

impl Buffer {
    fn push(&mut self, seq: Seq, frame: Prepared) {
        self.bytes += frame.framed().len();
        if self.bytes > self.limit {
            self.broken = Some(HistoryGap::Trimmed);
            self.frames.clear();
        }
        if self.broken.is_none() {
            self.frames.push((seq, frame));
        }
    }
}
