//! What is kept of messages to users and sessions ([P-65]), in logs of the server's own.
use std::time::Duration;
use wse_core::log::LogLimits;
use wse_protocol::{Direct, defaults};

/// How much these logs hold. Each is made by its first message: who has none costs nothing, whether known or connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectLimits {
    /// Of each user; default 256 messages, 256 KiB, 300 s.
    pub user: LogLimits,
    /// Of each session, whose age is the grace time; default 256 messages, 256 KiB, 120 s.
    pub session: LogLimits,
    /// Users, and sessions, that are remembered; default 100,000 each. Above it the one that was unused longest is forgotten, never
    /// one that is connected. With Redis time alone bounds them.
    pub logs: usize,
    /// Bytes that all these logs hold together; default 32 MiB, and never more than the budget of all logs leaves them: they give way
    /// first. With Redis set the server's `maxmemory`.
    pub budget_bytes: usize,
    /// How long a log without messages is remembered; default 1 h, and no less than the ages above. A client that was away for longer
    /// cannot know that it has missed nothing.
    pub meta_age: Duration,
}

impl Default for DirectLimits {
    fn default() -> Self {
        let age = Duration::from_millis;
        let user = LogLimits {
            messages: defaults::DIRECT_MESSAGES as usize,
            bytes: defaults::DIRECT_BYTES as usize,
            age: age(defaults::DIRECT_AGE_MS),
        };
        Self {
            user,
            session: LogLimits { age: age(defaults::SESSION_GRACE_MS), ..user },
            logs: defaults::DIRECT_LOGS as usize,
            budget_bytes: defaults::DIRECT_BUDGET_BYTES as usize,
            meta_age: age(defaults::DIRECT_META_AGE_MS),
        }
    }
}

impl DirectLimits {
    /// What one log holds.
    #[must_use]
    pub fn of(&self, direct: Direct) -> LogLimits {
        match direct {
            Direct::User => self.user,
            Direct::Session => self.session,
        }
    }

    /// How long one without messages is remembered.
    #[must_use]
    pub fn remembered(&self) -> Duration {
        self.meta_age.max(self.user.age).max(self.session.age)
    }
}
