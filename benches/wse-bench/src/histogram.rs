//! Times in buckets of at most 1/64 of their size: 30 KB hold any number of them.

const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;
const ROWS: usize = 64 - SUB_BITS as usize + 1;

/// Counts of nanoseconds.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; ROWS * SUB], total: 0 }
    }
}

impl Histogram {
    /// Counts one time.
    #[inline]
    pub fn enter(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The upper end of the bucket that the `share` (0 to 1) of all times does not pass, in nanoseconds; 0 without any.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let passed = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        self.counts.iter().position(passed).map_or(0, upper_end)
    }
}

fn bucket(nanos: u64) -> usize {
    let bits = 64 - nanos.leading_zeros();
    let shift = bits.saturating_sub(SUB_BITS + 1);
    // Rows above the first use the upper half of their bits only, so that each row continues where the one before ends.
    (shift as usize) * SUB + (nanos >> shift) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let shift = (bucket / SUB).saturating_sub(1);
    let within = (bucket - shift * SUB) as u64;
    ((within + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_within_its_bucket_and_the_bucket_is_narrow() {
        for nanos in (0..200).chain([1_000, 4_095, 4_096, 123_456, 9_999_999_999, u64::MAX >> 1]) {
            let end = upper_end(bucket(nanos));
            assert!(nanos <= end && end - nanos <= nanos / 64, "{nanos} in a bucket up to {end}");
        }
    }

    #[test]
    fn quantiles_of_a_known_spread() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|n| histogram.enter(n * 1000));
        for (share, exact) in [(0.5, 500_000), (0.99, 990_000), (0.999, 999_000), (1.0, 1_000_000)] {
            let found = histogram.quantile(share);
            assert!(found >= exact && found <= exact + exact / 60, "{share}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
