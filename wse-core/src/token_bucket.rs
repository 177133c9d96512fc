//! A token bucket: so many a second, with a burst.
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// One token in the unit that the bucket counts in: what a rate of 1/s earns in a nanosecond is 1, so nothing is ever rounded.
const TOKEN: i64 = 1_000_000_000;

/// Tokens come in at a steady rate up to a burst; what has come in is charged, and whoever owes is told until when.
///
/// Full at the start. 32 bytes, and it counts nothing: there are two per connection, and who acts on a debt counts it.
///
/// ```
/// use std::{num::NonZeroU32, time::{Duration, Instant}};
/// use wse_core::TokenBucket;
///
/// let start = Instant::now();
/// let mut bucket = TokenBucket::new(NonZeroU32::new(10).expect("not 0"), 2, start);
/// assert!(bucket.charge(start, 1).is_none() && bucket.charge(start, 1).is_none());
/// assert_eq!(bucket.charge(start, 1), Some(start + Duration::from_millis(100)));
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
    fn a_burst_is_free_and_then_the_rate_is_owed() {
        let now = start();
        let mut bucket = bucket(4, 3, now);
        assert_eq!((0..5).filter(|_| bucket.charge(now, 1).is_none()).count(), 3);
        let paid = now + Duration::from_millis(500);
        assert_eq!(bucket.poll_timeout(), Some(paid));
        assert_eq!(bucket.charge(paid - Duration::from_nanos(1), 0), Some(paid));
        assert_eq!(bucket.charge(paid, 0), None);
    }

    #[test]
    fn a_rate_that_no_nanosecond_divides_does_not_drift() {
        let now = start();
        let mut bucket = bucket(3, 1, now);
        let (mut at, mut charged) = (now, 0);
        while at < now + Duration::from_secs(1000) {
            charged += 1;
            at = bucket.charge(at, 1).unwrap_or(at);
        }
        assert_eq!(charged, 3001, "the burst of 1 and 3 a second, the last of them paid at second 1000");
    }

    #[test]
    fn more_than_the_burst_is_owed_at_the_rate() {
        let now = start();
        let mut bucket = bucket(10, 20, now);
        assert_eq!(bucket.charge(now, 50), Some(now + Duration::from_secs(3)));
        assert_eq!(bucket.charge(now + Duration::from_secs(100), 20), None, "and no more than the burst is earned");
        assert_eq!(bucket.charge(now + Duration::from_secs(100), 1), Some(now + Duration::from_millis(100_100)));
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
        assert_eq!(bucket.charge(now + Duration::from_secs(5), 1), None);
        assert_eq!(bucket.charge(now, 1), Some(now + Duration::from_secs(6)));
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
        /// Who waits out what is owed before each next charge sends at most the burst, what the time earned and one charge; and the
        /// moment that is named is the first at which nothing is owed.
        #[test]
        fn never_more_than_burst_and_rate_and_paid_when_said(
            rate in 1u32..5_000_000, burst in 1u32..10_000,
            calls in proptest::collection::vec((0u64..2_000_000_000, 1u32..20_000), 1..100),
        ) {
            let began = start();
            let (mut bucket, mut now, mut charged) = (bucket(rate, burst, began), began, 0u128);
            for (wait, n) in calls {
                now += Duration::from_nanos(wait);
                let earned = (now - began).as_nanos() * u128::from(rate);
                prop_assert!(charged <= u128::from(burst) * 1_000_000_000 + earned);
                charged += u128::from(n) * 1_000_000_000;
                if let Some(paid) = bucket.charge(now, n) {
                    prop_assert!(paid > now);
                    prop_assert!(bucket.clone().charge(paid - Duration::from_nanos(1), 0) == Some(paid));
                    prop_assert!(bucket.clone().charge(paid, 0).is_none());
                    now = paid;
                }
            }
        }
    }
}
