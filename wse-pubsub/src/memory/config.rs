//! What can be set of a `MemoryBus`.
use crate::{DeadLetterLimits, DirectLimits, OutcomeLimits, PresenceLimits};
use std::time::Duration;
use wse_core::log::LogLimits;
use wse_protocol::defaults;

/// The bounds of a [`MemoryBus`](crate::MemoryBus).
#[derive(Debug, Clone)]
pub struct MemoryConfig {
    pub(crate) history: LogLimits,
    pub(crate) compress_after: Duration,
    pub(crate) budget_bytes: usize,
    pub(crate) meta_age: Duration,
    pub(crate) topics: usize,
    pub(crate) retry_age: Duration,
    pub(crate) retry_keys: usize,
    pub(crate) births: usize,
    pub(crate) outcomes: OutcomeLimits,
    pub(crate) dead_letters: DeadLetterLimits,
    pub(crate) direct: DirectLimits,
    pub(crate) presence: PresenceLimits,
    pub(crate) handover_bytes: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            history: LogLimits::default(),
            compress_after: Duration::from_millis(defaults::HISTORY_COMPRESS_AFTER_MS),
            budget_bytes: defaults::HISTORY_BUDGET_BYTES as usize,
            meta_age: Duration::from_millis(defaults::META_AGE_MS),
            topics: 100_000,
            retry_age: Duration::from_millis(defaults::IDEMPOTENCY_AGE_MS),
            retry_keys: defaults::IDEMPOTENCY_KEYS as usize,
            births: 16_384,
            outcomes: OutcomeLimits::default(),
            dead_letters: DeadLetterLimits::default(),
            direct: DirectLimits::default(),
            presence: PresenceLimits::default(),
            handover_bytes: defaults::HANDOVER_BYTES as usize,
        }
    }
}

impl MemoryConfig {
    /// What each topic's log holds; default 16,384 messages, 16 MiB, 300 s.
    #[must_use]
    pub fn history(mut self, limits: LogLimits) -> Self {
        self.history = limits;
        self
    }

    /// From which age payloads of 512 bytes or more are kept as lz4, where that is smaller; default 30 s, `Duration::MAX`: never.
    /// The bounds count what is held. Old ones are packed in small portions by calls that come anyway, and unpacked when read.
    #[must_use]
    pub fn compress_after(mut self, age: Duration) -> Self {
        self.compress_after = age;
        self
    }

    /// Bytes that all logs hold together; default 256 MiB. Above it the largest log gives up its oldest entry first.
    #[must_use]
    pub fn budget_bytes(mut self, bytes: usize) -> Self {
        self.budget_bytes = bytes;
        self
    }

    /// How long an emptied, unused topic's epoch and number are remembered; default 24 h. Afterwards it begins anew.
    #[must_use]
    pub fn meta_age(mut self, age: Duration) -> Self {
        self.meta_age = age;
        self
    }

    /// Topics remembered; default 100,000. Above it the one that was unused longest is forgotten, never one with interest.
    #[must_use]
    pub fn topics(mut self, count: usize) -> Self {
        self.topics = count;
        self
    }

    /// How long a `retry_key` makes a publish the same message; default 300 s.
    #[must_use]
    pub fn retry_age(mut self, age: Duration) -> Self {
        self.retry_age = age;
        self
    }

    /// Retry keys remembered; default 65,536. Above it the oldest is forgotten, and counted in
    /// [`BusHealth::retries_forgotten`](crate::BusHealth::retries_forgotten).
    #[must_use]
    pub fn retry_keys(mut self, count: usize) -> Self {
        self.retry_keys = count;
        self
    }

    /// Births that each namespace remembers; default 16,384. All namespaces together remember as many as `topics`: above it the
    /// one with most gives up its oldest first. Namespaces are bounded by `topics` too.
    #[must_use]
    pub fn births(mut self, count: usize) -> Self {
        self.births = count;
        self
    }

    /// What is kept of outcomes of clients' messages; see [`OutcomeLimits`].
    #[must_use]
    pub fn outcomes(mut self, limits: OutcomeLimits) -> Self {
        self.outcomes = limits;
        self
    }

    /// What is kept of messages whose handlers failed; see [`DeadLetterLimits`].
    #[must_use]
    pub fn dead_letters(mut self, limits: DeadLetterLimits) -> Self {
        self.dead_letters = limits;
        self
    }

    /// What is kept of messages to users and sessions; see [`DirectLimits`].
    #[must_use]
    pub fn direct(mut self, limits: DirectLimits) -> Self {
        self.direct = limits;
        self
    }

    /// What is kept of members; see [`PresenceLimits`].
    #[must_use]
    pub fn presence(mut self, limits: PresenceLimits) -> Self {
        self.presence = limits;
        self
    }

    /// Bytes that wait for each consumer before `publish` waits; default 4 MiB.
    #[must_use]
    pub fn handover_bytes(mut self, bytes: usize) -> Self {
        self.handover_bytes = bytes;
        self
    }
}
