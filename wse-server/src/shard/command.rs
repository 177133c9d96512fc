//! What the other threads ask of a shard.
use super::{AsyncStream, DrainPlan};
use crate::{
    Tally,
    host::{ConnectionId, SharedHost},
    transport::{Prelude, Transport},
};
use bytes::Bytes;
use std::{fmt, net::TcpStream};
use tokio::sync::oneshot;
use wse_core::session::Offer;
use wse_protocol::{CloseCode, Followed, Format, Topic, WireError};
#[cfg(unix)]
use {crate::listener::Door, std::sync::Arc};

/// A connected stream whose handshake is done, or will be by the prelude's response.
pub(crate) enum Stream {
    /// A plain socket: served by the shard's slab.
    Tcp(TcpStream),
    /// Anything else: TLS, or a stream that another runtime drives.
    Other(Box<dyn AsyncStream>),
}

/// A connection to be.
#[derive(Debug)]
pub(crate) struct NewConnection {
    pub(crate) id: ConnectionId,
    /// The id that the client is told.
    pub(crate) name: String,
    pub(crate) host: SharedHost,
    pub(crate) offer: Offer,
}

#[derive(Debug)]
pub(crate) enum Command {
    Adopt {
        new: NewConnection,
        stream: Stream,
        prelude: Prelude,
    },
    Serve {
        new: NewConnection,
        transport: Transport,
    },
    /// Accept on this socket from now on.
    #[cfg(unix)]
    Listen {
        listener: std::net::TcpListener,
        door: Arc<Door>,
    },
    /// No more; those whose requests are not whole yet are closed.
    #[cfg(unix)]
    Unlisten {
        door: u64,
    },
    /// A socket that another shard has accepted.
    #[cfg(unix)]
    Guest {
        id: ConnectionId,
        socket: mio::net::TcpStream,
        door: Arc<Door>,
    },
    Welcome {
        id: ConnectionId,
        user: Option<String>,
    },
    Refuse {
        id: ConnectionId,
        error: WireError,
    },
    Reply {
        id: ConnectionId,
        cid: String,
        format: Format,
        payload: Bytes,
    },
    Fail {
        id: ConnectionId,
        error: WireError,
    },
    Unhandled {
        id: ConnectionId,
        cid: String,
    },
    Handled {
        id: ConnectionId,
        count: usize,
    },
    Close {
        id: ConnectionId,
        code: CloseCode,
        reason: String,
    },
    /// It is not in the topic any more, and does not know.
    Evict {
        id: ConnectionId,
        topic: Topic,
    },
    /// Its other commands had no room.
    GiveUp {
        id: ConnectionId,
    },
    Topics {
        id: ConnectionId,
        answer: oneshot::Sender<Vec<Followed>>,
    },
    Tally {
        answer: oneshot::Sender<Tally>,
    },
    Drain {
        plan: DrainPlan,
        done: oneshot::Sender<()>,
    },
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(socket) => socket.fmt(f),
            Self::Other(_) => f.write_str("Stream::Other"),
        }
    }
}
