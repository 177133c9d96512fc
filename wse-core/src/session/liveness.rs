//! When to ping, and when a silent peer is given up.
use crate::HealthScore;
use std::time::{Duration, Instant};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    IdleTimeout,
}

#[derive(Debug)]
pub(super) struct Liveness {
    heartbeat: Duration,
    idle_timeout: Duration,
    last_ping: Instant,
    last_heard: Instant,
    /// When the ping went out that has no answer yet.
    asked: Option<Instant>,
    score: HealthScore,
    paused_since: Option<Instant>,
}

impl Liveness {
    pub(super) fn new(heartbeat: Duration, idle_timeout: Duration, now: Instant) -> Self {
        Self { heartbeat, idle_timeout, last_ping: now, last_heard: now, asked: None, score: HealthScore::new(), paused_since: None }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// A ping goes out; one that has no answer yet is lost.
    pub(super) fn pinged(&mut self, now: Instant) {
        if self.asked.replace(now).is_some() {
            self.score.handle_lost();
        }
    }

    /// A pong came.
    pub(super) fn ponged(&mut self, now: Instant) {
        if let Some(asked) = self.asked.take() {
            self.score.handle_pong(now.saturating_duration_since(asked));
        }
    }

    /// How well the peer answers.
    pub(super) fn score(&self) -> &HealthScore {
        &self.score
    }

    /// While we do not read the peer, its silence is our doing: the idle clock stands still.
    pub(super) fn reading(&mut self, reads: bool, now: Instant) {
        match (reads, self.paused_since) {
            (false, None) => self.paused_since = Some(now),
            (true, Some(since)) => {
                self.last_heard += now.saturating_duration_since(since);
                self.paused_since = None;
            }
            _ => {}
        }
    }

    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.paused_since.is_none() && now >= self.last_heard + self.idle_timeout {
            return Some(Due::IdleTimeout);
        }
        if now >= self.last_ping + self.heartbeat {
            self.last_ping = now;
            return Some(Due::Ping);
        }
        None
    }

    pub(super) fn deadline(&self) -> Instant {
        let ping = self.last_ping + self.heartbeat;
        if self.paused_since.is_some() { ping } else { ping.min(self.last_heard + self.idle_timeout) }
    }
}
