//! Stops asking a server that does not answer, and tries it again now and then.
use std::time::Duration;
use wse_protocol::defaults;

/// When a [`CircuitBreaker`] opens and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row after which it opens; default 5. 0 counts as 1.
    pub failures: u32,
    /// How long it stays open before a call may try again, and how long that one has before another may; default 1 s.
    pub cooldown: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        let cooldown = Duration::from_millis(defaults::BUS_BREAKER_COOLDOWN_MS);
        Self { failures: defaults::BUS_BREAKER_FAILURES as u32, cooldown }
    }
}

/// What a [`CircuitBreaker`] has done so far. Probes are not counted: while it is open, one goes in each cooldown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct BreakerCounts {
    /// Times that it opened, from closed.
    pub opened: u64,
    /// Calls refused.
    pub refused: u64,
}

/// Closed: calls go through. Open: they are refused. Half open: one goes through to try, the others are still refused; its success
/// closes, its failure opens again. A probe that never reports back is followed by another. `now` is the time since any fixed
/// instant.
///
/// ```
/// use std::time::Duration;
/// use wse_core::{BreakerConfig, CircuitBreaker};
///
/// let (now, later) = (Duration::ZERO, Duration::from_secs(1));
/// let mut breaker = CircuitBreaker::new(BreakerConfig { failures: 1, cooldown: later });
/// breaker.handle_failure(now);
/// assert_eq!(breaker.admit(now), Err(later));
/// assert!(breaker.admit(later).is_ok(), "the probe");
/// breaker.handle_success();
/// assert!(breaker.admit(later).is_ok() && !breaker.is_open());
/// ```
#[derive(Debug)]
pub struct CircuitBreaker {
    config: BreakerConfig,
    /// Failures in a row, while it is closed.
    failures: u32,
    /// When the next probe may go; none while it is closed.
    probe_at: Option<Duration>,
    counts: BreakerCounts,
}

impl CircuitBreaker {
    /// A closed one.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, failures: 0, probe_at: None, counts: BreakerCounts::default() }
    }

    /// Whether a call may go now. Report its outcome by `handle_success` or `handle_failure`.
    ///
    /// # Errors
    /// When to try again.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        let Some(probe_at) = self.probe_at else { return Ok(()) };
        if now < probe_at {
            self.counts.refused += 1;
            return Err(probe_at);
        }
        self.wait_from(now);
        Ok(())
    }

    /// The server answered, whatever it said.
    pub fn handle_success(&mut self) {
        self.failures = 0;
        self.probe_at = None;
    }

    /// The server did not answer.
    pub fn handle_failure(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.config.failures {
            self.counts.opened += u64::from(!self.is_open());
            self.wait_from(now);
        }
    }

    /// When the next probe may go; `None` while it is closed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.probe_at
    }

    /// Whether calls are refused, but for probes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.probe_at.is_some()
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> BreakerCounts {
        self.counts
    }

    fn wait_from(&mut self, now: Duration) {
        self.probe_at = Some(now.saturating_add(self.config.cooldown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn breaker(failures: u32) -> CircuitBreaker {
        CircuitBreaker::new(BreakerConfig { failures, cooldown: at(10) })
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let mut breaker = breaker(3);
        for _ in 0..5 {
            breaker.handle_failure(at(0));
            breaker.handle_failure(at(0));
            breaker.handle_success();
        }
        assert!(breaker.admit(at(0)).is_ok() && !breaker.is_open());
        (0..3).for_each(|_| breaker.handle_failure(at(1)));
        assert_eq!((breaker.admit(at(1)), breaker.poll_timeout()), (Err(at(11)), Some(at(11))));
    }

    #[test]
    fn one_probe_goes_at_a_time_and_its_failure_opens_it_again() {
        let mut breaker = breaker(1);
        breaker.handle_failure(at(0));
        assert_eq!(breaker.admit(at(10)), Ok(()));
        assert_eq!(breaker.admit(at(10)), Err(at(20)), "the probe is on its way");
        breaker.handle_failure(at(15));
        assert_eq!(breaker.admit(at(24)), Err(at(25)));
        assert_eq!(breaker.admit(at(25)), Ok(()));
        breaker.handle_success();
        assert_eq!((breaker.admit(at(25)), breaker.admit(at(25))), (Ok(()), Ok(())));
        assert_eq!(breaker.counts(), BreakerCounts { opened: 1, refused: 2 });
    }

    #[test]
    fn a_probe_that_never_reports_back_does_not_keep_it_shut_for_ever() {
        let mut breaker = breaker(1);
        breaker.handle_failure(at(0));
        assert_eq!(breaker.admit(at(10)), Ok(()));
        assert_eq!(breaker.admit(at(20)), Ok(()));
    }

    proptest! {
        #[test]
        fn while_open_at_most_one_call_goes_per_cooldown_and_while_closed_all_do(
            failures in 1u32..5, steps in proptest::collection::vec((0u64..8, 0u8..3), 1..200),
        ) {
            let (mut breaker, mut now, mut row) = (breaker(failures), at(0), 0);
            let mut last_probe: Option<Duration> = None;
            for (pause, kind) in steps {
                now += at(pause);
                match kind {
                    0 => {
                        breaker.handle_success();
                        (row, last_probe) = (0, None);
                    }
                    1 => {
                        breaker.handle_failure(now);
                        row += 1;
                    }
                    _ if breaker.admit(now).is_ok() => {
                        if row >= failures {
                            prop_assert!(last_probe.is_none_or(|last| now >= last + at(10)));
                            last_probe = Some(now);
                        }
                    }
                    _ => prop_assert!(row >= failures),
                }
                prop_assert_eq!(breaker.is_open(), row >= failures);
            }
        }
    }
}
