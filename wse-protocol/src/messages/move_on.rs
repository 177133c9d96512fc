//! `move` ([P-67]): the server is to end, and the client goes on over another connection.
use crate::{Format, encode};
use serde::{Deserialize, Serialize};

/// When to open the other connection, and how long the first one is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// From the message to the first try.
    pub in_ms: u64,
    /// From the message to the end of this connection, which is a close with 1012.
    pub for_ms: u64,
}

impl Move {
    /// `t` on the wire.
    pub const KIND: &'static str = "move";

    /// Appends the frame's body.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) {
        encode::protocol_message(out, format, Self::KIND, None, self);
    }
}
