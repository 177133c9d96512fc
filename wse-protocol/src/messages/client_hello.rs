//! `client_hello` ([P-20]): the first frame of a client.
use crate::{ErrorCode, Format, Position, Value, WireError, defaults};
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
    /// Whether it moves to another connection when it is told to ([P-67]).
    #[serde(rename = "move", skip_serializing_if = "std::ops::Not::not")]
    pub moves: bool,
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
    /// Asks for a session ([P-66]): what `server_ready` gave on an earlier connection, or "" for a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How long ago the client last heard of the server, milliseconds ([P-65]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away_ms: Option<u64>,
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

    /// Holds it against what this side offers ([P-8], [P-9]); the client's first format that is spoken here wins.
    ///
    /// # Errors
    /// `UNSUPPORTED_VERSION` or `UNSUPPORTED_FORMAT`.
    pub fn negotiate(&self, offered: Capabilities) -> Result<Agreed, WireError> {
        if self.versions.as_ref().is_some_and(|v| !v.contains(&defaults::PROTOCOL_VERSION)) {
            return Err(WireError::new(ErrorCode::UnsupportedVersion, "this server speaks version 2; update the client or the server"));
        }
        Ok(Agreed {
            format: self.format(offered)?,
            compression: offered.compression && self.compression.iter().any(|method| method == Compression::Zlib.as_str()),
            batch: offered.batch && self.batch,
        })
    }

    fn format(&self, offered: Capabilities) -> Result<Format, WireError> {
        let Some(formats) = &self.formats else {
            return Ok(Format::Json);
        };
        let spoken = |format: &Format| *format == Format::Json || offered.msgpack;
        formats.iter().filter_map(|name| Format::parse(name)).find(spoken).ok_or_else(|| {
            let speaks = if offered.msgpack { "\"json\" and \"msgpack\"" } else { "\"json\"" };
            WireError::new(ErrorCode::UnsupportedFormat, format!("this server speaks {speaks}; offer it in formats"))
        })
    }
}

/// A method of compression ([P-17]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One zlib stream for each frame.
    Zlib,
}

impl Compression {
    /// The name in the hellos.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zlib => "zlib",
        }
    }
}

/// What a server offers; JSON it always speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether it speaks MessagePack.
    pub msgpack: bool,
    /// Whether it compresses.
    pub compression: bool,
    /// Whether it sends batches.
    pub batch: bool,
}

impl Capabilities {
    /// All that this crate knows.
    pub const ALL: Self = Self { msgpack: true, compression: true, batch: true };
    /// JSON and nothing else.
    pub const PLAIN: Self = Self { msgpack: false, compression: false, batch: false };
}

/// What holds for one connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Agreed {
    /// The format of the server's frames after `server_hello`.
    pub format: Format,
    /// Whether `C:` is used.
    pub compression: bool,
    /// Whether the server may send `batch`.
    pub batch: bool,
}
