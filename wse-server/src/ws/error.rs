//! Why a WebSocket cannot be read on, and the close code that says so to the peer.
use wse_protocol::ws::DecodeError;

/// The end of a WebSocket's readable side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WsError {
    /// The peer sent what it may not.
    #[error(transparent)]
    Peer(#[from] DecodeError),
    /// The peer's side of the connection ended, with or without a close frame.
    #[error("the connection ended")]
    Eof,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] std::io::Error),
}

impl WsError {
    /// The code of the close frame to answer with; `None` when nobody is there to read it.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::Peer(error) => Some(error.close_code().number()),
            Self::Eof | Self::Io(_) => None,
        }
    }
}
