//! The rules of RFC 6455, each with the frames that keep or break it.
use super::*;

/// What a decoder gave, with nothing borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Incoming<'_>> for Received {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(text) => Self::Text(String::from_utf8(text.to_vec()).expect("checked text")),
            Incoming::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Incoming::Ping(payload) => Self::Ping(payload.to_vec()),
            Incoming::Pong(payload) => Self::Pong(payload.to_vec()),
            Incoming::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// A masked frame with any first byte, such as `0x81` for a whole text.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65_536 => frame.extend([0xFE, (len >> 8) as u8, len as u8]),
        len => {
            frame.push(0xFF);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn decoder(limit: usize) -> Decoder {
    Decoder::new(Limits::default().message_bytes(limit))
}

/// All that one read of these bytes gives.
fn feed(decoder: &mut Decoder, bytes: &[u8]) -> (Vec<Received>, Option<DecodeError>) {
    let mut read = bytes.to_vec();
    let (mut input, mut all) = (&mut read[..], Vec::new());
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(incoming)) => all.push(incoming.into()),
            Ok(None) => {
                assert!(input.is_empty(), "all input is taken");
                return (all, None);
            }
            Err(error) => return (all, Some(error)),
        }
    }
}

/// The same whether the bytes come in one read or one by one.
fn read(limit: usize, frames: &[Vec<u8>]) -> (Vec<Received>, Option<DecodeError>) {
    let bytes = frames.concat();
    let at_once = feed(&mut decoder(limit), &bytes);
    let (mut slow, mut one_by_one) = (decoder(limit), (Vec::new(), None));
    for byte in bytes {
        let (received, error) = feed(&mut slow, &[byte]);
        one_by_one.0.extend(received);
        one_by_one.1 = one_by_one.1.or(error);
    }
    assert_eq!(at_once, one_by_one);
    at_once
}

fn violation(frames: &[Vec<u8>]) -> Violation {
    match read(1000, frames).1 {
        Some(DecodeError::Protocol(violation)) => violation,
        other => panic!("expected a violation, got {other:?}"),
    }
}

fn close_code(limit: usize, frames: &[Vec<u8>]) -> Option<u16> {
    read(limit, frames).1.map(|error| error.close_code().number())
}

fn text(text: &str) -> Received {
    Received::Text(text.to_owned())
}

#[test]
fn every_kind_is_read() {
    let frames = [masked(0x81, b"text"), masked(0x82, &[255]), masked(0x89, b"i"), masked(0x8A, b"o"), masked(0x88, b"\x03\xe8bye")];
    let expected = [
        text("text"),
        Received::Binary(vec![255]),
        Received::Ping(b"i".to_vec()),
        Received::Pong(b"o".to_vec()),
        Received::Close(Some(1000), "bye".to_owned()),
    ];
    assert_eq!(read(1000, &frames), (expected.to_vec(), None));
}

#[test]
fn every_form_of_length_is_read() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        assert_eq!(read(70_000, &[masked(0x82, &vec![7; len])]).0, [Received::Binary(vec![7; len])], "{len}");
    }
}

#[test]
fn an_empty_close_names_no_code() {
    assert_eq!(read(1000, &[masked(0x88, b"")]).0, [Received::Close(None, String::new())]);
}

#[test]
fn nothing_is_read_after_a_close_or_an_error() {
    let (all, end) = read(1000, &[masked(0x88, b""), masked(0x81, b"late")]);
    assert_eq!((all.len(), end), (1, None));
    let mut decoder = decoder(1000);
    let bytes = [masked(0x83, b""), masked(0x81, b"late")].concat();
    assert_eq!(feed(&mut decoder, &bytes), (vec![], Some(Violation::ReservedOpcode.into())));
    assert_eq!(feed(&mut decoder, &masked(0x81, b"later")), (vec![], None));
}

#[test]
fn control_frames_come_between_fragments() {
    let frames = [masked(0x01, b"a"), masked(0x89, b"p"), masked(0x00, b"b"), masked(0x8A, b""), masked(0x80, b"c")];
    let expected = [Received::Ping(b"p".to_vec()), Received::Pong(vec![]), text("abc")];
    assert_eq!(read(1000, &frames).0, expected);
}

#[test]
fn empty_fragments_make_an_empty_message() {
    let frames = [masked(0x01, b""), masked(0x00, b""), masked(0x89, b"p"), masked(0x80, b""), masked(0x81, b"next")];
    assert_eq!(read(1000, &frames).0, [Received::Ping(b"p".to_vec()), text(""), text("next")]);
}

