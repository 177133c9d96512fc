//! When a shard takes what the bus brings: at once, or what comes within an interval together, for fewer writes.
use std::time::{Duration, Instant};

/// After a turn with messages the next is an interval later; what comes in quiet times is taken at once.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    opens: Option<Instant>,
}

impl Pace {
    /// Without an interval it is always open.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, opens: None }
    }

    /// Until when nothing is taken.
    pub(super) fn opens(&self) -> Option<Instant> {
        self.opens
    }

    /// That moment has come.
    pub(super) fn open(&mut self) {
        self.opens = None;
    }

    /// Messages were taken at `now`, all that there were. Where a turn was too short for all, the rest follows in the next.
    pub(super) fn took_all(&mut self, now: Instant) {
        self.opens = (!self.interval.is_zero()).then(|| now + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_an_interval_after_a_turn_and_without_one_it_never_closes() {
        let now = Instant::now();
        let (mut paced, mut plain) = (Pace::new(Duration::from_millis(16)), Pace::new(Duration::ZERO));
        assert_eq!(paced.opens(), None, "what comes first is taken at once");
        paced.took_all(now);
        plain.took_all(now);
        assert_eq!((paced.opens(), plain.opens()), (Some(now + Duration::from_millis(16)), None));
        paced.open();
        assert_eq!(paced.opens(), None);
    }
}
