//! What a peer may send, in bytes.
use crate::defaults::MESSAGE_BYTES;

/// The largest limit that can be set, in bytes: 1 GiB. Above it a peer could ask for more memory than there is.
pub const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// Bounds on what a [`Decoder`](super::Decoder) accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At most [`MAX_MESSAGE_BYTES`]; four bytes, since each connection holds one.
    message_bytes: u32,
}

impl Default for Limits {
    /// Messages to 1 MiB.
    fn default() -> Self {
        Self { message_bytes: 0 }.message_bytes(usize::try_from(MESSAGE_BYTES).unwrap_or(MAX_MESSAGE_BYTES))
    }
}

impl Limits {
    /// The largest message in bytes, all its fragments together. Default 1 MiB; more than [`MAX_MESSAGE_BYTES`] is taken as that.
    ///
    /// A larger message is [`DecodeError::TooLarge`](super::DecodeError::TooLarge), from the frame header that passes the limit. Cost: a
    /// connection can hold this much and 125 bytes while a message is on its way, but never much more than twice what has arrived.
    #[must_use]
    pub fn message_bytes(mut self, bytes: usize) -> Self {
        self.message_bytes = bytes.min(MAX_MESSAGE_BYTES) as u32;
        self
    }

    /// The limit that [`Limits::message_bytes`] set.
    #[must_use]
    pub fn max_message_bytes(self) -> usize {
        self.message_bytes as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_the_table() {
        assert_eq!(Limits::default().max_message_bytes() as u64, MESSAGE_BYTES);
    }

    #[test]
    fn a_limit_beyond_memory_is_lowered() {
        assert_eq!(Limits::default().message_bytes(usize::MAX).max_message_bytes(), MAX_MESSAGE_BYTES);
    }
}
