//! What a peer sent, and what its close frame may hold.
use super::header::Kind;
use super::{DecodeError, Violation};
use crate::frame::is_close_code;

/// A whole message or control frame, borrowed from the read buffer or from the decoder.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A message. It is valid UTF-8; mutable bytes, since JSON is parsed in place.
    Text(&'a mut [u8]),
    /// A message of bytes.
    Binary(&'a mut [u8]),
    /// Answer it with a pong of the same payload, at most 125 bytes.
    Ping(&'a [u8]),
    /// The answer to a ping, or unasked; at most 125 bytes.
    Pong(&'a [u8]),
    /// The peer's last frame; answer with its code.
    Close {
        /// A code that may stand on the wire; `None` when the frame names none.
        code: Option<u16>,
        /// Text for people, at most 123 bytes; may be empty.
        reason: &'a str,
    },
}

/// What a whole, unmasked payload means. Text must have been checked.
pub(super) fn interpret(kind: Kind, payload: &mut [u8]) -> Result<Incoming<'_>, DecodeError> {
    Ok(match kind {
        Kind::Text => Incoming::Text(payload),
        Kind::Binary | Kind::Continuation => Incoming::Binary(payload),
        Kind::Ping => Incoming::Ping(payload),
        Kind::Pong => Incoming::Pong(payload),
        Kind::Close => return close(payload),
    })
}

fn close(payload: &[u8]) -> Result<Incoming<'_>, DecodeError> {
    let (code, reason) = match payload {
        [] => return Ok(Incoming::Close { code: None, reason: "" }),
        [_] => return Err(Violation::ClosePayload.into()),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_close_code(code) {
        return Err(Violation::CloseCode(code).into());
    }
    let reason = std::str::from_utf8(reason).map_err(|_| DecodeError::InvalidUtf8)?;
    Ok(Incoming::Close { code: Some(code), reason })
}
