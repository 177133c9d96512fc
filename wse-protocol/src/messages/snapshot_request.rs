//! `snapshot_request` ([P-59]): a client asks for the state of topics that it has.
use crate::{ErrorCode, Value, WireError};
use serde::{Deserialize, Serialize};

/// Topics whose state is asked for, each answered by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRequest {
    /// Names as sent; at least one, and each once.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Correlation id, for what is refused.
    #[serde(skip)]
    pub cid: Option<Box<str>>,
}

impl SnapshotRequest {
    /// `t` on the wire.
    pub const KIND: &'static str = "snapshot_request";

    pub(super) fn decode(payload: Value, cid: Option<Box<str>>) -> Result<Self, WireError> {
        let mut read: Self = super::fields(Self::KIND, payload)?;
        if read.topics.is_empty() {
            return Err(WireError::new(ErrorCode::NoTopics, "snapshot_request: name at least one topic in p.topics"));
        }
        super::once(&mut read.topics);
        Ok(Self { cid, ..read })
    }
}
