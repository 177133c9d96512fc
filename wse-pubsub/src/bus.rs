//! The `Bus` trait: what a hub and a publisher need of a message bus, and nothing of how it is done.
use std::time::Duration;
use wse_protocol::{Position, Publication, Seq, Topic};

/// A bus of topic logs. Every implementation passes `conformance`.
///
/// Ordering contract: for each topic with interest, entries reach the events channel in ascending `seq`, each once and
/// without holes, beginning right after the position that `subscribe` returned. Where the bus cannot keep that (the log
/// began anew, or was trimmed past what was delivered), it sends one [`BusEvent::Reset`] first.
#[async_trait::async_trait]
pub trait Bus: Send + Sync + std::fmt::Debug {
    /// Stores a message and gives it its position. The receipt means: stored (clause G4 of the contract).
    ///
    /// `retry_key` makes a retry the same message: a second publish with it within the bus's window returns the first receipt.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer within the publish timeout; the message may or may not be stored,
    /// and a retry with the same `retry_key` is safe.
    async fn publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Result<Receipt, BusError>;

    /// `publish` where it needs no waiting; `None` where it would, with nothing done.
    fn try_publish(&self, topic: &Topic, publication: &Publication, retry_key: Option<&str>) -> Option<Result<Receipt, BusError>>;

    /// Shows interest in a topic and returns its position; entries after it reach the events channel. Counted: call
    /// `unsubscribe` once for each `subscribe`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn subscribe(&self, topic: &Topic) -> Result<Position, BusError>;

    /// Gives back one interest.
    fn unsubscribe(&self, topic: &Topic);

    /// Entries after `since`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn history(&self, topic: &Topic, since: &Position, limit: usize) -> Result<History, BusError>;

    /// What the bus knows of its own state.
    fn health(&self) -> BusHealth;

    /// Closes connections and ends tasks; later calls fail with [`BusError::Closed`].
    async fn close(&self);
}

/// A publish that the bus has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message id: of the first publish, where `retry_key` found one.
    pub id: std::sync::Arc<str>,
    /// Where it stands.
    pub position: Position,
}

/// One message of a topic's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The topic.
    pub topic: Topic,
    /// Its place in the log.
    pub position: Position,
    /// Its content.
    pub publication: Publication,
}

/// What reaches the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusEvent {
    /// The next message of a topic with interest.
    Entry(Entry),
    /// What was between the last entry and `position` cannot be delivered; entries after `position` follow.
    Reset {
        /// The topic.
        topic: Topic,
        /// Where the topic goes on.
        position: Position,
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

/// The state of a bus, for `health`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusHealth {
    /// `memory` or `redis`.
    pub kind: &'static str,
    /// Whether publishes and deliveries work now, as far as known.
    pub up: bool,
    /// How long since that was last proved; zero where nothing can fail.
    pub proved: Duration,
    /// Topics with interest.
    pub topics: usize,
    /// What is wrong, in one sentence.
    pub fault: Option<String>,
}

/// Why a bus call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The network's fault: no answer within the time.
    #[error("the bus at {at} did not answer: {why}; try again with the same idempotency key")]
    Unavailable {
        /// The address, without credentials.
        at: String,
        /// What the client library said.
        why: String,
    },
    /// The configuration's fault: the address cannot be used.
    #[error("redis_url {at}: {why}")]
    Address {
        /// The address, without credentials.
        at: String,
        /// What is wrong with it.
        why: String,
    },
    /// The caller's fault: the bus was closed.
    #[error("the bus is closed")]
    Closed,
    /// The server's data is not what this version wrote.
    #[error("topic {topic}: the stored log cannot be read: {why}")]
    Corrupt {
        /// The topic.
        topic: Topic,
        /// What is wrong with it.
        why: String,
    },
}
