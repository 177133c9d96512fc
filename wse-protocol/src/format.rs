//! The two formats of an envelope and of a payload.
use serde::{Deserialize, Serialize};

/// How values are written: JSON text, or MessagePack with the values of JSON ([P-16]).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON (RFC 8259), in text frames.
    #[default]
    Json,
    /// MessagePack, in binary frames tagged `M:`.
    Msgpack,
}

impl Format {
    /// The name in the hellos ([P-9]).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Msgpack => "msgpack",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Json, Self::Msgpack].into_iter().find(|format| format.as_str() == name)
    }
}
