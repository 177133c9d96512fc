//! The `Bus` trait: what a hub and a publisher need of a message bus, and nothing of how it is done.
use crate::{Births, Consumer, DeadLetters, Following, History, Presence, Producers};
use std::{sync::Arc, time::Duration};
use wse_core::log::PageLimit;
use wse_protocol::{Pattern, Position, Publication, Topic};

/// A bus of topic logs. Every implementation passes `conformance`.
///
/// A bus is made for a fixed number of *consumers*, one per shard of the hub; each has a queue of its own, bounded by bytes,
/// whose end is an [`EventReceiver`](crate::EventReceiver).
///
/// Ordering contract, for each consumer by itself:
/// - Of each topic with its interest, entries reach its queue in ascending `seq`, each once and without holes, beginning right
///   after the position that `subscribe` returned. Where the bus cannot keep that (the log began anew, or was trimmed past what
///   was delivered), one [`BusEvent::Reset`](crate::BusEvent::Reset) comes first.
/// - Of each pattern that it follows, births come in the same way, after the position that `follow` returned;
///   [`BusEvent::BirthsReset`](crate::BusEvent::BirthsReset) tells what cannot be had: follow again.
/// - Between topics, and between births and messages, there is no order.
///
/// Entries of an interest that was given back and shown again may still be under way: they are at or below the new position.
#[async_trait::async_trait]
pub trait Bus: Producers + DeadLetters + Presence + Send + Sync + std::fmt::Debug {
    /// Stores a message and gives it its position. The receipt means: stored (clause G4 of the contract).
    ///
    /// `retry_key` makes a retry the same message: a second publish with it within the bus's window returns the first receipt.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer within the publish timeout; the message may or may not be stored,
    /// and a retry with the same `retry_key` is safe.
    async fn publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Result<Receipt, BusError>;

    /// `publish` where it needs no waiting. Where it would, nothing is done and the message given back.
    fn try_publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Tried;

    /// Publishes a batch; the outcomes stand in its order. Messages of one topic are stored in their order: one that cannot be
    /// stored fails those of its topic that come after it, and none of other topics.
    async fn publish_many(&self, batch: Vec<NewEntry>) -> Vec<Result<Receipt, BusError>>;

    /// `publish_many` as far as it needs no waiting: takes that many from the front of `batch` and returns their outcomes. What
    /// is left needs `publish_many`.
    fn try_publish_many(&self, batch: &mut Vec<NewEntry>) -> Vec<Result<Receipt, BusError>>;

    /// Shows a consumer's interest in a topic and returns the topic's position; entries after it reach the consumer's queue.
    /// Counted: call `unsubscribe` once for each `subscribe`.
    ///
    /// Where this is the topic's birth, it may wait for room in a follower's queue, the caller's own too: whoever takes from a
    /// queue must not wait for this.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; [`BusError::NoConsumer`].
    async fn subscribe(&self, topic: &Topic, consumer: Consumer) -> Result<Position, BusError>;

    /// Gives back one interest.
    fn unsubscribe(&self, topic: &Topic, consumer: Consumer);

    /// Entries after `since`, oldest first, as many as `limit` allows.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn history(&self, topic: &Topic, since: &Position, limit: PageLimit) -> Result<History, BusError>;

    /// Follows a pattern: returns every topic that it stands for now, and births after that reach the consumer's queue. Shows
    /// no interest in the topics. Counted: call `unfollow` once for each `follow` that succeeded; one that fails or is dropped has given
    /// its interest back.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; [`BusError::NoConsumer`].
    async fn follow(&self, pattern: &Pattern, consumer: Consumer) -> Result<Following, BusError>;

    /// Gives back one `follow`.
    fn unfollow(&self, pattern: &Pattern, consumer: Consumer);

    /// Topics born after `since`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn births(&self, pattern: &Pattern, since: &Position, limit: usize) -> Result<Births, BusError>;

    /// Whether this process serves clients, and so is among the `others` of other processes; at first it does not.
    fn serve(&self, serves: bool);

    /// Other processes that serve clients of these topics now; one that died is none of them within moments.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn others(&self) -> Result<usize, BusError>;

    /// Whether a log of the server's own ([P-65]) that had a message within `away` may be gone since, so that finding none says nothing.
    ///
    /// Such a log is made by its first message, which `subscribe` does not wait for: before it the topic stands at number 0 of an epoch
    /// that [`Epoch::precedes`](wse_protocol::Epoch::precedes) the log's, and the first message follows without a reset.
    fn may_have_forgotten(&self, topic: &Topic, away: Duration) -> bool;

    /// What the bus knows of its own state.
    fn health(&self) -> BusHealth;

    /// Closes connections and ends tasks; later calls fail with [`BusError::Closed`].
    async fn close(&self);
}

/// The outcome of a publish, or the message, which has to wait.
pub type Tried = Result<Result<Receipt, BusError>, Publication>;

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Where it goes.
    pub topic: Topic,
    /// Its content.
    pub publication: Publication,
    /// What makes a retry the same message.
    pub retry_key: Option<Arc<str>>,
}

/// A publish that the bus has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message id: of the first publish, where `retry_key` found one.
    pub id: Arc<str>,
    /// Where it stands.
    pub position: Position,
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
    /// Patterns that are followed.
    pub patterns: usize,
    /// Outcomes and producers that were forgotten before their time, because there were too many.
    pub outcomes_forgotten: u64,
    /// Publishes that repeated an earlier one by their retry key, and got its receipt.
    pub retries_answered: u64,
    /// Retry keys that were forgotten before their time, because there were too many: a retry under one is a second message.
    pub retries_forgotten: u64,
    /// Messages that came while what was before them was read from the log, and were handed on behind it without a read of their own.
    pub reordered: u64,
    /// Messages that found no room then, and were read from the log.
    pub reorder_dropped: u64,
    /// Times that the circuit breaker of publishes opened.
    pub breaker_opened: u64,
    /// Publishes that it refused: they were not sent.
    pub breaker_refused: u64,
    /// Members that this process was refused because there were too many.
    pub presence_refused: u64,
    /// Members' holds that this process removed because their process was not heard of.
    pub presence_lapsed: u64,
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
    /// Nobody's fault: this process was not heard of for too long, and others were told that its members have left. It begins a new
    /// incarnation and enters them again.
    #[error("the lease of this process's members has lapsed; begin a new incarnation")]
    Lapsed,
    /// The caller's fault: this topic can have no members.
    #[error("topic {topic}: {why}")]
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// What is wrong with it.
        why: String,
    },
    /// The caller's fault: the bus was made for fewer consumers.
    #[error("the bus has no consumer {}", .0.0)]
    NoConsumer(Consumer),
    /// The server's data is not what this version wrote.
    #[error("topic {topic}: the stored log cannot be read: {why}")]
    Corrupt {
        /// The topic, or the pattern of a births log.
        topic: Arc<str>,
        /// What is wrong with it.
        why: String,
    },
}