#[test]
fn a_frame_without_mask_is_refused_by_its_second_byte() {
    assert_eq!(violation(&[b"\x81\x02hi".to_vec()]), Violation::Unmasked);
    assert_eq!(violation(&[b"\x82\x00".to_vec()]), Violation::Unmasked);
    assert_eq!(violation(&[b"\x82\x7f".to_vec()]), Violation::Unmasked);
}

#[test]
fn reserved_bits_and_opcodes_are_refused_by_the_first_byte() {
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(violation(&[vec![0x81 | bit]]), Violation::ReservedBits);
    }
    for opcode in (3..8).chain(11..16) {
        assert_eq!(violation(&[vec![0x80 | opcode]]), Violation::ReservedOpcode);
    }
}

#[test]
fn control_frames_are_whole_and_short() {
    for opcode in [8, 9, 10] {
        assert_eq!(violation(&[vec![opcode]]), Violation::FragmentedControl);
        assert_eq!(violation(&[vec![0x80 | opcode, 0xFE]]), Violation::LongControl);
        assert_eq!(violation(&[vec![0x80 | opcode, 0xFF]]), Violation::LongControl);
    }
    assert_eq!(read(0, &[masked(0x89, &[3; 125])]).0, [Received::Ping(vec![3; 125])]);
}

#[test]
fn fragments_follow_their_order() {
    assert_eq!(violation(&[vec![0x80]]), Violation::LoneContinuation);
    assert_eq!(violation(&[masked(0x01, b"a"), masked(0x80, b"b"), vec![0x00]]), Violation::LoneContinuation);
    assert_eq!(violation(&[masked(0x82, b"a"), vec![0x80]]), Violation::LoneContinuation);
    for next in [0x81, 0x82, 0x01, 0x02] {
        assert_eq!(violation(&[masked(0x01, b""), vec![next]]), Violation::Interleaved);
    }
}

#[test]
fn a_length_takes_the_shortest_form() {
    assert_eq!(violation(&[vec![0x82, 0xFE, 0, 125]]), Violation::LengthForm);
    assert_eq!(violation(&[vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]]), Violation::LengthForm);
}

#[test]
fn the_highest_bit_of_a_length_is_clear() {
    assert_eq!(violation(&[vec![0x82, 0xFF, 0x80]]), Violation::LengthForm);
}

#[test]
fn a_close_carries_a_whole_code_that_may_stand_on_the_wire() {
    assert_eq!(violation(&[masked(0x88, &[3])]), Violation::ClosePayload);
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535] {
        assert_eq!(violation(&[masked(0x88, &code.to_be_bytes())]), Violation::CloseCode(code));
    }
}

#[test]
fn text_and_reasons_are_utf8() {
    let frames: [&[Vec<u8>]; 6] = [
        &[masked(0x81, b"a\xff")],
        &[masked(0x81, b"a\xe2\x82")],
        &[masked(0x88, b"\x03\xe8\xff")],
        &[masked(0x01, b"a\xe2"), masked(0x80, b"\x28")],
        &[masked(0x01, b"a\xe2"), masked(0x80, b"\x82")],
        &[masked(0x01, b"a\xe2\x82"), masked(0x80, b"")],
    ];
    for frames in frames {
        assert_eq!(close_code(1000, frames), Some(1007), "{frames:x?}");
    }
}

#[test]
fn wrong_text_fails_with_its_first_wrong_byte() {
    // A surrogate, a value past the last, an overlong form: each wrong at its second byte. The rest of the frame never comes.
    for wrong in [b"\xed\xa0", b"\xf4\x90", b"\xe0\x9f", b"a\xff"] {
        let whole = masked(0x81, &[&wrong[..], &[b'x'; 50]].concat());
        let first = whole[..6 + 2].to_vec();
        assert_eq!(close_code(1000, &[first]), Some(1007), "{wrong:x?}");
        assert_eq!(close_code(1000, &[masked(0x01, wrong)]), Some(1007), "{wrong:x?}");
    }
    let cut = masked(0x81, "é".repeat(9).as_bytes())[..6 + 9].to_vec();
    assert_eq!(read(1000, &[cut]), (vec![], None));
}

