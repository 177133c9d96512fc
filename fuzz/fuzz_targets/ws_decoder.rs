//! Any bytes through the WebSocket decoder. Held to: the same result however the bytes are cut; memory within its bound; no message that
//! tungstenite would not give; every error that tungstenite finds is found.
//!
//! Of the input, two bytes are the limit, eight the sizes of reads, and the rest the stream.
#![no_main]
use std::io::{self, Cursor, Read, Write};

use libfuzzer_sys::fuzz_target;
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};
use wse_protocol::{
    frame::CONTROL_BYTES,
    ws::{DecodeError, Decoder, Incoming, Limits},
};

/// Tungstenite's own default of 128 KiB takes most of a run.
const READ_BYTES: usize = 4096;

#[derive(Debug, PartialEq)]
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

/// All that reads of these sizes give, in turn; one read if there are none.
fn ours(stream: &[u8], limit: usize, sizes: &[u8]) -> (Vec<Received>, Option<DecodeError>) {
    let mut decoder = Decoder::new(Limits::default().message_bytes(limit));
    let (mut all, mut rest, mut sizes) = (Vec::new(), stream, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |&size| usize::from(size).clamp(1, rest.len()));
        let (read, after) = rest.split_at(size);
        let mut read = read.to_vec();
        let mut input = &mut read[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(incoming)) => all.push(incoming.into()),
                Ok(None) => break,
                Err(error) => return (all, Some(error)),
            }
            assert!(decoder.heap_bytes() <= limit + CONTROL_BYTES);
        }
        assert!(input.is_empty());
        assert!(decoder.heap_bytes() <= limit + CONTROL_BYTES);
        rest = after;
    }
    (all, None)
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

fn theirs(stream: &[u8], limit: usize) -> (Vec<Received>, bool) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit.max(CONTROL_BYTES)));
    let mut socket = WebSocket::from_raw_socket(Fed(Cursor::new(stream)), Role::Server, Some(config));
    let mut all = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => all.push(message.into()),
            Err(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => return (all, false),
            Err(error) => return (all, !matches!(error, tungstenite::Error::ConnectionClosed | tungstenite::Error::Io(_))),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(([low, high], data)) = data.split_first_chunk() else { return };
    let Some((sizes, stream)) = data.split_first_chunk::<8>() else { return };
    let limit = usize::from(u16::from_le_bytes([*low, *high]));
    let cut = ours(stream, limit, sizes);
    assert_eq!(cut, ours(stream, limit, &[]));
    let (all, error) = cut;
    // Registered with IANA, and unknown to tungstenite.
    if all.iter().any(|received| matches!(received, Received::Close(Some(1014), _))) {
        return;
    }
    let (theirs, failed) = theirs(stream, limit);
    assert!(theirs.starts_with(&all), "{all:?} {error:?} {theirs:?}");
    assert!(error.is_some() || (theirs.len() == all.len() && !failed), "{all:?} {theirs:?} {failed}");
});
