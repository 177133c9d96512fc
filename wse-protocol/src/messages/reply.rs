//! `reply` ([P-28]): what a handler returned.
use crate::encode;

/// A handler's answer; the payload is JSON already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Which request it answers.
    pub cid: &'a str,
    /// What the handler returned.
    pub payload: &'a [u8],
}

impl Reply<'_> {
    /// `t` on the wire.
    pub const KIND: &'static str = "reply";

    /// Appends the text of the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::protocol_message_raw(out, Self::KIND, Some(self.cid), self.payload);
    }
}
