//! What a peer sent, owned, so that it can go to another task.
use bytes::{Bytes, BytesMut};
use wse_protocol::ws;

/// What a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message of valid UTF-8; mutable, since JSON is parsed in place.
    Text(BytesMut),
    /// A whole message of bytes.
    Binary(BytesMut),
    /// Answer it with a pong of the same payload, at most 125 bytes.
    Ping(Bytes),
    /// The answer to a ping, or unasked.
    Pong(Bytes),
    /// The peer's last frame; answer with its code. `None` when it names none.
    Close(Option<CloseFrame>),
}

/// Why the peer closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// A code that may stand on the wire.
    pub code: u16,
    /// Text for people, at most 123 bytes; may be empty.
    pub reason: String,
}

impl From<ws::Incoming<'_>> for Incoming {
    fn from(incoming: ws::Incoming<'_>) -> Self {
        match incoming {
            ws::Incoming::Text(text) => Self::Text((&*text).into()),
            ws::Incoming::Binary(bytes) => Self::Binary((&*bytes).into()),
            ws::Incoming::Ping(payload) => Self::Ping(Bytes::copy_from_slice(payload)),
            ws::Incoming::Pong(payload) => Self::Pong(Bytes::copy_from_slice(payload)),
            ws::Incoming::Close { code, reason } => Self::Close(code.map(|code| CloseFrame { code, reason: reason.to_owned() })),
        }
    }
}
