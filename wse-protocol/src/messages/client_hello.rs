//! `client_hello` ([P-20]): the first frame of a client.
use crate::{ErrorCode, Position, Value, WireError, defaults};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a client says of itself; every field may be absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientHello {
    /// Protocol versions that it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<u64>>,
    /// Payload formats, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formats: Option<Vec<String>>,
    /// Compression methods that it reads and writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compression: Vec<String>,
    /// Whether it reads batches.
    pub batch: bool,
    /// The credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Topics to subscribe to once ready.
    pub topics: Vec<String>,
    /// The highest positions that it has examined, by topic or pattern.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub positions: HashMap<String, Position>,
    /// The filters of topics and patterns, as sent.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub filters: HashMap<String, Value>,
    /// Name and version of the client, for logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

impl ClientHello {
    /// `t` on the wire.
    pub const KIND: &'static str = "client_hello";

    pub(super) fn decode(payload: Value) -> Result<Self, WireError> {
        if payload == Value::default() { Ok(Self::default()) } else { super::fields(Self::KIND, payload) }
    }

    /// Holds it against what this implementation speaks ([P-8]).
    ///
    /// # Errors
    /// `UNSUPPORTED_VERSION` or `UNSUPPORTED_FORMAT`.
    pub fn negotiate(&self) -> Result<(), WireError> {
        if self.versions.as_ref().is_some_and(|v| !v.contains(&defaults::PROTOCOL_VERSION)) {
            return Err(WireError::new(ErrorCode::UnsupportedVersion, "this server speaks version 2; update the client or the server"));
        }
        if self.formats.as_ref().is_some_and(|f| !f.iter().any(|f| f == "json")) {
            return Err(WireError::new(ErrorCode::UnsupportedFormat, "this server speaks \"json\"; offer it in formats"));
        }
        Ok(())
    }
}
