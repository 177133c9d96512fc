//! `error` ([P-27]): what went wrong, whose fault it is by its code, and what to do by its sentence.
use crate::{Format, WireError, encode};
use serde::{Deserialize, Serialize};

/// An error as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// The stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// The topic, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

impl ErrorMessage {
    /// `t` on the wire.
    pub const KIND: &'static str = "error";

    /// Appends the frame's body.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>, cid: Option<&str>) {
        encode::protocol_message(out, format, Self::KIND, cid, self);
    }
}

impl ErrorMessage {
    /// An error about a topic.
    #[must_use]
    pub fn about(topic: impl Into<String>, error: &WireError) -> Self {
        Self { topic: Some(topic.into()), ..Self::from(error) }
    }
}

impl From<&WireError> for ErrorMessage {
    fn from(error: &WireError) -> Self {
        Self { code: error.code.as_str().into(), message: error.message.clone(), topic: None }
    }
}
