//! Whether a payload that somebody brings ready-made is what it is said to be: one broken payload would break every subscriber's frame.
use crate::msgpack::Reader;
use crate::{Format, WireError, defaults, tape};

/// Levels that a payload may have: those of a frame, less the envelope.
pub(crate) const PAYLOAD_DEPTH: usize = defaults::NESTING_DEPTH as usize - 1;

/// Reads `payload` to its end: one value of `format`, of JSON's types, of at most `nesting_depth` less one levels. JSON costs a copy.
///
/// # Errors
/// `INVALID_JSON`, `INVALID_MSGPACK` or `TOO_DEEP`.
pub fn check_payload(format: Format, payload: &[u8]) -> Result<(), WireError> {
    match format {
        Format::Json => tape::parse(&mut payload.to_vec(), PAYLOAD_DEPTH, |_| Ok(())),
        Format::Msgpack => {
            let mut reader = Reader::new(payload);
            reader.skip(PAYLOAD_DEPTH, PAYLOAD_DEPTH)?;
            reader.end()
        }
    }
}

/// Says whether JSON that is known to be valid has too many levels. What opens no more arrays and objects than that is not parsed.
///
/// # Errors
/// `TOO_DEEP`.
pub fn check_depth(json: &[u8]) -> Result<(), WireError> {
    // `[` and `{` differ in that bit. Counted in bytes as far as a byte goes, which the compiler does 32 at a time.
    let opens = |part: &[u8]| part.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    let opened: usize = json.chunks(u8::MAX.into()).map(|part| usize::from(opens(part))).sum();
    if opened <= PAYLOAD_DEPTH { Ok(()) } else { check_payload(Format::Json, json) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn code(format: Format, payload: &[u8]) -> Option<ErrorCode> {
        check_payload(format, payload).err().map(|error| error.code)
    }

    #[test]
    fn exactly_one_value_of_jsons_types_passes() {
        for fine in [&b"1"[..], b" {\"a\":[null,true,-1.5e3,\"\\ud83d\\ude00\"]} ", b"\"x\""] {
            assert_eq!(code(Format::Json, fine), None, "{fine:?}");
        }
        for bad in [&b""[..], b"{", b"1 2", b"{'a':1}", b"\"\xff\"", b"NaN", b"[1,]"] {
            assert_eq!(code(Format::Json, bad), Some(ErrorCode::InvalidJson), "{bad:?}");
        }
        // As Python's msgpack.packb makes them: {"a": [None, True, -1.5, "é"]}, and 7.
        for fine in [&b"\x81\xa1a\x94\xc0\xc3\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00\xa2\xc3\xa9"[..], b"\x07"] {
            assert_eq!(code(Format::Msgpack, fine), None, "{fine:?}");
        }
        // Nothing, a value more, bytes, a timestamp, a key that is a number, NaN, an array that claims more than there is.
        let bad = [&b""[..], b"\x07\x07", b"\xc4\x01a", b"\xd6\xff\0\0\0\0", b"\x81\x01\x01", b"\xcb\x7f\xf8\0\0\0\0\0\0", b"\x92\x01"];
        for bad in bad {
            assert_eq!(code(Format::Msgpack, bad), Some(ErrorCode::InvalidMsgpack), "{bad:?}");
        }
    }

    #[test]
    fn a_payload_may_have_one_level_less_than_a_frame() {
        let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        let packed = |levels: usize| [b"\x91".repeat(levels), vec![0xc0]].concat();
        for (levels, outcome) in [(PAYLOAD_DEPTH, None), (PAYLOAD_DEPTH + 1, Some(ErrorCode::TooDeep))] {
            assert_eq!(code(Format::Json, &nested(levels)), outcome);
            assert_eq!(code(Format::Msgpack, &packed(levels)), outcome);
            assert_eq!(check_depth(&nested(levels)).err().map(|error| error.code), outcome);
        }
        let wide = [&b"["[..], &b"[],".repeat(5000), b"0]"].concat();
        assert_eq!(check_depth(&wide), Ok(()), "many, but not deep");
    }
}
