//! One log with interest, a topic's or a pattern's births: which entry comes next, and whether the log must be read for it. Pure.
use super::{reader::Read, record};
use crate::{Consumer, HistoryGap, handover::Place};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use wse_core::{Pushed, ReorderBuffer, ReorderCounts, ReorderLimits};
use wse_protocol::{Epoch, Followed, Position, Publication, Seq, Topic};

/// What has been handed over of a log, and what was rung while the log is being read.
#[derive(Debug)]
pub(crate) struct Track {
    /// Whose log.
    pub(crate) of: Followed,
    /// Whether nothing is to be handed over now.
    pub(crate) held: bool,
    /// Who wants it.
    pub(crate) interests: Vec<Interest>,
    /// Whether the server has confirmed the subscription on the present connection.
    pub(crate) listening: bool,
    /// The last entry handed over; `None` until the first subscribe has read it.
    position: Option<Position>,
    /// Whether somebody reads the log, or is about to.
    filling: bool,
    /// Rung meanwhile.
    ahead: Option<Box<Ahead>>,
    /// What is kept of that; what is above is read again.
    room: ReorderLimits,
    /// Something may have been missed since the read began.
    missed: bool,
    /// What the reorder buffers did since that was last asked.
    counts: ReorderCounts,
}

/// What was rung of one epoch, and cannot be handed over yet.
#[derive(Debug)]
struct Ahead {
    epoch: Epoch,
    entries: ReorderBuffer<Rung>,
}

/// A consumer that wants a log's entries.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) consumer: Consumer,
    /// Where the log's last run stands in the consumer's queue.
    pub(crate) place: Place,
    /// What it was told when it came, and is not for it.
    before: Option<Before>,
    /// It follows a pattern and has not been told what there is: nothing comes before that.
    untold: bool,
    /// Subscribes without their unsubscribe.
    count: usize,
}

/// Where a log stood when a consumer came to one that was followed already.
#[derive(Debug)]
struct Before {
    /// What the consumer was told.
    position: Position,
    /// How far the others were: another epoch's rest of theirs is no news.
    theirs: Position,
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct Rung {
    pub(crate) position: Position,
    pub(crate) content: Content,
}

/// What an entry says.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Of a topic's log.
    Message(Arc<Publication>),
    /// Of a births log: the topic, and where it begins.
    Birth(Topic, Position),
}

/// What to hand over.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// The next entry.
    Entry(Rung),
    /// The log goes on after this position.
    Reset(Position, HistoryGap),
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Rest,
    /// Read the log after `position` and call `handle_read`.
    Read,
}

impl Interest {
    /// Whether this is news to it.
    pub(crate) fn wants(&self, told: &Told) -> bool {
        let (Told::Entry(Rung { position, .. }) | Told::Reset(position, _)) = told;
        let news = |Before { position: told, theirs }: &Before| {
            let told = told.clone().within(&position.epoch);
            if position.epoch == told.epoch { position.seq > told.seq } else { position.epoch != theirs.epoch }
        };
        !self.untold && self.before.as_ref().is_none_or(news)
    }
}

impl Content {
    /// Reads a record; `None` if it is something else.
    pub(crate) fn decode(of: &Followed, record: Bytes) -> Option<Self> {
        match of {
            Followed::Topic(_) => record::decode(record).map(|publication| Self::Message(publication.into())),
            Followed::Pattern(_) => record::decode_birth(record).map(|(topic, start)| Self::Birth(topic, start)),
        }
    }

    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Message(publication) => publication.cost(),
            Self::Birth(topic, _) => 128 + topic.as_str().len(),
        }
    }
}

impl Track {
    /// Nothing is known yet.
    pub(crate) fn new(of: Followed, room: ReorderLimits) -> Self {
        let (interests, counts) = (Vec::new(), ReorderCounts::default());
        Self { of, held: false, interests, listening: false, position: None, filling: false, ahead: None, room, missed: false, counts }
    }

    /// Counts one interest; true if it is the first of all.
    pub(crate) fn add_interest(&mut self, consumer: Consumer) -> bool {
        let (first, untold) = (self.interests.is_empty(), matches!(self.of, Followed::Pattern(_)));
        match self.interests.iter_mut().find(|interest| interest.consumer == consumer) {
            Some(interest) => interest.count += 1,
            None => self.interests.push(Interest { consumer, place: Place::default(), before: None, untold, count: 1 }),
        }
        first
    }

    /// Gives back one interest; true if none is left.
    pub(crate) fn remove_interest(&mut self, consumer: Consumer) -> bool {
        if let Some(interest) = self.interests.iter_mut().find(|interest| interest.consumer == consumer) {
            interest.count -= 1;
            self.interests.retain(|interest| interest.count > 0);
        }
        self.interests.is_empty()
    }

    /// Consumers that have just come are told where the log stands: nothing is handed over until `join`.
    pub(crate) fn hold(&mut self) {
        self.held = self.position.is_some() && self.interests.iter().any(|interest| interest.untold);
    }

