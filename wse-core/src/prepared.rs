//! A frame made once, with its WebSocket header in front.
use bytes::Bytes;
use wse_protocol::{
    Format,
    frame::{self, Opcode},
};

/// One frame; server frames are not masked, so connections may share its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    framed: Bytes,
    payload: usize,
}

impl Prepared {
    /// Frames a body of this format: JSON as text, MessagePack as binary.
    #[must_use]
    pub fn new(format: Format, body: &[u8]) -> Self {
        let framed = match format {
            Format::Json => frame::text(body),
            Format::Msgpack => frame::binary(body),
        };
        Self { payload: framed.len() - body.len(), framed }
    }

    /// A frame whose payload begins at `payload`.
    pub(crate) fn framed_at(framed: Bytes, payload: usize) -> Self {
        Self { framed, payload }
    }

    /// Header and payload: what goes over a socket.
    #[must_use]
    pub fn framed(&self) -> &Bytes {
        &self.framed
    }

    /// The payload alone: what goes to a transport that frames by itself.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.framed.slice(self.payload..)
    }

    /// Whether it is text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.framed.first().is_some_and(|first| first & 0x0F == Opcode::Text as u8)
    }
}
