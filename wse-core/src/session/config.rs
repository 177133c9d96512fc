//! What a session is set to.
use std::time::Duration;
use wse_protocol::defaults;

/// The limits and times of one connection.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The server pings after so long without a frame sent.
    pub heartbeat: Duration,
    /// A peer that sent nothing for so long is closed with 4002.
    pub idle_timeout: Duration,
    /// Time for `client_hello`; then 4003.
    pub handshake_timeout: Duration,
    /// Time for the authenticator to answer; then `AUTH_UNAVAILABLE`.
    pub auth_timeout: Duration,
    /// Largest message taken, bytes; told to the client. The transport enforces it.
    pub message_bytes: usize,
    /// Deepest nesting of a message, counting the envelope.
    pub nesting_depth: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Bytes that may wait for the peer; then 4001.
    pub outbound_bytes: usize,
    /// Messages handed to handlers and not yet done with; then the peer is not read.
    pub handler_queue: usize,
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
            message_bytes: defaults::MESSAGE_BYTES as usize,
            nesting_depth: defaults::NESTING_DEPTH as usize,
            subscriptions: defaults::SUBSCRIPTIONS as usize,
            outbound_bytes: defaults::OUTBOUND_BYTES as usize,
            handler_queue: defaults::HANDLER_QUEUE as usize,
            restart_retry: Duration::from_millis(defaults::RESTART_RETRY_MS),
        }
    }
}
