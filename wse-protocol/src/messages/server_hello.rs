//! `server_hello` and `server_ready` ([P-21], [P-22]): what was negotiated, and leave to begin.
use super::{Agreed, Compression};
use crate::{Epoch, Format, defaults, encode};
use serde::{Deserialize, Serialize};

/// What was negotiated, and the limits that hold for the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHello {
    /// The protocol version.
    pub version: u64,
    /// The format of what the server sends from here on.
    pub format: Format,
    /// The method of compression; none where it is not used.
    pub compression: Option<Compression>,
    /// Whether the server may send batches.
    pub batch: bool,
    /// The connection's id.
    pub connection: String,
    /// Name and version of the server.
    pub server: String,
    /// The server pings so often, whatever else it sends.
    pub heartbeat_ms: u64,
    /// The server closes after so long without a frame received.
    pub idle_timeout_ms: u64,
    /// The largest message that the server takes.
    pub message_bytes: u64,
    /// Subscriptions that the connection may hold.
    pub subscriptions: u64,
    /// Patterns among them.
    pub patterns: u64,
}

impl ServerHello {
    /// `t` on the wire.
    pub const KIND: &'static str = "server_hello";

    /// The hello of this version of WSE for one connection, with the default limits.
    #[must_use]
    pub fn new(connection: String, agreed: Agreed) -> Self {
        Self {
            version: defaults::PROTOCOL_VERSION,
            format: agreed.format,
            compression: agreed.compression.then_some(Compression::Zlib),
            batch: agreed.batch,
            connection,
            server: concat!("wse-server/", env!("CARGO_PKG_VERSION")).into(),
            heartbeat_ms: defaults::HEARTBEAT_MS,
            idle_timeout_ms: defaults::IDLE_TIMEOUT_MS,
            message_bytes: defaults::MESSAGE_BYTES,
            subscriptions: defaults::SUBSCRIPTIONS,
            patterns: defaults::PATTERNS,
        }
    }

    /// Appends the frame's body, which is JSON always ([P-9]).
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::protocol_message(out, Format::Json, Self::KIND, None, self);
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
    /// The producers' epoch ([P-52]); none where the server keeps no outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producers: Option<Epoch>,
    /// How long the server keeps outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes_ms: Option<u64>,
    /// What resumes the session ([P-66]); none where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl ServerReady {
    /// `t` on the wire.
    pub const KIND: &'static str = "server_ready";

    /// Appends the frame's body.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) {
        encode::protocol_message(out, format, Self::KIND, None, self);
    }
}
