//! Topic names: parsed once, shared everywhere.
use crate::{ErrorCode, WireError, defaults};
use std::{borrow::Borrow, fmt, sync::Arc};

/// A valid topic name ([P-31]); cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Parses a name.
    ///
    /// # Errors
    /// `RESERVED_TOPIC` for a leading `@`, `NOT_IMPLEMENTED` for a pattern (`orders:*`), `INVALID_TOPIC` for anything else
    /// that is no name: empty, over 200 bytes, or with control characters, white space, `,` or `*`.
    pub fn parse(name: &str) -> Result<Self, WireError> {
        let fault = |code, text: &str| Err(WireError::new(code, format!("topic {:?}: {text}", clipped(name))));
        if name.starts_with('@') {
            return fault(ErrorCode::ReservedTopic, "names that begin with @ are the server's; choose another name");
        }
        if name.len() > 2 && name.ends_with(":*") {
            return fault(ErrorCode::NotImplemented, "patterns are reserved; subscribe to exact names");
        }
        if name.is_empty() || name.len() as u64 > defaults::TOPIC_BYTES {
            return fault(ErrorCode::InvalidTopic, "a topic name has 1 to 200 bytes");
        }
        if name.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',' || c == '*') {
            return fault(ErrorCode::InvalidTopic, "a topic name has no control characters, white space, ',' or '*'");
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first characters of a name that may be a megabyte.
fn clipped(name: &str) -> String {
    name.chars().take(40).collect()
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
