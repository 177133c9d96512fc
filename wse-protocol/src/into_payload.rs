//! What handlers and providers of snapshots return, as it is sent.
use crate::{ErrorCode, Format, Payload, WireError};
use bytes::Bytes;
use serde::Serialize;

/// What a handler or a provider of snapshots may return: anything that serde writes, which goes out as JSON would have it (`()` is null), or a payload as it came.
pub trait IntoPayload {
    /// The payload, written, and how.
    ///
    /// # Errors
    /// `HANDLER_FAILED`, where JSON cannot have the value: a map whose keys are no strings, for example.
    fn into_payload(self) -> Result<(Format, Bytes), WireError>;
}

impl<T: Serialize> IntoPayload for T {
    fn into_payload(self) -> Result<(Format, Bytes), WireError> {
        let written = serde_json::to_vec(&self).map_err(|error| {
            WireError::new(ErrorCode::HandlerFailed, format!("what the server wanted to answer cannot be written as JSON: {error}"))
        });
        written.map(|json| (Format::Json, json.into()))
    }
}

impl IntoPayload for Payload {
    fn into_payload(self) -> Result<(Format, Bytes), WireError> {
        Ok((Format::Msgpack, self.msgpack().clone()))
    }
}
