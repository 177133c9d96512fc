//! Finds WebSocket frames in what a server sent (RFC 6455, section 5.2), without copying.

/// One frame of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The last of its message.
    pub last: bool,
    /// 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// The payload.
    pub payload: &'a [u8],
}

/// Why bytes are no frame of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Servers do not mask.
    #[error("sent a masked frame")]
    Masked,
    /// A reserved bit or opcode: no extension was offered.
    #[error("sent a frame with reserved bits or opcode")]
    Reserved,
    /// More than this tool takes.
    #[error("sent a frame of more than {MOST_BYTES} bytes")]
    TooLong,
    /// Fragmented, or with more than 125 bytes of payload.
    #[error("sent a control frame that is fragmented or too long")]
    BadControl,
}

/// The largest payload that is taken.
pub const MOST_BYTES: usize = 16 << 20;

const LONGEST_CONTROL: usize = 125;

/// The frame at the front of `bytes` and how many bytes it takes; none while it is not whole.
///
/// # Errors
/// [`ScanError`], as soon as the header shows it.
#[inline]
pub fn next_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, ScanError> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
    check_first(first, second)?;
    let (header, len) = match second {
        126 => match rest.first_chunk::<2>() {
            Some(len) => (4, usize::from(u16::from_be_bytes(*len))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(len) => (10, usize::try_from(u64::from_be_bytes(*len)).unwrap_or(usize::MAX)),
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    if opcode >= 8 && (!last || len > LONGEST_CONTROL) {
        return Err(ScanError::BadControl);
    }
    if len > MOST_BYTES {
        return Err(ScanError::TooLong);
    }
    Ok(bytes.get(header..header + len).map(|payload| (Frame { last, opcode, payload }, header + len)))
}

#[inline]
fn check_first(first: u8, second: u8) -> Result<(), ScanError> {
    let reserved_opcode = matches!(first & 0x0f, 3..=7 | 11..=15);
    if first & 0x70 != 0 || reserved_opcode {
        return Err(ScanError::Reserved);
    }
    if second & 0x80 != 0 { Err(ScanError::Masked) } else { Ok(()) }
}

/// Appends a client's frame, masked with `mask`.
pub fn push_client_frame(to: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    to.push(0x80 | opcode);
    match payload.len() {
        len @ 0..126 => to.push(0x80 | len as u8),
        len @ 126..65536 => {
            to.push(0x80 | 126);
            to.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            to.push(0x80 | 127);
            to.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    to.extend_from_slice(&mask);
    to.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Appends a server's frame.
pub fn push_server_frame(to: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    to.push(0x80 | opcode);
    match payload.len() {
        len @ 0..126 => to.push(len as u8),
        len @ 126..65536 => {
            to.push(126);
            to.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            to.push(127);
            to.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    to.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_server_frame(&mut bytes, 1, payload);
        bytes
    }

    #[test]
    fn a_frame_of_every_header_size_is_found_whole_and_its_length_is_told() {
        for len in [0, 1, 125, 126, 127, 65535, 65536, 70000] {
            let mut bytes = server_frame(&vec![b'x'; len]);
            let whole = bytes.len();
            bytes.extend_from_slice(b"\x81\x02hi");
            let (frame, used) = next_frame(&bytes).expect("valid").expect("whole");
            assert_eq!((frame.payload.len(), used, frame.opcode, frame.last), (len, whole, 1, true));
            assert_eq!(next_frame(&bytes[used..]).expect("valid").expect("whole").0.payload, b"hi");
        }
    }

    #[test]
    fn no_cut_of_a_frame_is_taken_for_a_frame() {
        for len in [3, 126, 65536] {
            let bytes = server_frame(&vec![b'x'; len]);
            for cut in (0..bytes.len().min(20)).chain(bytes.len() - 3..bytes.len()) {
                assert_eq!(next_frame(&bytes[..cut]), Ok(None), "{len} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        assert_eq!(next_frame(&[0x81, 0x80]), Err(ScanError::Masked));
        assert_eq!(next_frame(&[0xc1, 0]), Err(ScanError::Reserved));
        assert_eq!(next_frame(&[0x83, 0]), Err(ScanError::Reserved));
        assert_eq!(next_frame(&[0x09, 0]), Err(ScanError::BadControl));
        assert_eq!(next_frame(&[0x89, 126, 0, 126]), Err(ScanError::BadControl));
        assert_eq!(next_frame(&[0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]), Err(ScanError::TooLong));
    }

    #[test]
    fn a_clients_frame_is_masked() {
        let mut bytes = Vec::new();
        push_client_frame(&mut bytes, 1, b"abc", [1, 2, 3, 4]);
        assert_eq!(bytes, [0x81, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3]);
    }
}
