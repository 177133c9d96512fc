//! A frame made once and shared by every connection that gets it.
use bytes::Bytes;
use wse_protocol::frame;

/// A text frame with its WebSocket header in front; server frames are not masked, so all connections share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    framed: Bytes,
    header: usize,
}

impl Prepared {
    /// Frames one text.
    #[must_use]
    pub fn text(text: &[u8]) -> Self {
        let framed = frame::text(text);
        Self { header: framed.len() - text.len(), framed }
    }

    /// Header and payload: what goes over a socket.
    #[must_use]
    pub fn framed(&self) -> &Bytes {
        &self.framed
    }

    /// The payload alone: what goes to a transport that frames by itself.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.framed.slice(self.header..)
    }
}
