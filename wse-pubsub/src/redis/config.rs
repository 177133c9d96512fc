//! What can be set of a `RedisBus`.
use crate::{DeadLetterLimits, DirectLimits, OutcomeLimits, PresenceLimits};
use std::time::Duration;
use wse_core::{BreakerConfig, log::LogLimits};
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
            history: LogLimits::default(),
            meta_age: Duration::from_millis(defaults::META_AGE_MS),
            retry_age: Duration::from_millis(defaults::HISTORY_AGE_MS),
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
