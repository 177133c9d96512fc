//! Laws of the WebSocket decoder: for any stream, however it is cut, and beside an implementation that is not ours.
use std::io::{self, Cursor, Read, Write};

use proptest::{collection::vec, prelude::*, sample::Index};
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};
use wse_protocol::{
    frame::CONTROL_BYTES,
    ws::{DecodeError, Decoder, Incoming, Limits},
};

/// A limit that the streams of `frames` keep.
const LIMIT: usize = 1 << 20;

/// What an implementation gave, with nothing borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Received {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Incoming<'_>> for Received {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(text) => Self::Text(text.to_vec()),
            Incoming::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Incoming::Ping(payload) => Self::Ping(payload.to_vec()),
            Incoming::Pong(payload) => Self::Pong(payload.to_vec()),
            Incoming::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

impl From<Message> for Received {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.as_bytes().to_vec()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Message::Ping(payload) => Self::Ping(payload.to_vec()),
            Message::Pong(payload) => Self::Pong(payload.to_vec()),
            Message::Close(None) => Self::Close(None, String::new()),
            Message::Close(Some(close)) => Self::Close(Some(close.code.into()), close.reason.to_string()),
            Message::Frame(_) => unreachable!("it is never read"),
        }
    }
}

/// One message and the control frames between its fragments, as a client may send them.
#[derive(Debug, Clone)]
struct Sent {
    message: Received,
    /// Where it is cut into fragments.
    cuts: Vec<Index>,
    /// After the fragment of the same number; those after the last are left out.
    controls: Vec<Option<Received>>,
    mask: [u8; 4],
}

impl Sent {
    fn frames(&self, stream: &mut Vec<u8>) {
        let (opcode, payload) = wire(&self.message);
        let mut ends: Vec<_> = self.cuts.iter().map(|cut| cut.index(payload.len() + 1)).chain([payload.len()]).collect();
        ends.sort_unstable();
        let (mut start, last) = (0, ends.len() - 1);
        for (number, end) in ends.into_iter().enumerate() {
            let fin = if number == last { 0x80 } else { 0 };
            masked(fin | if number == 0 { opcode } else { 0 }, self.mask, &payload[start..end], stream);
            if let (true, Some(Some(control))) = (number < last, self.controls.get(number)) {
                let (opcode, payload) = wire(control);
                masked(0x80 | opcode, self.mask, &payload, stream);
            }
            start = end;
        }
    }

    fn expected(&self) -> impl Iterator<Item = Received> {
        let between = self.controls.iter().take(self.cuts.len()).flatten().cloned();
        between.chain([self.message.clone()])
    }
}

fn wire(message: &Received) -> (u8, Vec<u8>) {
    match message {
        Received::Text(text) => (1, text.clone()),
        Received::Binary(bytes) => (2, bytes.clone()),
        Received::Close(None, _) => (8, vec![]),
        Received::Close(Some(code), reason) => (8, [&code.to_be_bytes(), reason.as_bytes()].concat()),
        Received::Ping(payload) => (9, payload.clone()),
        Received::Pong(payload) => (10, payload.clone()),
    }
}

