//! `ping` and `pong` ([P-26]): life, and a round trip by the sender's own clock.
use crate::{ErrorCode, Format, Value, WireError, encode};

/// Bytes that the payload of a ping may have, written as JSON.
const MAX_PAYLOAD: usize = 125;

/// Asks the peer for a `pong` with the same payload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ping {
    payload: Value,
}

impl Ping {
    /// `t` on the wire.
    pub const KIND: &'static str = "ping";

    pub(super) fn decode(payload: Value) -> Result<Self, WireError> {
        let text = simd_json::to_vec(&payload).map_err(|e| WireError::new(ErrorCode::InvalidMessage, format!("ping: {e}")))?;
        if text.len() > MAX_PAYLOAD {
            return Err(WireError::new(ErrorCode::InvalidMessage, "ping: p has at most 125 bytes as JSON"));
        }
        Ok(Self { payload })
    }

    /// Appends the body of a ping without payload.
    pub fn encode(format: Format, out: &mut Vec<u8>) {
        encode::protocol_message(out, format, Self::KIND, None, &());
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
    payload: Value,
}

impl Pong {
    /// `t` on the wire.
    pub const KIND: &'static str = "pong";

    /// Appends the frame's body.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) {
        encode::protocol_message(out, format, Self::KIND, None, &self.payload);
    }
}
