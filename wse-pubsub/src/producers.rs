//! What a bus knows of clients' messages whose effect they want to know: what is started, and what is done with which outcome.
use crate::BusError;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use wse_protocol::{Epoch, ErrorCode, Format, Seq, cut, defaults};

/// Outcomes of clients' messages (clause G3 of the contract), by producer and number.
///
/// A message is begun, which starts it with a lease of this process, and done. A repetition finds what became of it. What cannot
/// be known is never taken for new.
#[async_trait::async_trait]
pub trait Producers: Send + Sync {
    /// The epoch of all outcomes, to tell to clients: another one where outcomes may have been lost. What this process knows now;
    /// an older one makes more repetitions unknown, never fewer.
    fn producers_epoch(&self) -> Epoch;

    /// What it keeps, and how long.
    fn outcome_limits(&self) -> OutcomeLimits;

    /// Asks leave to handle a message. The same `run` again is the same call.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; asking again with the same `run` is safe.
    async fn begin(&self, begin: &Begin<'_>) -> Result<Begun, BusError>;

    /// Stores the outcome of a message that was begun; the first one stands.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; storing again is safe.
    async fn done(&self, producer: &Producer, number: Seq, outcome: &Outcome) -> Result<(), BusError>;

    /// Takes a begin back that led to nothing: no handler was called. What is done, or was begun by another run, stays.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; trying again is safe.
    async fn undo(&self, producer: &Producer, number: Seq, run: u64) -> Result<(), BusError>;

    /// Says that this process lives: what it has begun goes on for another lease. Due more often than the lease while anything is
    /// begun and not done.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time.
    async fn renew(&self) -> Result<(), BusError>;
}

/// Whose messages they are: one outbox of one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Producer {
    /// The user; none for anonymous clients.
    pub user: Option<Arc<str>>,
    /// What the client chose.
    pub id: Box<str>,
}

/// A message that is to be handled.
#[derive(Debug, Clone, Copy)]
pub struct Begin<'a> {
    /// Whose it is.
    pub producer: &'a Producer,
    /// Its number, from 1.
    pub number: Seq,
    /// Outcomes up to this number were seen: they may be forgotten.
    pub seen: Seq,
    /// The epoch under which it was first sent; none where it is sent for the first time.
    pub sent: Option<&'a Epoch>,
    /// Random, of this call and its repetitions.
    pub run: u64,
    /// Run it even if it may have run before.
    pub again: bool,
}

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nobody handled it: it is the caller's now.
    Run,
    /// It was handled, with this outcome.
    Done(Outcome),
    /// It is being handled by a process that lives.
    Running,
    /// It may have been handled: whoever began it has died, or what was known of it is lost or was forgotten.
    Unknown,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handler's reply.
    Reply {
        /// How it is written.
        format: Format,
        /// One value.
        payload: Bytes,
    },
    /// An error, with its sentence.
    Error {
        /// The code on the wire.
        code: ErrorCode,
        /// For the client's developer.
        message: Arc<str>,
    },
}

impl Outcome {
    /// The outcome as it is kept: a reply above the limit becomes `REPLY_NOT_KEPT`, an error's sentence is cut there.
    #[must_use]
    pub fn kept(&self, limits: &OutcomeLimits) -> Self {
        match self {
            Self::Reply { payload, .. } if payload.len() > limits.reply_bytes => Self::Error {
                code: ErrorCode::ReplyNotKept,
                message: format!(
                    "the message was handled; its reply of {} bytes is more than {} that are kept",
                    payload.len(),
                    limits.reply_bytes
                )
                .into(),
            },
            Self::Error { code, message } if message.len() > limits.reply_bytes => {
                Self::Error { code: *code, message: cut(message, limits.reply_bytes).into() }
            }
            other => other.clone(),
        }
    }

    /// About what it takes, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Reply { payload, .. } => payload.len(),
            Self::Error { code, message } => code.as_str().len() + message.len(),
        }
    }
}

/// What a bus keeps of outcomes. What is forgotten before its time makes repetitions unknown, and is counted in
/// [`BusHealth::outcomes_forgotten`](crate::BusHealth::outcomes_forgotten).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeLimits {
    /// How long after its last message a producer is remembered; default 26 h: longer than clients keep messages, whatever their
    /// clocks do.
    pub age: Duration,
    /// How long a process that is not heard of is taken to live; default 10 s.
    pub lease: Duration,
    /// Messages remembered of each producer; default 4,096. Above it the lowest number is forgotten.
    pub messages: usize,
    /// Bytes of outcomes of each producer; default 4 MiB. Above it the lowest number is forgotten.
    pub bytes: usize,
    /// The largest reply that is kept; default 256 KiB. A repetition of a message with a larger one is told `REPLY_NOT_KEPT`;
    /// of an error's sentence so much is kept.
    pub reply_bytes: usize,
    /// Producers remembered; default 100,000. Above it the one that was silent longest is forgotten.
    pub producers: usize,
    /// Bytes of all outcomes; default 64 MiB. Above it the producer that was silent longest is forgotten.
    pub budget_bytes: usize,
}

impl Default for OutcomeLimits {
    fn default() -> Self {
        Self {
            age: Duration::from_millis(defaults::OUTCOME_AGE_MS),
            lease: Duration::from_millis(defaults::OUTCOME_LEASE_MS),
            messages: defaults::OUTCOME_MESSAGES as usize,
            bytes: defaults::OUTCOME_BYTES as usize,
            reply_bytes: defaults::OUTCOME_REPLY_BYTES as usize,
            producers: defaults::OUTCOME_PRODUCERS as usize,
            budget_bytes: defaults::OUTCOME_BUDGET_BYTES as usize,
        }
    }
}
