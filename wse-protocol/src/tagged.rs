//! The two bytes that a binary frame begins with ([P-14]).

/// A binary frame's body, sorted by its tag; what follows the tag is not judged yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged<'a> {
    /// `M:`, one MessagePack map: what follows.
    Msgpack(&'a [u8]),
    /// `C:`, one zlib stream: what follows.
    Compressed(&'a [u8]),
    /// A tag that the protocol keeps for later: `S:` (signed) or `E:` (sealed).
    Reserved(&'static str),
    /// No tag of the protocol, or fewer than two bytes.
    Unknown,
}

impl Tagged<'_> {
    /// Before MessagePack.
    pub const MSGPACK: &'static [u8] = b"M:";
    /// Before a zlib stream.
    pub const COMPRESSED: &'static [u8] = b"C:";
}

/// Sorts the body of a binary frame. `Reserved` and `Unknown` are answered with `UNSUPPORTED_FORMAT`.
///
/// ```
/// use wse_protocol::{Tagged, frame_body};
///
/// assert_eq!(frame_body(b"M:\x80"), Tagged::Msgpack(b"\x80"));
/// assert_eq!(frame_body(b"E:..."), Tagged::Reserved("E:"));
/// assert_eq!(frame_body(b"M"), Tagged::Unknown);
/// ```
#[must_use]
pub fn frame_body(bytes: &[u8]) -> Tagged<'_> {
    match bytes {
        [b'M', b':', rest @ ..] => Tagged::Msgpack(rest),
        [b'C', b':', rest @ ..] => Tagged::Compressed(rest),
        [b'S', b':', ..] => Tagged::Reserved("S:"),
        [b'E', b':', ..] => Tagged::Reserved("E:"),
        _ => Tagged::Unknown,
    }
}
