//! What handlers and providers of snapshots return, as it is sent.
use crate::{Format, Payload};
use bytes::Bytes;
use serde::Serialize;

/// What a handler or a provider of snapshots may return: anything that serde writes, which goes out as JSON would have it (`()` is
/// null), or a payload as it came. Within something else a payload is its `value()`.
pub trait IntoPayload {
    /// The payload, written, and how.
    ///
    /// # Errors
    /// JSON cannot have the value: a map whose keys are neither strings nor numbers, for example.
    fn into_payload(self) -> Result<(Format, Bytes), serde_json::Error>;
}

impl<T: Serialize> IntoPayload for T {
    fn into_payload(self) -> Result<(Format, Bytes), serde_json::Error> {
        serde_json::to_vec(&self).map(|json| (Format::Json, json.into()))
    }
}

impl IntoPayload for Payload {
    fn into_payload(self) -> Result<(Format, Bytes), serde_json::Error> {
        Ok((Format::Msgpack, self.msgpack().clone()))
    }
}
