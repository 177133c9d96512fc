//! The end of a server that others stand in for: its clients go on elsewhere before they let go ([P-67]).
use super::{Session, handshake::Stage};
use std::time::{Duration, Instant};
use wse_protocol::{CloseCode, messages::Move};

impl Session {
    /// Tells the peer to open another connection after `wait`; this one is served for `stay`. A peer that does not move, or is not
    /// ready, is closed with 1012 and this reason. Whether it was told, now or before.
    pub fn send_away(&mut self, now: Instant, wait: Duration, stay: Duration, reason: &str) -> bool {
        if self.handshake.stage != Stage::Ready || !self.handshake.moves {
            self.close(now, CloseCode::RESTART, reason);
            return false;
        }
        if !std::mem::replace(&mut self.told_to_move, true) {
            let told = Move { in_ms: wait.as_millis() as u64, for_ms: stay.as_millis() as u64 };
            self.push_with(|format, out| told.encode(format, out));
        }
        true
    }

    /// Whether the peer was told to move.
    #[must_use]
    pub fn was_sent_away(&self) -> bool {
        self.told_to_move
    }

    /// Whether the peer moves when it is told to.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.handshake.stage == Stage::Ready && self.handshake.moves
    }
}
