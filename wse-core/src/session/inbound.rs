//! What comes from the peer: decoding, and how many messages its handlers still hold.
use wse_protocol::{WireError, envelope, messages::ClientMessage};

#[derive(Debug)]
pub(super) struct Inbound {
    depth: usize,
    limit: usize,
    in_flight: usize,
}

impl Inbound {
    pub(super) fn new(depth: usize, limit: usize) -> Self {
        Self { depth, limit, in_flight: 0 }
    }

    pub(super) fn decode(&self, text: &mut [u8]) -> Result<ClientMessage, WireError> {
        ClientMessage::decode(envelope::decode(text, self.depth)?)
    }

    pub(super) fn decode_msgpack(&self, map: &[u8]) -> Result<ClientMessage, WireError> {
        ClientMessage::decode(envelope::decode_msgpack(map, self.depth)?)
    }

    pub(super) fn handed_over(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn handled(&mut self, count: usize) {
        self.in_flight = self.in_flight.saturating_sub(count);
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limit
    }
}
