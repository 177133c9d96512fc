//! `ping` and `pong` ([P-26]): life, and a round trip by the sender's own clock.
use crate::{ErrorCode, Value, WireError, encode};

/// Bytes that the payload of a ping may have as JSON.
const MAX_PAYLOAD: usize = 125;

/// Asks the peer for a `pong` with the same payload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ping {
    payload: Vec<u8>,
}

impl Ping {
    /// `t` on the wire.
    pub const KIND: &'static str = "ping";

    pub(super) fn decode(payload: Value) -> Result<Self, WireError> {
        let payload = simd_json::to_vec(&payload).map_err(|e| WireError::new(ErrorCode::InvalidMessage, format!("ping: {e}")))?;
        if payload.len() > MAX_PAYLOAD {
            return Err(WireError::new(ErrorCode::InvalidMessage, "ping: p has at most 125 bytes"));
        }
        Ok(Self { payload })
    }

    /// Appends the text of a ping without payload.
    pub fn encode(out: &mut Vec<u8>) {
        encode::protocol_message_raw(out, Self::KIND, None, b"null");
    }

    /// The answer.
    #[must_use]
    pub fn pong(self) -> Pong {
        Pong { payload: self.payload }
    }
}

/// Answers a `ping`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pong {
    payload: Vec<u8>,
}

impl Pong {
    /// `t` on the wire.
    pub const KIND: &'static str = "pong";

    /// Appends the text of the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::protocol_message_raw(out, Self::KIND, None, &self.payload);
    }
}
