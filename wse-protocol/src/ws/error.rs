//! Why a peer's bytes cannot be read on, and the close code that says so to it.
use crate::CloseCode;

/// What a peer did that ends the readable side of its WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The peer broke RFC 6455; answer with 1002.
    #[error("the peer broke the WebSocket protocol: {0}")]
    Protocol(#[from] Violation),
    /// A text message or a close reason is not UTF-8; answer with 1007.
    #[error("a text message or close reason is not UTF-8")]
    InvalidUtf8,
    /// A message passes the limit; answer with 1009.
    #[error("a message is larger than {limit} bytes")]
    TooLarge {
        /// [`Limits::message_bytes`](super::Limits::message_bytes).
        limit: usize,
    },
}

impl DecodeError {
    /// The code of the close frame to answer with.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Protocol(_) => CloseCode::PROTOCOL,
            Self::InvalidUtf8 => CloseCode::INVALID_UTF8,
            Self::TooLarge { .. } => CloseCode::TOO_LARGE,
        }
    }
}

/// A rule of RFC 6455 that a peer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Section 5.1.
    #[error("a client's frame is not masked")]
    Unmasked,
    /// Section 5.2; no extension is ever negotiated.
    #[error("a reserved bit is set")]
    ReservedBits,
    /// Section 5.2.
    #[error("the opcode is reserved")]
    ReservedOpcode,
    /// Section 5.2: the shortest form must be used, and the highest bit of 64 must be 0.
    #[error("a length is not in its shortest form, or has its highest bit set")]
    LengthForm,
    /// Section 5.5.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// Section 5.5.
    #[error("a control frame has more than 125 bytes")]
    LongControl,
    /// Section 5.4.
    #[error("a continuation continues no message")]
    LoneContinuation,
    /// Section 5.4.
    #[error("a message begins within a fragmented message")]
    Interleaved,
    /// Section 5.5.1.
    #[error("a close frame has a payload of one byte")]
    ClosePayload,
    /// Section 7.4.
    #[error("{0} may not stand in a close frame")]
    CloseCode(u16),
}
