//! The reading half of a WebSocket: whole messages out of a byte stream, and typed reasons when there are no more.
use std::{convert::Infallible, future::Ready, io::Cursor};

use bytes::{Bytes, BytesMut};
use fastwebsockets::{Frame, Payload, Role, WebSocketRead, after_handshake_split};
use tokio::io::{AsyncRead, AsyncReadExt, Chain, sink};
use wse_protocol::frame::CONTROL_BYTES;

use super::collector::{Collector, Fragment};
use super::{Incoming, Limits, Violation, WsError};

/// Reads a client's messages from a stream whose handshake is done.
///
/// Pass `&mut io` to have the stream back afterwards, for [`linger`](super::linger()).
pub struct Reader<R> {
    frames: WebSocketRead<Chain<Cursor<Bytes>, R>>,
    collector: Collector,
    limits: Limits,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Serves `leftover`, the bytes that the HTTP side read beyond the handshake, before `io`.
    pub fn new(io: R, leftover: Bytes, limits: Limits) -> Self {
        let (mut frames, _) = after_handshake_split(Cursor::new(leftover).chain(io), sink(), Role::Server);
        frames.set_auto_close(false);
        frames.set_auto_pong(false);
        Self { frames, collector: Collector::new(limits), limits, ended: false }
    }

    /// The next message or control frame; control frames come between the fragments of a message, as they were sent.
    ///
    /// # Errors
    /// What the peer did wrong, or the end of the stream. After an error or a close every call gives [`WsError::Eof`].
    ///
    /// # Cancel safety
    /// None: fastwebsockets takes a frame's header before it awaits the payload. Give the reader a task of its own, not a branch of a `select!`.
    pub async fn next(&mut self) -> Result<Incoming, WsError> {
        if self.ended {
            return Err(WsError::Eof);
        }
        let incoming = self.whole().await;
        self.ended = matches!(incoming, Err(_) | Ok(Incoming::Close(_)));
        incoming
    }

    async fn whole(&mut self) -> Result<Incoming, WsError> {
        loop {
            let frame = self.frame().await?;
            if let Some(incoming) = self.collector.push(frame)? {
                return Ok(incoming);
            }
        }
    }

