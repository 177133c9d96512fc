//! How many of the peer's messages its handlers still hold.

#[derive(Debug)]
pub(super) struct Inbound {
    limit: usize,
    in_flight: usize,
}

impl Inbound {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, in_flight: 0 }
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
