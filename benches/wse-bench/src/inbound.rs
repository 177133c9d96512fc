//! What the floor reads of a client: frames found with no rule checked, or read by the decoder that WSE ships.
use crate::{scan::push_server_frame, stamp};
use wse_protocol::ws::{Decoder, Incoming, Limits};

/// How a connection's frames are read.
#[derive(Debug)]
pub enum Inbound {
    /// Whatever stands there is a whole message.
    Unchecked,
    /// By every rule of RFC 6455.
    Checked(Decoder),
}

impl Inbound {
    /// As a server's `READER` says: `checked`, or nothing.
    #[must_use]
    pub fn of(reader: Option<&str>) -> Self {
        if reader == Some("checked") { Self::Checked(Decoder::new(Limits::default())) } else { Self::Unchecked }
    }

    /// Reads what is whole in `bytes`. Answers go to `out`; messages that ask for none are counted in `handled`. Returns how many bytes
    /// were taken; none where the client broke a rule.
    pub fn take(&mut self, bytes: &mut [u8], out: &mut Vec<u8>, handled: &mut u64) -> Option<usize> {
        match self {
            Self::Unchecked => Some(find(bytes, out, handled)),
            Self::Checked(decoder) => decode(decoder, bytes, out, handled),
        }
    }
}

fn find(bytes: &mut [u8], out: &mut Vec<u8>, handled: &mut u64) -> usize {
    let mut at = 0;
    while let Some((opcode, from, len)) = client_frame(&bytes[at..]) {
        let (head, payload) = bytes[at..at + from + len].split_at_mut(from);
        unmask(payload, [head[from - 4], head[from - 3], head[from - 2], head[from - 1]]);
        match opcode {
            8 => push_server_frame(out, 8, &payload[..len.min(2)]),
            9 => push_server_frame(out, 10, payload),
            _ => message(opcode, payload, out, handled),
        }
        at += from + len;
    }
    at
}

fn decode(decoder: &mut Decoder, bytes: &mut [u8], out: &mut Vec<u8>, handled: &mut u64) -> Option<usize> {
    let len = bytes.len();
    let mut input = bytes;
    while let Some(incoming) = decoder.decode(&mut input).ok()? {
        match incoming {
            Incoming::Text(payload) => message(1, payload, out, handled),
            Incoming::Binary(payload) => message(2, payload, out, handled),
            Incoming::Ping(payload) => push_server_frame(out, 10, payload),
            Incoming::Pong(_) => {}
            Incoming::Close { code, .. } => push_server_frame(out, 8, code.map(u16::to_be_bytes).as_ref().map_or(&[], |code| code)),
        }
    }
    Some(len - input.len())
}

/// A stamp asks for an echo; what has none is counted, as a handler would.
fn message(opcode: u8, payload: &[u8], out: &mut Vec<u8>, handled: &mut u64) {
    if payload.get(1..3) == Some(stamp::MARK) {
        push_server_frame(out, opcode, payload);
    } else {
        *handled += 1;
    }
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

/// Opcode of the masked frame at the front, where its payload begins, and its length; none while it is not whole.
fn client_frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (from, len): (usize, usize) = match bytes.get(1)? & 0x7f {
        126 => (8, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (14, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        len => (6, usize::from(len)),
    };
    (bytes.len() >= from.checked_add(len)?).then(|| (bytes[0] & 0x0f, from, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::push_client_frame;

    /// What is answered to these bytes, how many messages are counted, and how many bytes are taken.
    fn read(reader: Option<&str>, bytes: &[u8]) -> Option<(Vec<u8>, u64, usize)> {
        let (mut bytes, mut out, mut handled) = (bytes.to_vec(), Vec::new(), 0);
        let taken = Inbound::of(reader).take(&mut bytes, &mut out, &mut handled)?;
        Some((out, handled, taken))
    }

    #[test]
    fn both_readers_count_echo_and_answer_the_same() {
        let mut bytes = Vec::new();
        let stamped = [b"\"".as_slice(), stamp::MARK, b" of any length but that of a word\""].concat();
        for (opcode, payload) in [(1, &b"\"counted, of 21 bytes\""[..]), (9, b"ping"), (1, &stamped), (2, &[0x61; 300]), (8, &[3, 232])] {
            push_client_frame(&mut bytes, opcode, payload, [0x12, 0x34, 0x56, 0x78]);
        }
        let mut answers = Vec::new();
        for (opcode, payload) in [(10, &b"ping"[..]), (1, &stamped), (8, &[3, 232])] {
            push_server_frame(&mut answers, opcode, payload);
        }
        for reader in [None, Some("checked")] {
            assert_eq!(read(reader, &bytes), Some((answers.clone(), 2, bytes.len())), "{reader:?}");
        }
    }

    #[test]
    fn a_part_of_a_frame_is_left_by_the_one_and_kept_by_the_other() {
        let mut bytes = Vec::new();
        push_client_frame(&mut bytes, 1, b"\"text\"", [1, 2, 3, 4]);
        let len = bytes.len();
        assert_eq!(read(None, &bytes[..len - 1]), Some((Vec::new(), 0, 0)));
        assert_eq!(read(Some("checked"), &bytes[..len - 1]), Some((Vec::new(), 0, len - 1)));
    }

    #[test]
    fn what_breaks_a_rule_is_taken_by_the_one_and_refused_by_the_other() {
        let mut bytes = Vec::new();
        push_client_frame(&mut bytes, 1, b"\xff", [1, 2, 3, 4]);
        assert_eq!(read(None, &bytes), Some((Vec::new(), 1, bytes.len())));
        assert_eq!(read(Some("checked"), &bytes), None);
    }
}
