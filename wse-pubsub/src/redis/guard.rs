//! Publishes fail at once while the server does not answer: the circuit breaker of the publish path, with a clock.
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use wse_core::{BreakerConfig, BreakerCounts, CircuitBreaker};

/// One breaker for all publishes of a bus.
#[derive(Debug)]
pub(crate) struct Guard {
    breaker: Mutex<CircuitBreaker>,
    started: Instant,
}

impl Guard {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self { breaker: Mutex::new(CircuitBreaker::new(config)), started: Instant::now() }
    }

    /// Whether a publish may go; if not, why, in one sentence.
    pub(crate) fn admit(&self) -> Result<(), String> {
        let now = self.now();
        let mut breaker = self.lock();
        let Err(probe_at) = breaker.admit(now) else { return Ok(()) };
        let (failures, wait) = (breaker.failures(), probe_at.saturating_sub(now).as_millis());
        Err(format!("{failures} publishes in a row had no answer, so this one was not sent; the next in {wait} ms tries the server again"))
    }

    /// How an admitted publish ended: whether the server answered, whatever it said.
    pub(crate) fn report(&self, answered: bool) {
        let now = self.now();
        let mut breaker = self.lock();
        let before = breaker.is_open();
        if answered {
            breaker.handle_success()
        } else {
            breaker.handle_failure(now)
        }
        if before != breaker.is_open() {
            tracing::warn!(open = !before, failures = breaker.failures(), "the circuit breaker of publishes has changed");
        }
    }

    /// What is wrong, while publishes fail at once.
    pub(crate) fn fault(&self) -> Option<String> {
        let breaker = self.lock();
        let say = || format!("{} publishes in a row had no answer; publishes fail at once until one gets through", breaker.failures());
        breaker.is_open().then(say)
    }

    /// How often it opened, and what it refused.
    pub(crate) fn counts(&self) -> BreakerCounts {
        self.lock().counts()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
