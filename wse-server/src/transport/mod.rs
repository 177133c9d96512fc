//! How a session's frames get to the peer and back: over a socket, or over a channel to a server that owns the socket.
mod channel;
mod socket;

pub use channel::{Channel, ChannelFrame, PeerFrame};
pub(crate) use socket::{Prelude, over_stream};

use bytes::{Bytes, BytesMut};
use channel::{ChannelSink, ChannelSource};
use socket::{SocketSink, SocketSource};
use std::io;
use wse_core::{Chunk, Prepared};
use wse_protocol::CloseCode;

/// What came from the peer.
#[derive(Debug)]
pub(crate) enum FromPeer {
    Text(BytesMut),
    Binary(BytesMut),
    Ping(Bytes),
    Pong,
    Close {
        code: Option<CloseCode>,
        reason: String,
    },
    /// It broke a rule of framing: say so with this code.
    Fault {
        code: CloseCode,
        reason: String,
    },
    /// Nobody is there any more.
    Gone(String),
}

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) from_peer: Source,
    pub(crate) to_peer: ToPeer,
}

#[derive(Debug)]
pub(crate) enum Source {
    Socket(SocketSource),
    Channel(ChannelSource),
}

impl Source {
    /// The next thing that came. Cancel safe.
    pub(crate) async fn recv(&mut self) -> FromPeer {
        match self {
            Self::Socket(source) => source.recv().await,
            Self::Channel(source) => source.recv().await,
        }
    }
}

#[derive(Debug)]
pub(crate) enum ToPeer {
    Socket(SocketSink),
    Channel(ChannelSink),
}

impl ToPeer {
    /// Whether it takes another frame now.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Socket(sink) => sink.has_room(),
            Self::Channel(sink) => sink.has_room(),
        }
    }

    /// Whether something waits to be flushed.
    pub(crate) fn has_pending(&self) -> bool {
        match self {
            Self::Socket(sink) => sink.has_pending(),
            Self::Channel(sink) => sink.has_pending(),
        }
    }

    /// A frame of the protocol's own.
    pub(crate) fn frame(&mut self, frame: &Prepared) {
        match self {
            Self::Socket(sink) => sink.push(frame.framed().clone()),
            Self::Channel(sink) => sink.push(message(frame.is_text(), frame.payload())),
        }
    }

    /// Frames of a topic.
    pub(crate) fn chunk(&mut self, chunk: &Chunk) {
        match self {
            Self::Socket(sink) => sink.push(chunk.framed()),
            Self::Channel(sink) => chunk.payloads().for_each(|(is_text, payload)| sink.push(message(is_text, payload))),
        }
    }

    /// Answers a WebSocket ping; a channel's server has answered it already.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        if let Self::Socket(sink) = self {
            sink.pong(payload);
        }
    }

    pub(crate) fn close(&mut self, code: Option<CloseCode>, reason: &str) {
        match self {
            Self::Socket(sink) => sink.close(code, reason),
            Self::Channel(sink) => sink.push(ChannelFrame::Close { code: code.unwrap_or(CloseCode::NORMAL), reason: reason.into() }),
        }
    }

    /// Moves some of what waits. Cancel safe: what was not moved still waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(sink) => sink.flush().await,
            Self::Channel(sink) => sink.flush().await,
        }
    }

    /// Moves all that waits, or fails.
    pub(crate) async fn flush_all(&mut self) -> io::Result<()> {
        while self.has_pending() {
            self.flush().await?;
        }
        Ok(())
    }

    /// Ends the transport such that the last frame arrives.
    pub(crate) async fn end(self, source: Source) {
        match (self, source) {
            (Self::Socket(sink), Source::Socket(source)) => sink.end(source).await,
            (Self::Channel(sink), _) => sink.end(),
            (Self::Socket(_), Source::Channel(_)) => unreachable!("a transport is made of two ends of one kind"),
        }
    }
}

fn message(is_text: bool, payload: Bytes) -> ChannelFrame {
    if is_text { ChannelFrame::Text(payload) } else { ChannelFrame::Binary(payload) }
}
