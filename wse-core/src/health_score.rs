//! How good a connection is, from round-trip times by one clock, their jitter, and lost pongs.
use std::time::Duration;
use wse_protocol::defaults;

/// A connection in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Nothing is noticed.
    Excellent,
    /// Answers in time.
    Good,
    /// Slow, unsteady, or a pong was lost.
    Fair,
    /// Anything worse.
    Poor,
}

impl Health {
    /// The word, as clients show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Excellent => "excellent",
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Poor => "poor",
        }
    }
}

/// Upper bounds, inclusive: round trip in ms, its variation in ms, pongs lost among the last eight pings. The first row that holds
/// names the health; none is `Poor`. RTT rows follow ITU-T G.114: 150 ms one way is not noticed, 400 ms is the limit.
const THRESHOLDS: [(Health, u64, u64, u64); 3] = [
    (Health::Excellent, defaults::HEALTH_EXCELLENT_RTT_MS, defaults::HEALTH_EXCELLENT_JITTER_MS, defaults::HEALTH_EXCELLENT_LOST),
    (Health::Good, defaults::HEALTH_GOOD_RTT_MS, defaults::HEALTH_GOOD_JITTER_MS, defaults::HEALTH_GOOD_LOST),
    (Health::Fair, defaults::HEALTH_FAIR_RTT_MS, defaults::HEALTH_FAIR_JITTER_MS, defaults::HEALTH_FAIR_LOST),
];

/// Weights of a new sample in the smoothed values, as in RFC 6298.
const RTT_WEIGHT: f64 = 1.0 / 8.0;
const JITTER_WEIGHT: f64 = 1.0 / 4.0;

/// Judges one connection; 24 bytes. What it looks back on is bounded: two averages and the last eight pings.
///
/// ```
/// use std::time::Duration;
/// use wse_core::{Health, HealthScore};
///
/// let mut score = HealthScore::new();
/// score.handle_pong(Duration::from_millis(20));
/// assert_eq!(score.judge(), Health::Excellent);
/// score.handle_lost();
/// assert_eq!(score.judge(), Health::Fair);
/// ```
#[derive(Debug, Clone, Default)]
pub struct HealthScore {
    rtt_ms: f64,
    jitter_ms: f64,
    /// One bit per ping, the newest lowest: 1 where the pong was lost.
    lost: u8,
    measured: bool,
}

const _: () = assert!(u8::BITS as u64 == defaults::HEALTH_WINDOW, "one bit per ping");

impl HealthScore {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A pong came this long after its ping.
    pub fn handle_pong(&mut self, rtt: Duration) {
        // Exact for whole milliseconds, which seconds as a float are not.
        let rtt_ms = rtt.as_nanos() as f64 / 1e6;
        if self.measured {
            self.jitter_ms += JITTER_WEIGHT * ((rtt_ms - self.rtt_ms).abs() - self.jitter_ms);
            self.rtt_ms += RTT_WEIGHT * (rtt_ms - self.rtt_ms);
        } else {
            self.rtt_ms = rtt_ms;
            self.measured = true;
        }
        self.lost <<= 1;
    }

    /// A ping stayed unanswered.
    pub fn handle_lost(&mut self) {
        self.lost = self.lost << 1 | 1;
    }

    /// The judgement; before the first pong a peer that has lost none is `Good`.
    #[must_use]
    pub fn judge(&self) -> Health {
        let lost = u64::from(self.lost());
        if !self.measured {
            return if lost == 0 { Health::Good } else { Health::Poor };
        }
        let holds = |row: &&(Health, u64, u64, u64)| self.rtt_ms <= row.1 as f64 && self.jitter_ms <= row.2 as f64 && lost <= row.3;
        THRESHOLDS.iter().find(holds).map_or(Health::Poor, |row| row.0)
    }

    /// The smoothed round trip; `None` before the first pong.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.measured.then(|| Duration::from_secs_f64(self.rtt_ms / 1e3))
    }

    /// The smoothed variation of the round trip.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.jitter_ms / 1e3)
    }

    /// Pongs lost among the last eight pings.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_as_small_as_it_says() {
        assert!(size_of::<HealthScore>() <= 24);
    }

    #[test]
    fn a_lost_pong_counts_for_eight_pings() {
        let mut score = HealthScore::new();
        score.handle_lost();
        for left in (0..8).rev() {
            assert_eq!(score.lost(), 1, "{left} more");
            score.handle_pong(Duration::from_millis(1));
        }
        assert_eq!((score.lost(), score.judge()), (0, Health::Excellent));
    }

    proptest! {
        #[test]
        fn averages_stay_within_what_was_measured_and_a_slower_path_is_never_judged_better(
            samples in proptest::collection::vec(0u64..5000, 1..60), more in 0u64..2000,
        ) {
            let (mut score, mut slower) = (HealthScore::new(), HealthScore::new());
            for sample in &samples {
                score.handle_pong(Duration::from_millis(*sample));
                slower.handle_pong(Duration::from_millis(sample + more));
            }
            let (least, most) = (samples.iter().min().copied(), samples.iter().max().copied());
            let rtt = score.rtt().expect("measured").as_secs_f64() * 1e3;
            prop_assert!(least.is_some_and(|ms| rtt >= ms as f64 - 1e-6) && most.is_some_and(|ms| rtt <= ms as f64 + 1e-6));
            prop_assert!(slower.judge() >= score.judge());
        }
    }
}
