//! What a bus hands over and answers: entries, runs, births, gaps.
use std::sync::Arc;
use wse_protocol::{Epoch, Pattern, Position, Publication, Seq, Topic};

/// A queue of the bus, by its index: one per shard, at most 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Consumer(pub u16);

/// One message of a topic's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The topic.
    pub topic: Topic,
    /// Its place in the log.
    pub position: Position,
    /// Its content.
    pub publication: Arc<Publication>,
}

/// Consecutive messages of one topic: what one turn has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The topic.
    pub topic: Topic,
    /// The epoch of all of them.
    pub epoch: Epoch,
    /// Where the first stands; each next one is one higher.
    pub first: Seq,
    /// Their contents; at least one.
    pub publications: Vec<Arc<Publication>>,
}

impl Run {
    /// Each message with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Seq, &Publication)> {
        numbered(self.first, self.publications.iter().map(|publication| &**publication))
    }

    /// Each message as an entry.
    pub fn into_entries(self) -> impl Iterator<Item = Entry> {
        let Self { topic, epoch, first, publications } = self;
        numbered(first, publications.into_iter()).map(move |(seq, publication)| {
            let position = Position { epoch: epoch.clone(), seq };
            Entry { topic: topic.clone(), position, publication }
        })
    }

    /// Where the last stands.
    #[must_use]
    pub fn last(&self) -> Position {
        let above = self.publications.len().saturating_sub(1) as u64;
        Position { epoch: self.epoch.clone(), seq: Seq::new(self.first.number() + above).unwrap_or(self.first) }
    }
}

fn numbered<T>(first: Seq, items: impl Iterator<Item = T>) -> impl Iterator<Item = (Seq, T)> {
    items.scan(first, |next, item| {
        let seq = std::mem::replace(next, next.next());
        Some((seq, item))
    })
}

/// What reaches a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusEvent {
    /// The next messages of a topic with interest. What waits of a topic is one run, except where a reset stands between.
    Run(Run),
    /// What was between the last entry and `position` cannot be delivered; entries after `position` follow.
    Reset {
        /// The topic.
        topic: Topic,
        /// Where the topic goes on.
        position: Position,
        /// Why.
        reason: HistoryGap,
    },
    /// A topic of a followed pattern was born: by its first message, or by somebody's interest in it. One that was forgotten is
    /// born again, with another epoch.
    Born {
        /// The pattern.
        pattern: Pattern,
        /// Where its births log stands with this one.
        position: Position,
        /// The new topic.
        topic: Topic,
        /// Its epoch, and 0: its first message is number 1.
        start: Position,
    },
    /// Births between the last one and `position` cannot be delivered: follow the pattern again. Later births come.
    BirthsReset {
        /// The pattern.
        pattern: Pattern,
        /// Where its births log goes on.
        position: Position,
        /// Why.
        reason: HistoryGap,
    },
}

impl BusEvent {
    /// Messages in it: 1 for anything but a run.
    #[must_use]
    pub fn messages(&self) -> usize {
        match self {
            Self::Run(run) => run.publications.len(),
            Self::Reset { .. } | Self::Born { .. } | Self::BirthsReset { .. } => 1,
        }
    }
}

/// The answer to `follow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// Where the pattern's births log stands; births after it are events.
    pub position: Position,
    /// Every topic of the namespace that was born up to there and is remembered, with where it stands. In no order.
    pub topics: Vec<(Topic, Position)>,
}

/// The answer to `births`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Births {
    /// Every birth after `since` up to `limit`, and the top of the births log at that moment.
    Topics {
        /// Oldest first, contiguous from `since.seq + 1`. A topic may be born more than once, and be forgotten by now.
        topics: Vec<(Seq, Topic)>,
        /// The highest number of the births log.
        top: Seq,
    },
    /// Some of them cannot be had.
    Gap {
        /// Where the births log stands now.
        top: Position,
        /// Why.
        reason: HistoryGap,
    },
}

/// The answer to `history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum History {
    /// Every entry after `since` up to `limit`, and the top of the log at that moment.
    Entries {
        /// Oldest first, contiguous from `since.seq + 1`.
        entries: Vec<Entry>,
        /// The highest sequence number of the log.
        top: Seq,
    },
    /// Some of them cannot be had.
    Gap {
        /// Where the log stands now.
        top: Position,
        /// Why.
        reason: HistoryGap,
    },
}

/// Why messages cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryGap {
    /// The log began anew: another epoch.
    Epoch,
    /// They are no longer held: count, bytes or age.
    Trimmed,
    /// The asked position is above the top.
    Fork,
}

impl HistoryGap {
    /// The reason on the wire (`subscription_update`, [P-24]).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Trimmed => "history",
            Self::Fork => "fork",
        }
    }
}

impl From<wse_core::log::LogGap> for HistoryGap {
    fn from(gap: wse_core::log::LogGap) -> Self {
        match gap {
            wse_core::log::LogGap::Epoch => Self::Epoch,
            wse_core::log::LogGap::Trimmed => Self::Trimmed,
            wse_core::log::LogGap::Fork => Self::Fork,
        }
    }
}
