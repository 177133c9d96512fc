//! How long to wait before the next attempt: full jitter, a server's hint, and no more haste after many failures.
use std::time::Duration;
use wse_protocol::defaults;

/// How a [`Backoff`] waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The most that the first wait may be; doubled by each failure. Default 1 s.
    pub base: Duration,
    /// The most that any wait may be; default 30 s.
    pub cap: Duration,
    /// Failures in a row from which every wait is the whole `cap`; default 10.
    pub full_after: u32,
    /// Attempts that are drawn from the window of a server's hint; default 10.
    pub restart_tries: u32,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(defaults::BACKOFF_BASE_MS),
            cap: Duration::from_millis(defaults::BACKOFF_CAP_MS),
            full_after: defaults::BACKOFF_FULL_AFTER as u32,
            restart_tries: defaults::RESTART_TRIES as u32,
        }
    }
}

/// Counts failures in a row and draws waits; randomness comes in.
///
/// ```
/// use std::time::Duration;
/// use wse_core::{Backoff, BackoffConfig};
///
/// let mut backoff = Backoff::new(BackoffConfig::default());
/// assert_eq!(backoff.next(0.5), Duration::from_millis(500));
/// assert_eq!(backoff.next(0.5), Duration::from_secs(1));
/// backoff.reset();
/// assert_eq!(backoff.next(0.25), Duration::from_millis(250));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    config: BackoffConfig,
    failures: u32,
    restart_left: u32,
    restart_window: Duration,
}

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub fn new(config: BackoffConfig) -> Self {
        Self { config, failures: 0, restart_left: 0, restart_window: Duration::ZERO }
    }

    /// Counts a failure and draws the wait; `random` is from [0, 1), anything else counts as the nearest of it, what is no number as 0.
    pub fn next(&mut self, random: f64) -> Duration {
        if self.restart_left > 0 {
            self.restart_left -= 1;
            return share(self.restart_window, random);
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.config.full_after {
            return self.config.cap;
        }
        let doubled = 1u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        share(self.config.base.saturating_mul(doubled).min(self.config.cap), random)
    }

    /// The server said that it restarts and takes that long: the next attempts are drawn from that, and are no failures.
    pub fn handle_restart(&mut self, window: Duration) {
        self.restart_left = self.config.restart_tries;
        self.restart_window = window;
    }

    /// It works again: an announced restart is over.
    pub fn handle_ready(&mut self) {
        self.restart_left = 0;
    }

    /// It has proved stable: failures before no longer count.
    pub fn reset(&mut self) {
        self.failures = 0;
        self.restart_left = 0;
    }

    /// Failures in a row; attempts within an announced restart do not count.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

fn share(most: Duration, random: f64) -> Duration {
    if random >= 1.0 {
        most
    } else if random > 0.0 {
        most.mul_f64(random)
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_number_makes_it_panic() {
        let mut backoff = Backoff::new(BackoffConfig { cap: Duration::MAX, full_after: u32::MAX, ..BackoffConfig::default() });
        for random in [f64::NAN, f64::INFINITY, -1.0, 2.0, 0.999_999_999_999_999_9] {
            for _ in 0..40 {
                backoff.next(random);
            }
        }
        assert_eq!(backoff.failures(), 200);
    }

    proptest! {
        #[test]
        fn a_wait_is_within_the_doubled_base_and_the_cap(
            base in 0u64..5000, cap in 0u64..60_000, full_after in 1u32..80, randoms in proptest::collection::vec(0.0f64..1.0, 1..100),
        ) {
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
            let mut backoff = Backoff::new(BackoffConfig { base, cap, full_after, ..BackoffConfig::default() });
            for (before, random) in randoms.into_iter().enumerate() {
                let wait = backoff.next(random);
                prop_assert_eq!(backoff.failures() as usize, before + 1);
                if before + 1 >= full_after as usize {
                    prop_assert_eq!(wait, cap);
                } else {
                    prop_assert!(wait <= cap && wait <= base.saturating_mul(1 << before.min(20)));
                }
            }
        }
    }
}