fn masked(first: u8, mask: [u8; 4], payload: &[u8], stream: &mut Vec<u8>) {
    stream.push(first);
    match payload.len() {
        len @ 0..126 => stream.push(0x80 | len as u8),
        len @ 126..65_536 => stream.extend([0xFE, (len >> 8) as u8, len as u8]),
        len => {
            stream.push(0xFF);
            stream.extend((len as u64).to_be_bytes());
        }
    }
    stream.extend(mask);
    stream.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

fn controls() -> impl Strategy<Value = Received> {
    let payload = || vec(any::<u8>(), 0..=CONTROL_BYTES);
    prop_oneof![payload().prop_map(Received::Ping), payload().prop_map(Received::Pong)]
}

fn messages() -> impl Strategy<Value = Received> {
    prop_oneof![
        12 => "\\PC{0,200}".prop_map(|text| Received::Text(text.into_bytes())),
        9 => vec(any::<u8>(), 0..300).prop_map(Received::Binary),
        1 => vec(any::<u8>(), 65_000..67_000).prop_map(Received::Binary),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let data = (messages(), vec(any::<Index>(), 0..4), vec(prop::option::of(controls()), 4), any::<[u8; 4]>())
        .prop_map(|(message, cuts, controls, mask)| Sent { message, cuts, controls, mask });
    let alone = (controls(), any::<[u8; 4]>()).prop_map(|(message, mask)| Sent { message, cuts: vec![], controls: vec![], mask });
    prop_oneof![3 => data, 1 => alone]
}

/// Messages and control frames, at times with a close behind them.
fn streams() -> impl Strategy<Value = Vec<Sent>> {
    let code = prop_oneof![Just(None), (3000_u16..5000).prop_map(Some), Just(Some(1000))];
    let close = (code, "\\PC{0,30}").prop_map(|(code, reason)| {
        let reason = if code.is_some() { reason } else { String::new() };
        Sent { message: Received::Close(code, reason), cuts: vec![], controls: vec![], mask: [9, 8, 7, 6] }
    });
    (vec(sent(), 0..6), prop::option::of(close)).prop_map(|(mut all, close)| {
        all.extend(close);
        all
    })
}

fn bytes_of(stream: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.iter().for_each(|sent| sent.frames(&mut bytes));
    bytes
}

/// All that reads of these sizes give; the largest memory that the decoder held.
fn decode(bytes: &[u8], limit: usize, sizes: &[usize]) -> (Vec<Received>, Option<DecodeError>, usize) {
    let mut decoder = Decoder::new(Limits::default().message_bytes(limit));
    let (mut all, mut held, mut rest, mut sizes) = (Vec::new(), 0, bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let (read, after) = rest.split_at(sizes.next().map_or(rest.len(), |&size| size.min(rest.len())));
        let mut read = read.to_vec();
        let mut input = &mut read[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(incoming)) => all.push(incoming.into()),
                Ok(None) => break,
                Err(error) => return (all, Some(error), held.max(decoder.heap_bytes())),
            }
            held = held.max(decoder.heap_bytes());
        }
        assert!(input.is_empty());
        held = held.max(decoder.heap_bytes());
        rest = after;
    }
    (all, None, held)
}

/// A stream that takes answers and forgets them.
struct Fed<'a>(Cursor<&'a [u8]>);

impl Read for Fed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Fed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite reads from the same bytes, until their end or its first error.
fn theirs(bytes: &[u8]) -> Vec<Received> {
    let mut socket = WebSocket::from_raw_socket(Fed(Cursor::new(bytes)), Role::Server, Some(WebSocketConfig::default()));
    std::iter::from_fn(|| socket.read().ok()).map(Received::from).collect()
}

proptest! {
    #[test]
    fn any_cut_of_a_valid_stream_gives_what_was_sent(stream in streams(), sizes in vec(1_usize..400, 1..20)) {
        let bytes = bytes_of(&stream);
        let expected: Vec<_> = stream.iter().flat_map(Sent::expected).collect();
        for sizes in [&[][..], &[1], &sizes] {
            let (all, error, _) = decode(&bytes, LIMIT, sizes);
            prop_assert_eq!(error, None);
            prop_assert_eq!(&all, &expected);
        }
    }

    #[test]
    fn tungstenite_reads_the_same(stream in streams(), sizes in vec(1_usize..400, 1..20)) {
        let bytes = bytes_of(&stream);
        prop_assert_eq!(decode(&bytes, LIMIT, &sizes).0, theirs(&bytes));
    }

    #[test]
    fn of_a_damaged_stream_nothing_is_given_that_tungstenite_does_not_give(
        stream in streams(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        sizes in vec(1_usize..400, 1..20),
    ) {
        let mut bytes = bytes_of(&stream);
        prop_assume!(!bytes.is_empty());
        for (at, flip) in damage {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let (ours, error, _) = decode(&bytes, LIMIT, &sizes);
        let theirs = theirs(&bytes);
        prop_assert!(theirs.starts_with(&ours), "{:?} {:?} {:?}", ours, error, theirs);
        prop_assert!(error.is_some() || ours == theirs, "{:?} {:?}", ours, theirs);
    }

    #[test]
    fn no_bytes_panic_and_memory_keeps_its_bound(
        stream in streams(),
        noise in vec(any::<u8>(), 0..200),
        at in any::<Index>(),
        limit in 0_usize..70_000,
        sizes in vec(1_usize..5000, 1..20),
    ) {
        let mut bytes = bytes_of(&stream);
        let at = at.index(bytes.len() + 1);
        bytes.splice(at..at, noise);
        let (all, error, held) = decode(&bytes, limit, &sizes);
        prop_assert!(held <= limit + CONTROL_BYTES, "{} bytes held", held);
        let at_once = decode(&bytes, limit, &[]);
        prop_assert_eq!((&all, error), (&at_once.0, at_once.1));
    }
}