    async fn frame(&mut self) -> Result<Fragment, WsError> {
        // The library knows one exclusive bound for frames of all kinds, and tests it before it allocates.
        // Control frames must fit when a message is all but full; the collector holds data frames to the rest.
        let bound = self.collector.room().max(CONTROL_BYTES) + 1;
        self.frames.set_max_message_size(bound);
        // Without automatic answers nothing is ever sent.
        let mut send = |_: Frame<'_>| std::future::ready(Ok::<(), Infallible>(()));
        let frame = self.frames.read_frame::<Ready<_>, _>(&mut send).await;
        let frame = frame.map_err(|error| WsError::from_fastwebsockets(error, self.limits.message_bytes))?;
        fragment(frame)
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("limits", &self.limits).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// The mask of a frame is private in the library; the header that it would write shows it.
fn fragment(mut frame: Frame<'_>) -> Result<Fragment, WsError> {
    let mut head = [0; 16];
    frame.fmt_head(&mut head);
    if head[1] & 0x80 == 0 {
        return Err(Violation::Unmasked.into());
    }
    let payload = match frame.payload {
        Payload::Bytes(payload) => payload,
        other => BytesMut::from(&*other),
    };
    Ok(Fragment { fin: frame.fin, opcode: frame.opcode, payload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::CloseFrame;
    use proptest::prelude::*;
    use tokio::io::{AsyncWriteExt, duplex};

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

    /// All that a reader gives for these bytes, through a pipe that takes `pipe` bytes at a time.
    async fn read_through(pipe: usize, limit: usize, bytes: &[u8]) -> (Vec<Incoming>, WsError) {
        let (mut peer, ours) = duplex(pipe);
        let mut reader = Reader::new(ours, Bytes::new(), Limits::default().message_bytes(limit));
        let read = async move {
            let mut all = Vec::new();
            loop {
                match reader.next().await {
                    Ok(incoming) => all.push(incoming),
                    Err(error) => return (all, error),
                }
            }
        };
        let write = async move {
            // Fails when the reader has ended, and has been dropped, before it took all.
            let _ = peer.write_all(bytes).await;
        };
        tokio::join!(read, write).0
    }

    fn read(limit: usize, frames: &[Vec<u8>]) -> (Vec<Incoming>, WsError) {
        let bytes = frames.concat();
        block_on(read_through(bytes.len().max(1), limit, &bytes))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers").block_on(future)
    }

    fn violation(frames: &[Vec<u8>]) -> Violation {
        match read(1000, frames).1 {
            WsError::Protocol(violation) => violation,
            other => panic!("expected a violation, got {other:?}"),
        }
    }

    fn text(text: &str) -> Incoming {
        Incoming::Text(text.into())
    }

    #[test]
    fn every_kind_is_read() {
        let frames = [masked(0x81, b"text"), masked(0x82, &[255]), masked(0x89, b"i"), masked(0x8A, b"o"), masked(0x88, b"\x03\xe8bye")];
        let close = CloseFrame { code: 1000, reason: "bye".into() };
        let expected = [
            text("text"),
            Incoming::Binary([255][..].into()),
            Incoming::Ping(Bytes::from("i")),
            Incoming::Pong(Bytes::from("o")),
            Incoming::Close(Some(close)),
        ];
        let (all, end) = read(1000, &frames);
        assert_eq!(all, expected);
        assert!(matches!(end, WsError::Eof));
        assert_eq!(end.close_code(), None);
    }

    #[test]
    fn an_empty_close_names_no_code() {
        assert_eq!(read(1000, &[masked(0x88, b"")]).0, [Incoming::Close(None)]);
    }

    #[test]
    fn nothing_is_read_after_a_close_or_an_error() {
        let (all, end) = read(1000, &[masked(0x88, b""), masked(0x81, b"late")]);
        assert_eq!((all.len(), end.close_code()), (1, None));
        block_on(async {
            let bytes = Bytes::from([masked(0x83, b""), masked(0x81, b"late")].concat());
            let mut reader = Reader::new(tokio::io::empty(), bytes, Limits::default());
            assert_eq!(reader.next().await.map_err(|error| error.close_code()), Err(Some(1002)));
            assert_eq!(reader.next().await.map_err(|error| error.close_code()), Err(None));
        });
    }

    #[test]
    fn what_the_http_side_had_read_comes_first() {
        let frame = masked(0x81, b"split");
        let (head, tail) = frame.split_at(5);
        let mut reader = Reader::new(tail, Bytes::copy_from_slice(head), Limits::default());
        assert_eq!(block_on(reader.next()).ok(), Some(text("split")));
    }

    #[test]
    fn control_frames_come_between_fragments() {
        let frames = [masked(0x01, b"a"), masked(0x89, b"p"), masked(0x00, b"b"), masked(0x8A, b""), masked(0x80, b"c")];
        let expected = [Incoming::Ping(Bytes::from("p")), Incoming::Pong(Bytes::new()), text("abc")];
        assert_eq!(read(1000, &frames).0, expected);
    }

    #[test]
    fn a_frame_without_mask_is_a_violation() {
        assert_eq!(violation(&[b"\x81\x02hi".to_vec()]), Violation::Unmasked);
        assert_eq!(violation(&[b"\x82\x00".to_vec()]), Violation::Unmasked);
    }

    #[test]
    fn reserved_bits_and_opcodes_are_violations() {
        for bit in [0x40, 0x20, 0x10] {
            assert_eq!(violation(&[masked(0x81 | bit, b"x")]), Violation::ReservedBits);
        }
        for opcode in (3..8).chain(11..16) {
            assert_eq!(violation(&[masked(0x80 | opcode, b"")]), Violation::ReservedOpcode);
        }
    }

    #[test]
    fn control_frames_are_whole_and_short() {
        for opcode in [8, 9, 10] {
            assert_eq!(violation(&[masked(opcode, b"\x03\xe8")]), Violation::FragmentedControl);
            assert_eq!(violation(&[masked(0x80 | opcode, &[3; 126])]), Violation::LongControl);
        }
    }

    #[test]
    fn fragments_follow_their_order() {
        assert_eq!(violation(&[masked(0x80, b"x")]), Violation::LoneContinuation);
        assert_eq!(violation(&[masked(0x01, b"a"), masked(0x80, b"b"), masked(0x80, b"c")]), Violation::LoneContinuation);
        for next in [0x81, 0x82, 0x01, 0x02] {
            assert_eq!(violation(&[masked(0x01, b"a"), masked(next, b"b")]), Violation::Interleaved);
        }
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
        let frames: [&[Vec<u8>]; 5] = [
            &[masked(0x81, b"a\xff")],
            &[masked(0x88, b"\x03\xe8\xff")],
            &[masked(0x01, b"a\xe2"), masked(0x80, b"\x28")],
            &[masked(0x01, b"a\xe2"), masked(0x80, b"\x82")],
            // Fails with the fragment that holds it, not with the last.
            &[masked(0x01, b"a\xff")],
        ];
        for frames in frames {
            assert_eq!(read(1000, frames).1.close_code(), Some(1007), "{frames:x?}");
        }
    }

    #[test]
    fn the_limit_counts_the_whole_message() {
        assert_eq!(read(8, &[masked(0x01, b"1234"), masked(0x80, b"5678")]).0, [text("12345678")]);
        let frames: [&[Vec<u8>]; 3] =
            [&[masked(0x82, &[0; 9])], &[masked(0x01, b"1234"), masked(0x80, b"56789")], &[masked(0x02, &[0; 200])]];
        for frames in frames {
            assert_eq!(read(8, frames).1.close_code(), Some(1009), "{frames:x?}");
        }
    }

    #[test]
    fn a_message_that_fills_the_limit_leaves_room_for_control_frames() {
        let frames = [masked(0x01, b"12345678"), masked(0x89, &[7; 125]), masked(0x80, b"")];
        assert_eq!(read(8, &frames).0, [Incoming::Ping(Bytes::from(vec![7; 125])), text("12345678")]);
    }

    #[test]
    fn a_length_is_refused_from_the_header_alone() {
        let header = [&[0x82, 0xFF][..], &u64::MAX.to_be_bytes(), &MASK].concat();
        assert_eq!(read(usize::MAX, &[header]).1.close_code(), Some(1009));
    }

    #[test]
    fn an_end_within_a_frame_is_an_end() {
        assert!(matches!(read(1000, &[masked(0x81, b"hello")[..8].to_vec()]).1, WsError::Eof));
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_however_it_is_cut(
            message in ".{0,300}",
            cuts in prop::collection::vec(0_usize..1200, 0..8),
            pings in prop::collection::vec(any::<bool>(), 8),
            pipe in 1_usize..64,
        ) {
            let bytes = message.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|&cut| cut <= bytes.len()).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let (mut sent, mut from) = (Vec::new(), 0);
            for (index, &to) in cuts.iter().enumerate() {
                let opcode = if index == 0 { 0x01 } else { 0x00 };
                let fin = if index + 1 == cuts.len() { 0x80 } else { 0 };
                sent.extend(masked(fin | opcode, &bytes[from..to]));
                if fin == 0 && pings[index] {
                    sent.extend(masked(0x89, b"ping"));
                }
                from = to;
            }
            let (mut all, _) = block_on(read_through(pipe, 2000, &sent));
            all.retain(|incoming| !matches!(incoming, Incoming::Ping(_)));
            prop_assert_eq!(all, [text(&message)]);
        }

        #[test]
        fn no_bytes_of_a_peer_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            block_on(read_through(64, 1000, &bytes));
        }
    }
}
