//! What decoding one frame may take of memory, whatever the frame claims: measured by the allocator, alone in its process.
use cap::Cap;
use std::alloc::System;
use wse_protocol::{Format, defaults, envelope, transcode};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const LARGEST: usize = defaults::MESSAGE_BYTES as usize;

/// Bytes for each byte of a frame, in docs/SECURITY.md; arrays within arrays come nearest.
const MOST: usize = 80;

/// A frame of the largest size around a payload that repeats.
fn filled(open: &[u8], unit: &[u8], close: &[u8]) -> Vec<u8> {
    let room = LARGEST - open.len() - close.len();
    let fill = unit.iter().copied().cycle().take(room - room % unit.len());
    open.iter().copied().chain(fill).chain(close.iter().copied()).collect()
}

/// Runs `read` on a copy of the frame; returns the most that was ever allocated above what is held anyway, in bytes for each of the frame's.
fn peak(frame: &[u8], read: impl FnOnce(Vec<u8>)) -> usize {
    let (copy, held) = (frame.to_vec(), ALLOCATOR.allocated());
    read(copy);
    ALLOCATOR.max_allocated().saturating_sub(held).div_ceil(frame.len())
}

#[test]
fn no_frame_takes_more_memory_than_its_size_allows() {
    let head =
        |marker: u8, claim: u32| [&[0x83, 0xa1, b'v', 2, 0xa1, b't', 0xa1, b'a', 0xa1, b'p', marker][..], &claim.to_be_bytes()].concat();
    let claims =
        [(0xdb, 64 << 20), (0xc6, 64 << 20), (0xdd, 64 << 20), (0xdf, 64 << 20), (0xdd, u32::MAX), (0xdf, LARGEST as u32 / 2 - 20)];
    for (marker, claim) in claims {
        let frame = filled(&head(marker, claim), &[0xc1], b"");
        let times = peak(&frame, |frame| assert!(envelope::decode_msgpack(&frame).is_err()));
        assert!(times <= 1);
    }
    let items = (LARGEST - 15) as u32;
    for (marker, claim, unit) in
        [(0xdd, items, &[0x90][..]), (0xdd, items, &[1]), (0xdd, items / 2, &[0xa1, b'x']), (0xdf, items / 2, &[0xa0, 1])]
    {
        let frame = filled(&head(marker, claim), unit, b"");
        let times = peak(&frame, |frame| assert!(envelope::decode_msgpack(&frame).is_ok()));
        assert!(times <= MOST);
    }
    for unit in ["[],", "1,", "\"x\",", "{},", "[[[[[[[]]]]]]],"] {
        let frame = filled(br#"{"v":2,"t":"a","p":["#, unit.as_bytes(), b"0]}");
        let times = peak(&frame, |mut frame| assert!(envelope::decode(&mut frame).is_ok()));
        assert!(times <= MOST);
        let payload = filled(b"[", unit.as_bytes(), b"0]");
        let times = peak(&payload, |payload| transcode(Format::Json, Format::Msgpack, &payload, &mut Vec::new()).expect("JSON"));
        assert!(times <= MOST);
    }
}
