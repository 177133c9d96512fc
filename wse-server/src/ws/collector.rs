//! From frames to whole messages, within a bound: the rules of fragmentation, control frames and UTF-8. Pure.
use bytes::{Bytes, BytesMut};
use fastwebsockets::OpCode;
use wse_protocol::frame::{CONTROL_BYTES, is_close_code};

use super::{Limits, Violation, WsError};

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

/// One frame, unmasked.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) fin: bool,
    pub(super) opcode: OpCode,
    pub(super) payload: BytesMut,
}

/// Puts fragments together; holds at most one unfinished message.
#[derive(Debug)]
pub(super) struct Collector {
    limit: usize,
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    is_text: bool,
    bytes: BytesMut,
    /// Bytes of text known to be UTF-8; at most three less than there are.
    checked: usize,
}

impl Collector {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limit: limits.message_bytes, partial: None }
    }

    /// How many bytes the next data frame may have.
    pub(super) fn room(&self) -> usize {
        self.limit - self.partial.as_ref().map_or(0, |partial| partial.bytes.len())
    }

    /// Takes the next frame; gives what it completes, if it completes anything.
    pub(super) fn push(&mut self, frame: Fragment) -> Result<Option<Incoming>, WsError> {
        match frame.opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong => control(frame).map(Some),
            _ if frame.payload.len() > self.room() => Err(WsError::TooLarge { limit: self.limit }),
            OpCode::Text => self.begin(true, frame),
            OpCode::Binary => self.begin(false, frame),
            OpCode::Continuation => self.proceed(frame),
        }
    }

    fn begin(&mut self, is_text: bool, frame: Fragment) -> Result<Option<Incoming>, WsError> {
        if self.partial.is_some() {
            return Err(Violation::Interleaved.into());
        }
        let partial = Partial { is_text, bytes: frame.payload, checked: 0 };
        self.settle(partial, frame.fin)
    }

    fn proceed(&mut self, frame: Fragment) -> Result<Option<Incoming>, WsError> {
        let mut partial = self.partial.take().ok_or(Violation::LoneContinuation)?;
        partial.bytes.extend_from_slice(&frame.payload);
        self.settle(partial, frame.fin)
    }

    fn settle(&mut self, mut partial: Partial, fin: bool) -> Result<Option<Incoming>, WsError> {
        if partial.is_text {
            partial.check(fin)?;
        }
        if !fin {
            self.partial = Some(partial);
            return Ok(None);
        }
        Ok(Some(match partial.is_text {
            true => Incoming::Text(partial.bytes),
            false => Incoming::Binary(partial.bytes),
        }))
    }
}

impl Partial {
    /// Checks what has not been checked, so that wrong text fails with the fragment that holds it. A character may be cut at the end unless `fin`.
    fn check(&mut self, fin: bool) -> Result<(), WsError> {
        let tail = self.bytes.get(self.checked..).unwrap_or_default();
        self.checked += match std::str::from_utf8(tail) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() && !fin => error.valid_up_to(),
            Err(_) => return Err(WsError::InvalidUtf8),
        };
        Ok(())
    }
}

fn control(frame: Fragment) -> Result<Incoming, WsError> {
    if frame.payload.len() > CONTROL_BYTES {
        return Err(Violation::LongControl.into());
    }
    let payload = frame.payload.freeze();
    match frame.opcode {
        OpCode::Ping => Ok(Incoming::Ping(payload)),
        OpCode::Pong => Ok(Incoming::Pong(payload)),
        _ => close(&payload).map(Incoming::Close),
    }
}

fn close(payload: &[u8]) -> Result<Option<CloseFrame>, WsError> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(Violation::ClosePayload.into()),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_close_code(code) {
        return Err(Violation::CloseCode(code).into());
    }
    let reason = std::str::from_utf8(reason).map_err(|_| WsError::InvalidUtf8)?.to_owned();
    Ok(Some(CloseFrame { code, reason }))
}
