//! The reading half of a WebSocket over any byte stream: owned messages, and typed reasons when there are no more.
use std::{
    future::poll_fn,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use wse_protocol::ws::{Decoder, Limits};

use super::{Incoming, WsError};

/// Bytes asked for at a time. They lie on the stack while the stream is polled, so that a waiting reader holds no buffer.
const READ_BYTES: usize = 16 * 1024;

/// Reads a client's messages from a stream whose handshake is done.
///
/// It holds what came with a message that was given out, and what the [`Decoder`] holds; nothing while it waits between messages.
/// Pass `&mut io` to have the stream back afterwards, for [`linger`](super::linger()).
#[derive(Debug)]
pub struct Reader<R> {
    io: R,
    decoder: Decoder,
    /// Read, and not yet taken by the decoder: at most [`READ_BYTES`], or the leftover of the handshake.
    rest: BytesMut,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Serves `leftover`, the bytes that the HTTP side read beyond the handshake, before `io`.
    pub fn new(io: R, leftover: Bytes, limits: Limits) -> Self {
        Self { io, decoder: Decoder::new(limits), rest: leftover.into(), ended: false }
    }

    /// The next message or control frame; control frames come between the fragments of a message, as they were sent.
    ///
    /// # Errors
    /// What the peer did wrong, or the end of the stream. After an error or a close every call gives [`WsError::Eof`].
    ///
    /// # Cancel safety
    /// May be dropped at any time, as a branch of a `select!` is: all that was read is kept for the next call.
    pub async fn next(&mut self) -> Result<Incoming, WsError> {
        if self.ended {
            return Err(WsError::Eof);
        }
        let incoming = poll_fn(|context| self.poll_next(context)).await;
        self.ended = matches!(incoming, Err(_) | Ok(Incoming::Close(_)));
        incoming
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Incoming, WsError>> {
        loop {
            if let Some(incoming) = self.decode_rest()? {
                return Poll::Ready(Ok(incoming));
            }
            ready!(self.poll_read(context))?;
        }
    }

    fn decode_rest(&mut self) -> Result<Option<Incoming>, WsError> {
        let mut input = &mut self.rest[..];
        let incoming = self.decoder.decode(&mut input)?.map(Incoming::from);
        match input.len() {
            0 => self.rest = BytesMut::new(),
            left => self.rest.advance(self.rest.len() - left),
        }
        Ok(incoming)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Err(WsError::Eof));
        }
        self.rest.extend_from_slice(read.filled());
        Poll::Ready(Ok(()))
    }
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
            len => frame.extend([0xFE, (len >> 8) as u8, len as u8]),
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
    fn what_is_wrong_has_its_close_code() {
        for (frame, code) in [(masked(0x83, b""), 1002), (masked(0x81, b"\xff"), 1007), (masked(0x82, &[0; 9]), 1009)] {
            assert_eq!(read(8, &[frame]).1.close_code(), Some(code));
        }
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
    fn an_end_within_a_frame_is_an_end() {
        assert!(matches!(read(1000, &[masked(0x81, b"hello")[..8].to_vec()]).1, WsError::Eof));
    }

    #[test]
    fn a_call_dropped_while_it_waits_loses_nothing() {
        block_on(async {
            let (mut peer, ours) = duplex(64);
            let mut reader = Reader::new(ours, Bytes::new(), Limits::default());
            let frames = [masked(0x01, b"hel"), masked(0x80, b"lo"), masked(0x81, b"next")].concat();
            for byte in &frames[..frames.len() - 1] {
                peer.write_all(&[*byte]).await.expect("there is room");
                tokio::select! {
                    biased;
                    incoming = reader.next() => assert_eq!(incoming.ok(), Some(text("hello"))),
                    () = std::future::ready(()) => {}
                }
            }
            peer.write_all(&frames[frames.len() - 1..]).await.expect("there is room");
            assert_eq!(reader.next().await.ok(), Some(text("next")));
        });
    }

    #[test]
    fn a_waiting_reader_holds_no_buffer() {
        block_on(async {
            let (mut peer, ours) = duplex(64);
            let mut reader = Reader::new(ours, Bytes::new(), Limits::default());
            peer.write_all(&masked(0x81, b"hello")).await.expect("there is room");
            assert_eq!(reader.next().await.ok(), Some(text("hello")));
            assert_eq!((reader.rest.capacity(), reader.decoder.heap_bytes()), (0, 0));
        });
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_the_stream_is_cut(messages in prop::collection::vec(".{0,300}", 0..8), pipe in 1_usize..64) {
            let sent: Vec<u8> = messages.iter().flat_map(|message| masked(0x81, message.as_bytes())).collect();
            let (all, end) = block_on(read_through(pipe, 2000, &sent));
            prop_assert_eq!(all, messages.iter().map(|message| text(message)).collect::<Vec<_>>());
            prop_assert!(matches!(end, WsError::Eof));
        }
    }
}
