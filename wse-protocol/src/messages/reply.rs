//! `reply` ([P-28]): what a handler returned.
use crate::{Format, WireError, encode};

/// A handler's answer, written already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Which request it answers.
    pub cid: &'a str,
    /// How the payload is written.
    pub format: Format,
    /// What the handler returned: one value.
    pub payload: &'a [u8],
}

impl Reply<'_> {
    /// `t` on the wire.
    pub const KIND: &'static str = "reply";

    /// Appends the frame's body.
    ///
    /// # Errors
    /// Those of [`transcode`](crate::transcode), when the payload is not what `self.format` says; nothing is appended then.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) -> Result<(), WireError> {
        encode::protocol_message_bytes(out, format, Self::KIND, Some(self.cid), self.format, self.payload)
    }
}