    /// Consumers were told what there is up to `position`.
    pub(crate) fn join(&mut self, consumers: &[Consumer], position: &Position, out: &mut Vec<Told>) -> Step {
        self.held = false;
        let theirs = self.position.clone();
        for interest in self.interests.iter_mut().filter(|interest| interest.untold && consumers.contains(&interest.consumer)) {
            interest.untold = false;
            interest.before = theirs.clone().map(|theirs| Before { position: position.clone(), theirs });
        }
        if theirs.is_none() { self.establish(position.clone(), out) } else { self.suspect() }
    }

    /// The last entry handed over.
    pub(crate) fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The first subscribe has read where the topic stands: entries after it are wanted.
    pub(crate) fn establish(&mut self, position: Position, out: &mut Vec<Told>) -> Step {
        self.position = Some(position);
        self.settle(out)
    }

    /// The topic was rung. Without `room` the message is left in the log.
    pub(crate) fn handle_bell(&mut self, entry: Rung, room: bool, out: &mut Vec<Told>) -> Step {
        let Some(position) = self.position.as_mut().filter(|_| !self.filling) else {
            self.keep(entry);
            return Step::Rest;
        };
        if position.seq == Seq::ZERO {
            *position = position.clone().within(&entry.position.epoch);
        }
        let same = entry.position.epoch == position.epoch;
        if same && entry.position.seq <= position.seq {
            return Step::Rest;
        }
        if same && room && entry.position.seq == position.seq.next() {
            position.seq = entry.position.seq;
            out.push(Told::Entry(entry));
            return Step::Rest;
        }
        self.keep(entry);
        self.suspect()
    }

    /// Something may have been missed: the log must be read.
    pub(crate) fn suspect(&mut self) -> Step {
        self.missed = true;
        if self.position.is_none() || self.filling {
            return Step::Rest;
        }
        self.filling = true;
        Step::Read
    }

    /// About to read after `position`: what is missed from here on needs another read.
    pub(crate) fn begin_read(&mut self) -> Option<Position> {
        self.missed = false;
        self.position.clone()
    }

    /// The log was read after `since`.
    pub(crate) fn handle_read(&mut self, since: &Position, read: Read, out: &mut Vec<Told>) -> Step {
        self.filling = false;
        let Some(position) = self.position.as_mut() else { return Step::Rest };
        if position != since {
            return self.suspect();
        }
        *position = position.clone().within(&read.top.epoch);
        if let Some(reason) = read.gap(position) {
            *position = read.resume_at();
            out.push(Told::Reset(position.clone(), reason));
        }
        for (seq, content) in read.entries {
            if seq == position.seq.next() {
                position.seq = seq;
                out.push(Told::Entry(Rung { position: position.clone(), content }));
            }
        }
        if position.seq < read.top.seq {
            return self.suspect();
        }
        self.settle(out)
    }

    /// Hands over what was rung and follows; the rest needs a read.
    fn settle(&mut self, out: &mut Vec<Told>) -> Step {
        let Some(position) = self.position.as_mut() else { return Step::Rest };
        if let Some(mut ahead) = self.ahead.take() {
            *position = position.clone().within(&ahead.epoch);
            let same = ahead.epoch == position.epoch;
            if same {
                ahead.entries.start(Duration::ZERO, position.seq.next(), |entry| {
                    position.seq = entry.position.seq;
                    out.push(Told::Entry(entry));
                });
            }
            self.missed |= !same || ahead.entries.has_gap();
            let ReorderCounts { reordered, dropped } = ahead.entries.counts();
            self.counts.reordered += reordered;
            self.counts.dropped += dropped;
        }
        if self.missed { self.suspect() } else { Step::Rest }
    }

    /// What the reorder buffers gave, and had no room for, since this was last asked.
    pub(crate) fn take_counts(&mut self) -> ReorderCounts {
        std::mem::take(&mut self.counts)
    }

    /// Holds an entry until `settle`; one without room, or of another epoch than those held, is left in the log.
    fn keep(&mut self, entry: Rung) {
        let Position { epoch, seq } = entry.position.clone();
        let room = self.room;
        let ahead = self.ahead.get_or_insert_with(|| Box::new(Ahead { epoch: epoch.clone(), entries: ReorderBuffer::new(room) }));
        let cost = entry.content.cost();
        let left = ahead.epoch != epoch
            || matches!(ahead.entries.push(Duration::ZERO, seq, cost, entry, |_| ()), Pushed::Recover | Pushed::Dropped);
        self.missed |= left;
    }
}

impl Read {
    /// Why the entries after `since` are not all there.
    pub(crate) fn gap(&self, since: &Position) -> Option<HistoryGap> {
        if since.epoch != self.top.epoch {
            Some(HistoryGap::Epoch)
        } else if since.seq > self.top.seq {
            Some(HistoryGap::Fork)
        } else {
            (self.first > since.seq.next() && since.seq < self.top.seq).then_some(HistoryGap::Trimmed)
        }
    }

    /// Before the first entry that can be had.
    fn resume_at(&self) -> Position {
        let seq = Seq::new(self.first.number().saturating_sub(1)).unwrap_or_default();
        Position { epoch: self.top.epoch.clone(), seq }
    }
}

#[cfg(test)]
mod tests;
