//! How fast the peer may send ([P-44]): above it its socket is not read; after a while of pressing it is closed.
use super::SessionConfig;
use crate::TokenBucket;
use std::time::{Duration, Instant};

/// A peer within its rate for so long is taken for one that behaves.
const RELIEF: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Rate {
    messages: Option<TokenBucket>,
    bytes: Option<TokenBucket>,
    /// Until when the peer is not read.
    until: Option<Instant>,
    /// The present time of pressing: when it began, and when the last wait ended.
    pressing: Option<(Instant, Instant)>,
}

impl Rate {
    pub(super) fn new(config: &SessionConfig, now: Instant) -> Self {
        let bytes = |rate: std::num::NonZeroU32| {
            let burst = rate.get().max(u32::try_from(config.message_bytes).unwrap_or(u32::MAX));
            TokenBucket::new(rate, burst, now)
        };
        Self {
            messages: config.messages_per_second.map(|rate| TokenBucket::new(rate, config.message_burst.max(1), now)),
            bytes: config.bytes_per_second.map(bytes),
            until: None,
            pressing: None,
        }
    }

    /// A message came. True: the peer has pressed for longer than `patience`.
    pub(super) fn handle_message(&mut self, now: Instant, bytes: usize, patience: Duration) -> bool {
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        let waits = [
            self.messages.as_mut().and_then(|bucket| bucket.charge(now, 1)),
            self.bytes.as_mut().and_then(|bucket| bucket.charge(now, size)),
        ];
        let Some(until) = waits.into_iter().flatten().max() else { return false };
        let since = self.pressing.filter(|(_, last)| now < *last + RELIEF).map_or(now, |(since, _)| since);
        self.until = Some(until);
        self.pressing = Some((since, until));
        until.saturating_duration_since(since) > patience
    }

    /// The wait is over at `now`, if it is.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.until.is_some_and(|until| now >= until) {
            self.until = None;
        }
    }

    /// Until when the peer is not read.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for the test's clock")]
    fn a_peer_waits_out_what_it_sent_too_fast_and_one_that_never_lets_up_is_given_up() {
        let start = Instant::now();
        let config = SessionConfig {
            messages_per_second: NonZeroU32::new(10),
            message_burst: 5,
            bytes_per_second: None,
            ..SessionConfig::default()
        };
        let mut rate = Rate::new(&config, start);
        let patience = Duration::from_secs(3);
        assert!((0..5).all(|_| !rate.handle_message(start, 1, patience) && rate.poll_timeout().is_none()));
        let (mut now, mut sent) = (start, 5);
        while !rate.handle_message(now, 1, patience) {
            sent += 1;
            now = rate.poll_timeout().expect("a wait");
            rate.handle_timeout(now);
            assert_eq!(rate.poll_timeout(), None);
        }
        assert_eq!(sent, 5 + 30, "three seconds at the rate after the burst");
    }
}
