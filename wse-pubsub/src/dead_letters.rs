//! Messages whose handlers failed: kept for somebody to look at, to replay or to remove.
use crate::BusError;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use wse_protocol::{UnixMillis, defaults};

/// The bounded list of messages whose handlers failed.
#[async_trait::async_trait]
pub trait DeadLetters: Send + Sync {
    /// Adds a letter; one with the same id is the same letter. Returns how many others gave way for it, or had become too old.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; adding again is safe.
    async fn bury(&self, letter: &DeadLetter) -> Result<usize, BusError>;

    /// Letters, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, BusError>;

    /// Takes a letter for a replay, so that nobody else replays it for the time of [`DeadLetterLimits::claim`]. Counts an attempt.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn claim_dead_letter(&self, id: &str) -> Result<Claim, BusError>;

    /// Gives a claimed letter back.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; then its claim lapses.
    async fn release_dead_letter(&self, id: &str) -> Result<(), BusError>;

    /// Removes a letter; whether it was there.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn remove_dead_letter(&self, id: &str) -> Result<bool, BusError>;
}

/// A message whose handler failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// A UUID v7: ids are in the order of their times.
    pub id: Arc<str>,
    /// When the handler failed.
    pub at: UnixMillis,
    /// Replays that were begun.
    pub attempts: u32,
    /// Whose message it is; none for anonymous clients.
    pub user: Option<Arc<str>>,
    /// The message's type.
    pub event_type: Arc<str>,
    /// The message's id, where the client gave one.
    pub message_id: Option<Arc<str>>,
    /// The error that the client was told.
    pub error: Arc<str>,
    /// The payload, in JSON.
    pub payload: Bytes,
}

impl DeadLetter {
    /// About what it takes, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.payload.len() + self.event_type.len() + self.error.len() + self.user.as_deref().map_or(0, str::len) + 128
    }
}

/// What a claim found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The letter is the caller's for a while.
    Letter(DeadLetter),
    /// Somebody else replays it.
    Taken,
    /// There is no such letter.
    Gone,
}

/// What a bus keeps of dead letters; above a bound the oldest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterLimits {
    /// Letters; default 1,000.
    pub letters: usize,
    /// Bytes of all letters; default 16 MiB.
    pub bytes: usize,
    /// How long one is kept; default 7 days.
    pub age: Duration,
    /// How long a replay has a letter for itself; 60 s.
    pub claim: Duration,
}

impl Default for DeadLetterLimits {
    fn default() -> Self {
        Self {
            letters: defaults::DEAD_LETTERS as usize,
            bytes: defaults::DEAD_LETTER_BYTES as usize,
            age: Duration::from_millis(defaults::DEAD_LETTER_AGE_MS),
            claim: Duration::from_secs(60),
        }
    }
}
