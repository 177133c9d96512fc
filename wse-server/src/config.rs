//! What an engine is set to.
use crate::{IdempotentTypes, policy::Policies};
use std::{sync::Arc, time::Duration};
use wse_core::{WireConfig, session::SessionConfig};
use wse_crypto::token::TokenVerifier;
use wse_protocol::defaults;
use wse_pubsub::MemoryConfig;

/// Settings of one engine. Public fields, since every one is plain data with a default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Limits and times of each connection.
    pub session: SessionConfig,
    /// Where messages are stored and numbered.
    pub bus: BusChoice,
    /// Whether somebody must approve each client: the host's `authenticate`.
    pub auth_required: bool,
    /// Checks each client's JSON Web Token; none by default. Only those with a valid one get in; where `auth_required` is set too,
    /// the host is asked after it. A connection outlives its token: it is checked when the client connects.
    pub tokens: Option<Arc<TokenVerifier>>,
    /// Origins of pages that may connect, as `https://app.example`; empty: the server's own, and any port of this machine for
    /// pages of this machine; `*`: any (refused where `auth_required`).
    pub allowed_origins: Vec<String>,
    /// A query parameter that may carry the token; none by default, since URLs end up in logs.
    pub token_query_parameter: Option<String>,
    /// A cookie that may carry the token.
    pub token_cookie: Option<String>,
    /// Connections at the same time; then 429 or close 4429. None by default.
    pub connections: Option<usize>,
    /// What holds for topics by their names; default: slow readers recover, and everybody sees everything.
    pub policies: Policies,
    /// How frames are made: compression and batches.
    pub wire: WireConfig,
    /// Different filters on one topic, over all shards; then `FILTER_LIMIT`. Default 64.
    pub filter_limit: usize,
    /// Topics that one connection may follow where it follows patterns, and births that may wait for one that does not read; past it
    /// the client is told `resync`. Default 1,000.
    pub pattern_topics: usize,
    /// How topics' states are asked for.
    pub snapshots: SnapshotConfig,
    /// How members of topics come and go.
    pub presence: PresenceConfig,
    /// Threads that serve connections. Default: half of the cores, at least 1; the other half is the application's.
    pub shards: usize,
    /// Messages that come within it are written together, once what came before was written; zero: each as soon as it can be. Some 10 to
    /// 20 ms save CPU where a server is near its limit, and nobody waits longer for a message than that. Default zero.
    pub flush_interval: Duration,
    /// Types whose handlers may run again where it is not known whether they have; default none.
    pub idempotent: IdempotentTypes,
    /// Where other processes serve, clients that are sent away go on there, spread over so long; zero: all are closed at once. For the
    /// callers of `drain`. Default 3 s.
    pub drain_window: Duration,
    /// How long `drain` waits for the last of them after that, and for clients to take their close.
    pub drain_timeout: Duration,
}

/// How topics' states are asked for. Public fields, as in [`EngineConfig`].
#[derive(Debug, Clone, Copy)]
pub struct SnapshotConfig {
    /// How long a client waits for a topic's state, a wait for its turn included; then `SNAPSHOT_FAILED`. Default 10 s.
    pub timeout: Duration,
    /// Calls to the application at the same time; more wait their turn. Default 64.
    pub calls: usize,
    /// Bytes of messages that are held, all topics together, while states are made, in case logs are trimmed meanwhile; above it the
    /// logs are all there is. Default 16 MiB.
    pub pin_bytes: usize,
}

/// How members of topics come and go; what is kept of them is the bus's [`PresenceLimits`](wse_pubsub::PresenceLimits). Public fields,
/// as in [`EngineConfig`].
#[derive(Debug, Clone, Copy)]
pub struct PresenceConfig {
    /// How long a client whose connection was lost is still in what it had entered; zero: not at all. Default 15 s, as long as the bus
    /// takes a process to live that is not heard of.
    pub grace: Duration,
    /// What happens within it is told to others together; what comes first is told at once. Default 200 ms.
    pub interval: Duration,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self { grace: Duration::from_millis(defaults::PRESENCE_GRACE_MS), interval: Duration::from_millis(defaults::PRESENCE_INTERVAL_MS) }
    }
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(defaults::SNAPSHOT_TIMEOUT_MS),
            calls: defaults::SNAPSHOT_CALLS as usize,
            pin_bytes: defaults::SNAPSHOT_PIN_BYTES as usize,
        }
    }
}

/// The bus of an engine.
#[derive(Debug, Clone)]
pub enum BusChoice {
    /// In this process.
    Memory(MemoryConfig),
    /// In a Redis server, shared by every process that names it.
    Redis(wse_pubsub::RedisConfig),
}

impl EngineConfig {
    /// Whether a client needs a credential.
    #[must_use]
    pub fn guarded(&self) -> bool {
        self.auth_required || self.tokens.is_some()
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            bus: BusChoice::Memory(MemoryConfig::default()),
            auth_required: false,
            tokens: None,
            allowed_origins: Vec::new(),
            token_query_parameter: None,
            token_cookie: None,
            connections: None,
            policies: Policies::default(),
            wire: WireConfig::default(),
            filter_limit: defaults::FILTER_LIMIT as usize,
            pattern_topics: defaults::PATTERN_TOPICS as usize,
            snapshots: SnapshotConfig::default(),
            presence: PresenceConfig::default(),
            shards: std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1),
            flush_interval: Duration::ZERO,
            idempotent: IdempotentTypes::default(),
            drain_window: Duration::from_millis(defaults::DRAIN_WINDOW_MS),
            drain_timeout: Duration::from_millis(defaults::PUBLISH_TIMEOUT_MS),
        }
    }
}
