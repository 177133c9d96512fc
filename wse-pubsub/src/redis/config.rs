//! What can be set of a `RedisBus`.
use crate::{DeadLetterLimits, DirectLimits, OutcomeLimits, PresenceLimits};
use std::time::Duration;
use wse_core::{BackoffConfig, BreakerConfig, ReorderLimits, log::LogLimits};
use wse_protocol::defaults;

/// Where the server is, how long to wait for it, and what it keeps.
#[derive(Clone)]
pub struct RedisConfig {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) publish_timeout: Duration,
    pub(crate) canary_interval: Duration,
    pub(crate) breaker: BreakerConfig,
    pub(crate) backoff: BackoffConfig,
    pub(crate) reorder: ReorderLimits,
    pub(crate) history: LogLimits,
    pub(crate) meta_age: Duration,
    pub(crate) retry_age: Duration,
    pub(crate) births: usize,
    pub(crate) outcomes: OutcomeLimits,
    pub(crate) dead_letters: DeadLetterLimits,
    pub(crate) direct: DirectLimits,
    pub(crate) presence: PresenceLimits,
    pub(crate) handover_bytes: usize,
}

impl RedisConfig {
    /// The defaults, for the server at `url`: `redis://[user:password@]host[:port][/database]` or `unix:///path`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            namespace: "wse".into(),
            connect_timeout: Duration::from_secs(2),
            publish_timeout: Duration::from_millis(defaults::PUBLISH_TIMEOUT_MS),
            canary_interval: Duration::from_secs(5),
            breaker: BreakerConfig::default(),
            backoff: BackoffConfig {
                base: Duration::from_millis(defaults::BUS_BACKOFF_BASE_MS),
                cap: Duration::from_millis(defaults::BUS_BACKOFF_CAP_MS),
                full_after: u32::MAX,
                restart_tries: 0,
            },
            reorder: ReorderLimits {
                items: defaults::BUS_REORDER_MESSAGES as usize,
                bytes: defaults::BUS_REORDER_BYTES as usize,
                // A hole needs no patience: bells of one connection come in order, so the log is read at once.
                wait: Duration::ZERO,
            },
            history: LogLimits::default(),
            meta_age: Duration::from_millis(defaults::META_AGE_MS),
            retry_age: Duration::from_millis(defaults::IDEMPOTENCY_AGE_MS),
            births: 16_384,
            outcomes: OutcomeLimits::default(),
            dead_letters: DeadLetterLimits::default(),
            direct: DirectLimits::default(),
            presence: PresenceLimits::default(),
            handover_bytes: defaults::HANDOVER_BYTES as usize,
        }
    }

    /// What every key and channel begins with; default `wse`. Applications that share a server need different ones.
    #[must_use]
    pub fn namespace(mut self, prefix: impl Into<String>) -> Self {
        self.namespace = prefix.into();
        self
    }

    /// How long one attempt to connect may take; default 2 s.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// How long a publish, subscribe or history read waits for the server; default 5 s.
    #[must_use]
    pub fn publish_timeout(mut self, time: Duration) -> Self {
        self.publish_timeout = time;
        self
    }

    /// How often the subscription connection is proved, and how long a proof may take; default 5 s, so a deaf one is noticed
    /// within 10 s.
    #[must_use]
    pub fn canary_interval(mut self, time: Duration) -> Self {
        self.canary_interval = time;
        self
    }

    /// Publishes in a row that got no answer within their timeout, after which further ones fail at once with
    /// [`BusError::Unavailable`](crate::BusError::Unavailable) and are not sent; default 5.
    #[must_use]
    pub fn breaker_failures(mut self, count: u32) -> Self {
        self.breaker.failures = count;
        self
    }

    /// How often one publish is sent nevertheless, to try the server: the first to get an answer ends it; default 1 s.
    #[must_use]
    pub fn breaker_cooldown(mut self, time: Duration) -> Self {
        self.breaker.cooldown = time;
        self
    }

    /// The most that the first wait for another attempt may be, which each failure doubles, and the most that any may be: of the
    /// connections to the server and of reads of logs; default 200 ms and 5 s. The wait is drawn between zero and that. A publish that
    /// is tried again waits `base` at most, then twice that.
    #[must_use]
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        (self.backoff.base, self.backoff.cap) = (base, cap);
        self
    }

    /// What is kept of each log's messages that are announced while the log is read after a hole; default 4,096 messages and 256 KiB.
    /// What comes above is read from the log again.
    #[must_use]
    pub fn reorder(mut self, messages: usize, bytes: usize) -> Self {
        (self.reorder.items, self.reorder.bytes) = (messages, bytes);
        self
    }

    /// How attempts of one publish are spaced: it has its timeout, so it does not wait as long as connections may.
    pub(crate) fn retries(&self) -> BackoffConfig {
        let base = self.backoff.base;
        BackoffConfig { cap: self.backoff.cap.min(base * 2), ..self.backoff }
    }

    /// What each topic's log holds; default 16,384 messages, 16 MiB, 300 s. The count is kept to about a hundred, bytes and
    /// age to 8 messages; reads trim too. There is no bound over all topics: set the server's `maxmemory` for that.
    #[must_use]
    pub fn history(mut self, limits: LogLimits) -> Self {
        self.history = limits;
        self
    }

    /// How long a topic's epoch and number are remembered after its last use; default 24 h.
    #[must_use]
    pub fn meta_age(mut self, age: Duration) -> Self {
        self.meta_age = age;
        self
    }

    /// How long a `retry_key` makes a publish the same message; default 300 s. Each costs the server one small key.
    #[must_use]
    pub fn retry_age(mut self, age: Duration) -> Self {
        self.retry_age = age;
        self
    }

    /// Births that each namespace remembers; default 16,384, kept to about a hundred. A namespace also has one small entry per
    /// topic that is remembered, and lives as long as they.
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

    /// Bytes that wait for each consumer before messages are left in the server's log and read later; default 4 MiB.
    #[must_use]
    pub fn handover_bytes(mut self, bytes: usize) -> Self {
        self.handover_bytes = bytes;
        self
    }
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = super::address::redacted(&self.url);
        f.debug_struct("RedisConfig").field("url", &url).field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
