//! `server_hello` and `server_ready` ([P-21], [P-22]): what was negotiated, and leave to begin.
use crate::{defaults, encode};
use serde::{Deserialize, Serialize};

/// What was negotiated, and the limits that hold for the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHello {
    /// The protocol version.
    pub version: u64,
    /// The payload format.
    pub format: String,
    /// The connection's id.
    pub connection: String,
    /// Name and version of the server.
    pub server: String,
    /// The server pings after so long without a frame sent.
    pub heartbeat_ms: u64,
    /// The server closes after so long without a frame received.
    pub idle_timeout_ms: u64,
    /// The largest message that the server takes.
    pub message_bytes: u64,
    /// Subscriptions that the connection may hold.
    pub subscriptions: u64,
}

impl ServerHello {
    /// `t` on the wire.
    pub const KIND: &'static str = "server_hello";

    /// The hello of this version of WSE for one connection, with the default limits.
    #[must_use]
    pub fn new(connection: String) -> Self {
        Self {
            version: defaults::PROTOCOL_VERSION,
            format: "json".into(),
            connection,
            server: concat!("wse-server/", env!("CARGO_PKG_VERSION")).into(),
            heartbeat_ms: defaults::HEARTBEAT_MS,
            idle_timeout_ms: defaults::IDLE_TIMEOUT_MS,
            message_bytes: defaults::MESSAGE_BYTES,
            subscriptions: defaults::SUBSCRIPTIONS,
        }
    }

    /// Appends the text of the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::protocol_message(out, Self::KIND, None, self);
    }
}

/// Leave to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerReady {
    /// The connection's id.
    pub connection: String,
    /// Who the client is; none when anonymous.
    pub user: Option<String>,
    /// The window of a return after a restart.
    pub retry_ms: u64,
}

impl ServerReady {
    /// `t` on the wire.
    pub const KIND: &'static str = "server_ready";

    /// Appends the text of the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::protocol_message(out, Self::KIND, None, self);
    }
}
