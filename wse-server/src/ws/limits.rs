//! What a peer may send, in bytes.
use wse_protocol::defaults::MESSAGE_BYTES;

/// The largest limit that can be set, in bytes: 1 GiB. Above it a frame header could ask for more memory than there is.
pub const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// Bounds on what a [`Reader`](super::Reader) accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub(super) message_bytes: usize,
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
    /// A larger message is [`WsError::TooLarge`](super::WsError::TooLarge). Cost: a connection can hold about three times this much while a
    /// fragmented message grows, and its read buffer, 8 KiB at first, keeps the size of the largest frame that it has seen.
    #[must_use]
    pub fn message_bytes(mut self, bytes: usize) -> Self {
        self.message_bytes = bytes.min(MAX_MESSAGE_BYTES);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_the_table() {
        assert_eq!(Limits::default().message_bytes as u64, MESSAGE_BYTES);
    }

    #[test]
    fn a_limit_beyond_memory_is_lowered() {
        assert_eq!(Limits::default().message_bytes(usize::MAX).message_bytes, MAX_MESSAGE_BYTES);
    }
}
