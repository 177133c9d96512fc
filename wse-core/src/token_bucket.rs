//! A token bucket: so many a second, with a burst.
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// One token in the unit that the bucket counts in: what a rate of 1/s earns in a nanosecond is 1, so nothing is ever rounded.
const TOKEN: i64 = 1_000_000_000;

/// Tokens come in at a steady rate up to a burst; whoever wants some takes them or is told when they will be there.
///
/// Full at the start. 32 bytes, and it counts nothing: there are two per connection, and who acts on a refusal counts it.
///
/// ```
/// use std::{num::NonZeroU32, time::{Duration, Instant}};
/// use wse_core::TokenBucket;
///
/// let start = Instant::now();
/// let mut bucket = TokenBucket::new(NonZeroU32::new(10).expect("not 0"), 2, start);
/// assert!(bucket.take(start, 1).is_ok() && bucket.take(start, 1).is_ok());
/// assert_eq!(bucket.take(start, 1), Err(start + Duration::from_millis(100)));
/// ```
#[derive(Debug, Clone)]
pub struct TokenBucket {
    level: i64,
    at: Instant,
    rate: NonZeroU32,
    burst: u32,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens that earns `rate` a second.
    #[must_use]
    pub fn new(rate: NonZeroU32, burst: u32, now: Instant) -> Self {
        Self { level: i64::from(burst) * TOKEN, at: now, rate, burst }
    }

    /// Takes `n` tokens. More than the burst can hold are given by a full bucket, which then owes the rest: the rate holds for
    /// any size.
    ///
    /// # Errors
    /// When the same call would succeed, if nobody takes any before; nothing is taken.
    pub fn take(&mut self, now: Instant, n: u32) -> Result<(), Instant> {
        self.refill(now);
        let missing = i64::from(n.min(self.burst)) * TOKEN - self.level;
        if missing > 0 {
            return Err(self.at + self.time_for(missing));
        }
        self.level -= i64::from(n) * TOKEN;
        Ok(())
    }

    /// Takes `n` tokens for what has already come in, even if they are not there; returns when what is owed will be paid.
    pub fn charge(&mut self, now: Instant, n: u32) -> Option<Instant> {
        self.refill(now);
        self.level = self.level.saturating_sub(i64::from(n) * TOKEN);
        self.poll_timeout()
    }

    /// When what is owed will be paid; `None` if nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.level < 0).then(|| self.at + self.time_for(self.level.saturating_neg()))
    }

    /// A clock that goes back earns nothing.
    fn refill(&mut self, now: Instant) {
        let missing = (i128::from(self.burst) * i128::from(TOKEN) - i128::from(self.level)).unsigned_abs();
        let earned = now.saturating_duration_since(self.at).as_nanos() * u128::from(self.rate.get());
        self.level = i64::try_from(i128::from(self.level) + earned.min(missing) as i128).unwrap_or(i64::MAX);
        self.at = self.at.max(now);
    }

    fn time_for(&self, missing: i64) -> Duration {
        Duration::from_nanos(missing.unsigned_abs().div_ceil(self.rate.get().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for the test's clock")]
    fn start() -> Instant {
        Instant::now()
    }

    fn bucket(rate: u32, burst: u32, now: Instant) -> TokenBucket {
        TokenBucket::new(NonZeroU32::new(rate).expect("not 0"), burst, now)
    }

    #[test]
    fn a_burst_is_given_at_once_and_then_the_rate() {
        let now = start();
        let mut bucket = bucket(4, 3, now);
        assert_eq!((0..5).filter(|_| bucket.take(now, 1).is_ok()).count(), 3);
        let ready = now + Duration::from_millis(250);
        assert_eq!(bucket.take(now, 1), Err(ready));
        assert_eq!(bucket.take(ready - Duration::from_nanos(1), 1), Err(ready));
        assert_eq!(bucket.take(ready, 1), Ok(()));
    }

    #[test]
    fn a_rate_that_no_nanosecond_divides_does_not_drift() {
        let now = start();
        let mut bucket = bucket(3, 1, now);
        let (mut at, mut taken) = (now, 0);
        while at < now + Duration::from_secs(1000) {
            match bucket.take(at, 1) {
                Ok(()) => taken += 1,
                Err(ready) => at = ready,
            }
        }
        assert_eq!(taken, 3000, "the burst of 1 and 3 a second, up to but not at second 1000");
    }

    #[test]
    fn more_than_the_burst_needs_a_full_bucket_and_is_paid_for_afterwards() {
        let now = start();
        let mut bucket = bucket(10, 20, now);
        assert_eq!(bucket.take(now, 50), Ok(()));
        assert_eq!(bucket.poll_timeout(), Some(now + Duration::from_secs(3)));
        assert_eq!(bucket.take(now, 50), Err(now + Duration::from_secs(5)));
    }

    #[test]
    fn what_has_come_in_is_charged_and_says_when_it_is_paid() {
        let now = start();
        let mut bucket = bucket(10, 10, now);
        assert_eq!(bucket.charge(now, 10), None);
        assert_eq!(bucket.charge(now, 5), Some(now + Duration::from_millis(500)));
        assert_eq!(bucket.charge(now + Duration::from_millis(200), 0), Some(now + Duration::from_millis(500)));
        assert_eq!(bucket.charge(now + Duration::from_millis(500), 0), None);
    }

    #[test]
    fn a_clock_that_goes_back_and_the_largest_debt_do_no_harm() {
        let now = start();
        let mut bucket = bucket(1, 1, now + Duration::from_secs(5));
        assert_eq!(bucket.take(now + Duration::from_secs(5), 1), Ok(()));
        assert_eq!(bucket.take(now, 1), Err(now + Duration::from_secs(6)));
        for _ in 0..4 {
            bucket.charge(now, u32::MAX);
        }
        assert!(bucket.poll_timeout() > Some(now + Duration::from_secs(1 << 32)));
    }

    #[test]
    fn it_is_as_small_as_it_says() {
        assert!(size_of::<TokenBucket>() <= 32);
    }

    proptest! {
        /// In any span from a full bucket on, at most the burst and what the time earned is given; and a refusal names the first
        /// moment at which it would not have been one.
        #[test]
        fn never_more_than_burst_and_rate_and_never_later_than_said(
            rate in 1u32..5_000_000, burst in 1u32..10_000,
            calls in proptest::collection::vec((0u64..2_000_000_000, 1u32..20_000), 1..100),
        ) {
            let began = start();
            let (mut bucket, mut now, mut taken) = (bucket(rate, burst, began), began, 0u128);
            for (wait, n) in calls {
                now += Duration::from_nanos(wait);
                let n = n.min(burst);
                match bucket.take(now, n) {
                    Ok(()) => taken += u128::from(n) * 1_000_000_000,
                    Err(ready) => {
                        prop_assert!(ready > now);
                        prop_assert!(bucket.clone().take(ready - Duration::from_nanos(1), n).is_err());
                        prop_assert!(bucket.clone().take(ready, n).is_ok());
                    }
                }
                let earned = (now - began).as_nanos() * u128::from(rate);
                prop_assert!(taken <= u128::from(burst) * 1_000_000_000 + earned);
            }
        }
    }
}
