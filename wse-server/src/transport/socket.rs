//! A transport over a byte stream: a reader in a task of its own, and a vectored writer that owns the stream's other half.
use super::{FromPeer, Source, ToPeer, Transport};
use crate::ws::{Incoming, Limits, Reader, WsError};
use bytes::{Buf, Bytes};
use std::{collections::VecDeque, fmt, io, io::IoSlice, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use wse_protocol::{CloseCode, frame};

/// Messages read and not yet taken by the session; then the socket is not read.
const READ_AHEAD: usize = 16;
/// Frames given to one write.
const WRITE_BATCH: usize = 64;
/// Bytes taken from the session ahead of the socket.
const WRITE_AHEAD: usize = 256 * 1024;
/// How long a closed peer may take to close its side.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes around the handshake of an adopted stream.
#[derive(Debug, Default)]
pub(crate) struct Prelude {
    /// Sent before any frame: the 101, if nobody has sent it.
    pub(crate) response: Bytes,
    /// Read already, beyond the handshake.
    pub(crate) leftover: Bytes,
}

/// A transport over the two halves of a stream. Must be called on the shard's thread.
pub(crate) fn over_stream<R, W>(read: R, write: W, prelude: Prelude, message_bytes: usize) -> Transport
where
    R: AsyncRead + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let limits = Limits::default().message_bytes(message_bytes);
    let task = tokio::task::spawn_local(read_all(read, prelude.leftover, limits, sender));
    let mut sink = SocketSink { write: Box::new(write), frames: VecDeque::new(), bytes: 0, pong: None };
    if !prelude.response.is_empty() {
        sink.push(prelude.response);
    }
    Transport { from_peer: Source::Socket(SocketSource { receiver, task }), to_peer: ToPeer::Socket(sink) }
}

/// Reads until the end; then discards, so that the close frame is not overtaken by a reset.
async fn read_all<R: AsyncRead + Unpin>(mut io: R, leftover: Bytes, limits: Limits, sender: mpsc::Sender<FromPeer>) {
    let mut reader = Reader::new(&mut io, leftover, limits);
    loop {
        let received = translate(reader.next().await);
        let last = matches!(received, FromPeer::Close { .. } | FromPeer::Fault { .. } | FromPeer::Gone(_));
        if sender.send(received).await.is_err() || last {
            break;
        }
    }
    drop(reader);
    drop(sender);
    let mut waste = [0; 4096];
    while matches!(io.read(&mut waste).await, Ok(count) if count > 0) {}
}

fn translate(received: Result<Incoming, WsError>) -> FromPeer {
    match received {
        Ok(Incoming::Text(text)) => FromPeer::Text(text),
        Ok(Incoming::Binary(bytes)) => FromPeer::Binary(bytes),
        Ok(Incoming::Ping(payload)) => FromPeer::Ping(payload),
        Ok(Incoming::Pong(_)) => FromPeer::Pong,
        Ok(Incoming::Close(None)) => FromPeer::Close { code: None, reason: String::new() },
        Ok(Incoming::Close(Some(close))) => FromPeer::Close { code: Some(CloseCode::new(close.code)), reason: close.reason },
        Err(error) => match error.close_code() {
            Some(code) => FromPeer::Fault { code: CloseCode::new(code), reason: error.to_string() },
            None => FromPeer::Gone(error.to_string()),
        },
    }
}

#[derive(Debug)]
pub(crate) struct SocketSource {
    receiver: mpsc::Receiver<FromPeer>,
    task: JoinHandle<()>,
}

impl SocketSource {
    pub(super) async fn recv(&mut self) -> FromPeer {
        match self.receiver.recv().await {
            Some(received) => received,
            // The reader has said its last word; what follows is the session's own end.
            None => std::future::pending().await,
        }
    }
}

impl Drop for SocketSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Writes frames in order; a begun frame is always finished, and a pong goes between two frames.
pub(crate) struct SocketSink {
    write: Box<dyn AsyncWrite + Send + Unpin>,
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Only the newest ping needs an answer (RFC 6455, 5.5.3), so this is all that pings can make us hold.
    pong: Option<Bytes>,
}

impl SocketSink {
    pub(super) fn has_room(&self) -> bool {
        self.bytes < WRITE_AHEAD && self.frames.len() < WRITE_BATCH
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pong.is_some() || !self.frames.is_empty()
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        self.pong = Some(frame::pong(payload));
    }

    pub(super) fn close(&mut self, code: Option<CloseCode>, reason: &str) {
        self.push(match code {
            Some(code) => frame::close(code.number(), reason),
            None => frame::close_without_code(),
        });
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.frames.is_empty()
            && let Some(pong) = self.pong.take()
        {
            self.push(pong);
        }
        let slices: Vec<IoSlice<'_>> = self.frames.iter().take(WRITE_BATCH).map(|frame| IoSlice::new(frame)).collect();
        let written = self.write.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        drop(slices);
        self.advance(written);
        Ok(())
    }

    /// Takes away what was written; between two frames a waiting pong steps in.
    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(frame) = self.frames.front_mut() {
            if written < frame.len() {
                frame.advance(written);
                break;
            }
            written -= frame.len();
            self.frames.pop_front();
        }
        if written == 0
            && let Some(pong) = self.pong.take()
        {
            self.bytes += pong.len();
            self.frames.push_front(pong);
        }
    }

    pub(super) async fn end(mut self, mut source: SocketSource) {
        source.receiver.close();
        let _ = timeout(LINGER, async {
            let _ = self.write.shutdown().await;
            let _ = (&mut source.task).await;
        })
        .await;
    }
}

impl fmt::Debug for SocketSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketSink").field("frames", &self.frames.len()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
