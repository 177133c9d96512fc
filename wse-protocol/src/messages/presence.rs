//! `presence` ([P-60]): a client enters a topic, changes what others see of it there, or leaves.
use crate::{ErrorCode, Value, WireError};
use serde::{Deserialize, Serialize};
use simd_json::prelude::*;

/// Bytes of the key of an anonymous client.
const KEY_BYTES: usize = 64;

/// What becomes of the client in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceAction {
    /// It is in it from now on.
    Enter,
    /// It is in it, with other data.
    Update,
    /// It is not in it any more.
    Leave,
}

/// One change of a client's presence. The topic is as sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresenceRequest {
    /// What to do.
    pub action: PresenceAction,
    /// Where.
    pub topic: String,
    /// What others see; null where absent.
    #[serde(default)]
    pub data: Value,
    /// What tells an anonymous client from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Correlation id for the answer.
    #[serde(skip)]
    pub cid: Option<Box<str>>,
}

impl PresenceRequest {
    /// `t` on the wire.
    pub const KIND: &'static str = "presence";

    pub(super) fn decode(payload: Value, cid: Option<Box<str>>) -> Result<Self, WireError> {
        let read: Self = super::fields(Self::KIND, payload)?;
        if read.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES) {
            return Err(WireError::new(ErrorCode::InvalidMessage, "presence: key has 1 to 64 bytes"));
        }
        Ok(Self { cid, ..read })
    }

    /// The data as JSON without white space.
    #[must_use]
    pub fn json(&self) -> String {
        self.data.encode()
    }
}
