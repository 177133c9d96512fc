//! Why a WebSocket cannot be read on, and the close code that says so to the peer.
use fastwebsockets::WebSocketError;
use wse_protocol::CloseCode;

/// The end of a WebSocket's readable side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WsError {
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
    /// The peer's side of the connection ended, with or without a close frame.
    #[error("the connection ended")]
    Eof,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] std::io::Error),
}

impl WsError {
    /// The code of the close frame to answer with; `None` when nobody is there to read it.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        let code = match self {
            Self::Protocol(_) => CloseCode::PROTOCOL,
            Self::InvalidUtf8 => CloseCode::INVALID_UTF8,
            Self::TooLarge { .. } => CloseCode::TOO_LARGE,
            Self::Eof | Self::Io(_) => return None,
        };
        Some(code.number())
    }

    pub(super) fn from_fastwebsockets(error: WebSocketError, limit: usize) -> Self {
        match error {
            WebSocketError::ReservedBitsNotZero => Violation::ReservedBits.into(),
            WebSocketError::InvalidValue => Violation::ReservedOpcode.into(),
            WebSocketError::ControlFrameFragmented => Violation::FragmentedControl.into(),
            WebSocketError::PingFrameTooLarge => Violation::LongControl.into(),
            WebSocketError::FrameTooLarge => Self::TooLarge { limit },
            WebSocketError::InvalidUTF8 => Self::InvalidUtf8,
            WebSocketError::UnexpectedEOF => Self::Eof,
            WebSocketError::IoError(error) => Self::Io(error),
            // The rest are errors of handshakes, of its own collector and of writing, none of which is used.
            other => Self::Io(std::io::Error::other(other)),
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
