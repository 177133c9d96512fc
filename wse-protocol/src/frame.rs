//! WebSocket frames as a server sends them (RFC 6455, section 5.2): unmasked, never fragmented, so that all receivers share one copy.
//!
//! ```
//! use wse_protocol::frame::{self, Opcode};
//!
//! assert_eq!(frame::text("hi").as_ref(), b"\x81\x02hi");
//! assert_eq!(frame::header(Opcode::Binary, 300).as_ref(), b"\x82\x7e\x01\x2c");
//! ```
use crate::cut;
use bytes::{BufMut, Bytes, BytesMut};

/// The longest payload of a ping, pong or close frame, in bytes (RFC 6455, section 5.5).
pub const CONTROL_BYTES: usize = 125;

/// The longest close reason in bytes: a control payload less its two-byte code.
pub const REASON_BYTES: usize = CONTROL_BYTES - 2;

/// What a frame is. Continuations are left out: a server of this protocol sends whole messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A message of UTF-8 text.
    Text = 0x1,
    /// A message of bytes.
    Binary = 0x2,
    /// The last frame of this direction.
    Close = 0x8,
    /// Asks the peer for a pong with the same payload.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xA,
}

/// The 2, 4 or 10 bytes before a frame's payload; read them with [`AsRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; 10],
    len: usize,
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The header of a final, unmasked frame whose payload has `len` bytes.
///
/// A control frame's payload may have [`CONTROL_BYTES`] at most; this function does not hold its caller to it.
#[must_use]
pub fn header(opcode: Opcode, len: usize) -> Header {
    let mut bytes = [0; 10];
    bytes[0] = 0x80 | opcode as u8;
    let len = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short), _) if short < 126 => {
            bytes[1] = short;
            2
        }
        (_, Ok(medium)) => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    Header { bytes, len }
}

/// A text frame. The payload must be UTF-8, or the peer fails the connection with 1007.
#[must_use]
pub fn text(payload: impl AsRef<[u8]>) -> Bytes {
    whole(Opcode::Text, payload.as_ref())
}

/// A binary frame.
#[must_use]
pub fn binary(payload: impl AsRef<[u8]>) -> Bytes {
    whole(Opcode::Binary, payload.as_ref())
}

/// A ping frame; a payload over [`CONTROL_BYTES`] is cut there.
#[must_use]
pub fn ping(payload: impl AsRef<[u8]>) -> Bytes {
    whole(Opcode::Ping, control(payload.as_ref()))
}

/// A pong frame; a payload over [`CONTROL_BYTES`] is cut there.
#[must_use]
pub fn pong(payload: impl AsRef<[u8]>) -> Bytes {
    whole(Opcode::Pong, control(payload.as_ref()))
}

/// A close frame. A reason over [`REASON_BYTES`] is cut there, at a character's border.
///
/// A code that may not stand on the wire ([`is_close_code`]) makes it [`close_without_code`].
#[must_use]
pub fn close(code: u16, reason: &str) -> Bytes {
    if !is_close_code(code) {
        return close_without_code();
    }
    let reason = cut(reason, REASON_BYTES).as_bytes();
    let mut frame = start(Opcode::Close, 2 + reason.len());
    frame.put_u16(code);
    frame.put_slice(reason);
    frame.freeze()
}

/// A close frame with an empty payload: the answer to a close that named no code.
#[must_use]
pub fn close_without_code() -> Bytes {
    Bytes::from_static(&[0x80 | Opcode::Close as u8, 0])
}

/// Whether a close frame may carry `code`: the registered 1000-1003 and 1007-1014, and 3000-4999 of libraries and applications.
///
/// Source: RFC 6455, section 7.4, and the IANA registry of WebSocket close codes, which added 1012 to 1014.
#[must_use]
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn control(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(CONTROL_BYTES)]
}

fn whole(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut frame = start(opcode, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

fn start(opcode: Opcode, len: usize) -> BytesMut {
    let header = header(opcode, len);
    let mut frame = BytesMut::with_capacity(header.len + len);
    frame.put_slice(header.as_ref());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_the_shortest_form() {
        let head = |len| header(Opcode::Text, len).as_ref().to_vec();
        assert_eq!(head(0), [0x81, 0]);
        assert_eq!(head(125), [0x81, 125]);
        assert_eq!(head(126), [0x81, 126, 0, 126]);
        assert_eq!(head(255), [0x81, 126, 0, 255]);
        assert_eq!(head(65_535), [0x81, 126, 255, 255]);
        assert_eq!(head(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn each_kind_has_its_opcode_and_no_mask() {
        assert_eq!(text("é").as_ref(), b"\x81\x02\xc3\xa9");
        assert_eq!(binary([1, 2]).as_ref(), [0x82, 2, 1, 2]);
        assert_eq!(ping("p").as_ref(), b"\x89\x01p");
        assert_eq!(pong("p").as_ref(), b"\x8a\x01p");
    }

    #[test]
    fn control_payloads_are_cut_at_125_bytes() {
        assert_eq!(ping([0; 126]).len(), 2 + 125);
        assert_eq!(pong([0; 126]).len(), 2 + 125);
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        let frame = close(1000, &"é".repeat(70));
        assert_eq!(frame[1], 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }

    #[test]
    fn codes_that_are_for_local_use_never_reach_the_wire() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert_eq!(close(code, "x"), close_without_code(), "{code}");
        }
        for code in [1000, 1003, 1007, 1012, 3000, 4401, 4999] {
            assert_eq!(close(code, "")[2..], code.to_be_bytes(), "{code}");
        }
    }
}