#[test]
fn a_character_may_be_cut_by_fragments_and_reads() {
    let euro = "€𝄞".as_bytes();
    for at in 0..=euro.len() {
        let frames = [masked(0x01, &euro[..at]), masked(0x89, b"\xff"), masked(0x80, &euro[at..])];
        assert_eq!(read(1000, &frames).0, [Received::Ping(vec![0xFF]), text("€𝄞")]);
    }
}

#[test]
fn bytes_of_binary_messages_are_not_text() {
    assert_eq!(read(1000, &[masked(0x02, b"\xff"), masked(0x80, b"\xe2")]).0, [Received::Binary(vec![0xFF, 0xE2])]);
}

#[test]
fn the_limit_counts_the_whole_message() {
    assert_eq!(read(8, &[masked(0x01, b"1234"), masked(0x80, b"5678")]).0, [text("12345678")]);
    assert_eq!(read(8, &[masked(0x82, &[0; 8]), masked(0x82, &[0; 8])]).0.len(), 2);
    let frames: [&[Vec<u8>]; 3] = [&[masked(0x82, &[0; 9])], &[masked(0x01, b"1234"), masked(0x80, b"56789")], &[masked(0x02, &[0; 200])]];
    for frames in frames {
        assert_eq!(close_code(8, frames), Some(1009), "{frames:x?}");
    }
}

#[test]
fn a_message_that_fills_the_limit_leaves_room_for_control_frames() {
    let frames = [masked(0x01, b"12345678"), masked(0x89, &[7; 125]), masked(0x80, b"")];
    assert_eq!(read(8, &frames).0, [Received::Ping(vec![7; 125]), text("12345678")]);
}

#[test]
fn a_length_is_refused_from_the_header_alone() {
    let header = [&[0x82, 0xFF][..], &(u64::MAX >> 1).to_be_bytes(), &MASK].concat();
    assert_eq!(close_code(usize::MAX, &[header]), Some(1009));
    let second = [&masked(0x02, &[0; 100])[..], &[0x80, 0xFE, 0x03, 0x85], &MASK].concat();
    assert_eq!(close_code(1000, &[second]), Some(1009));
}

#[test]
fn a_message_within_one_read_is_not_copied() {
    let mut read = [masked(0x81, &[b'x'; 300]), masked(0x82, b"yy")].concat();
    let places: Vec<_> = [8, 8 + 300 + 6].into_iter().map(|at| read[at..].as_ptr()).collect();
    let (mut decoder, mut input) = (decoder(1000), &mut read[..]);
    for place in places {
        match decoder.decode(&mut input) {
            Ok(Some(Incoming::Text(payload) | Incoming::Binary(payload))) => assert_eq!(payload.as_ptr(), place),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn who_stops_early_keeps_the_rest_of_the_read() {
    let mut read = [masked(0x81, b"one"), masked(0x81, b"two"), vec![0x81]].concat();
    let (mut decoder, mut input) = (decoder(1000), &mut read[..]);
    assert_eq!(decoder.decode(&mut input).map(|one| one.map(Received::from)), Ok(Some(text("one"))));
    let rest = input.to_vec();
    assert_eq!(feed(&mut decoder, &rest).0, [text("two")]);
    assert_eq!(feed(&mut decoder, &masked(0x81, b"three")[1..]).0, [text("three")]);
}

#[test]
fn an_idle_connection_costs_its_size_alone() {
    assert_eq!(size_of::<Decoder>(), 56);
    let mut decoder = decoder(1000);
    let frame = masked(0x81, &[b'x'; 600]);
    feed(&mut decoder, &frame[..500]);
    assert!((492..=600).contains(&decoder.heap_bytes()), "{}", decoder.heap_bytes());
    assert_eq!(feed(&mut decoder, &frame[500..]).0.len(), 1);
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn a_large_length_takes_no_memory_before_its_bytes_come() {
    let mut decoder = decoder(1 << 20);
    let frame = masked(0x82, &[0; 1 << 20]);
    feed(&mut decoder, &frame[..14 + 10_000]);
    assert!(decoder.heap_bytes() <= 20_000, "{}", decoder.heap_bytes());
    feed(&mut decoder, &frame[14 + 10_000..]);
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn an_error_releases_what_was_held() {
    let mut decoder = decoder(1000);
    feed(&mut decoder, &masked(0x01, b"half a message"));
    assert!(decoder.heap_bytes() > 0);
    assert!(feed(&mut decoder, &[0x81]).1.is_some());
    assert_eq!(decoder.heap_bytes(), 0);
}
