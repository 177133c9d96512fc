//! What a session is set to.
use std::{num::NonZeroU32, time::Duration};
use wse_protocol::{defaults, messages::Capabilities};

/// The limits and times of one connection; shared by all connections of an engine.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The server pings so often, and tells then of every topic that moved.
    pub heartbeat: Duration,
    /// A peer that sent nothing for so long is closed with 4002.
    pub idle_timeout: Duration,
    /// Time for `client_hello`; then 4003.
    pub handshake_timeout: Duration,
    /// Time for the authenticator to answer; then `AUTH_UNAVAILABLE`.
    pub auth_timeout: Duration,
    /// What clients may choose of formats, compression and batches; default all.
    pub capabilities: Capabilities,
    /// Largest message taken, bytes; told to the client. The transport enforces it, and it bounds what a message inflates to.
    pub message_bytes: usize,
    /// Subscriptions of one connection, patterns included.
    pub subscriptions: usize,
    /// Patterns of one connection.
    pub patterns: usize,
    /// Topics that one connection may have entered; then `TOO_MANY_PRESENCES`.
    pub presence_topics: usize,
    /// Bytes of JSON that a member shows to others; then `PRESENCE_DATA_TOO_LARGE`.
    pub presence_data_bytes: usize,
    /// Bytes that may wait for the peer; then topics give way by their policies.
    pub outbound_bytes: usize,
    /// Messages handed to handlers and not yet done with; then the peer is not read.
    pub handler_queue: usize,
    /// Messages per second that the peer may send; `None`: any number. Above it the peer is not read until it is within it.
    pub messages_per_second: Option<NonZeroU32>,
    /// Messages that may come at once.
    pub message_burst: u32,
    /// Bytes per second that the peer may send, and at once; `None`: any number.
    pub bytes_per_second: Option<NonZeroU32>,
    /// How long a peer may press against its rate; then `RATE_LIMITED`.
    pub rate_patience: Duration,
    /// The window of the client's return after a restart.
    pub restart_retry: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(defaults::HEARTBEAT_MS),
            idle_timeout: Duration::from_millis(defaults::IDLE_TIMEOUT_MS),
            handshake_timeout: Duration::from_millis(defaults::HANDSHAKE_TIMEOUT_MS),
            auth_timeout: Duration::from_millis(defaults::AUTH_TIMEOUT_MS),
            capabilities: Capabilities::ALL,
            message_bytes: defaults::MESSAGE_BYTES as usize,
            subscriptions: defaults::SUBSCRIPTIONS as usize,
            patterns: defaults::PATTERNS as usize,
            presence_topics: defaults::PRESENCE_TOPICS as usize,
            presence_data_bytes: defaults::PRESENCE_DATA_BYTES as usize,
            outbound_bytes: defaults::OUTBOUND_BYTES as usize,
            handler_queue: defaults::HANDLER_QUEUE as usize,
            messages_per_second: NonZeroU32::new(defaults::MESSAGES_PER_SECOND as u32),
            message_burst: defaults::MESSAGE_BURST as u32,
            bytes_per_second: NonZeroU32::new(defaults::BYTES_PER_SECOND as u32),
            rate_patience: Duration::from_millis(defaults::RATE_PATIENCE_MS),
            restart_retry: Duration::from_millis(defaults::RESTART_RETRY_MS),
        }
    }
}
