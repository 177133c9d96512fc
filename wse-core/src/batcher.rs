//! How a topic's run is cut into batches, each bounded by count and bytes.
use std::ops::Range;
use wse_protocol::defaults;

/// The bounds of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Messages; default 128.
    pub messages: usize,
    /// Bytes, as the sizes given to `split` count them; default 64 KiB. A message larger than this is a batch of its own.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { messages: defaults::BATCH_MESSAGES as usize, bytes: defaults::BATCH_BYTES as usize }
    }
}

/// What a [`Batcher`] has made so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct BatchCounts {
    /// Batches of more than one message.
    pub batches: u64,
    /// Messages in them.
    pub batched: u64,
    /// Messages that stayed alone.
    pub single: u64,
}

/// Groups what one turn holds of a topic. It holds nothing itself: the turn is the deadline.
///
/// ```
/// use wse_core::{BatchLimits, Batcher};
///
/// let mut batcher = Batcher::new(BatchLimits { messages: 3, bytes: 100 });
/// assert_eq!(batcher.split([10, 10, 10, 10, 95, 10]).collect::<Vec<_>>(), [0..3, 3..4, 4..5, 5..6]);
/// ```
#[derive(Debug)]
pub struct Batcher {
    limits: BatchLimits,
    counts: BatchCounts,
}

impl Batcher {
    /// A batcher with these bounds; 0 counts as 1.
    #[must_use]
    pub fn new(limits: BatchLimits) -> Self {
        Self { limits, counts: BatchCounts::default() }
    }

    /// Cuts a run of messages of these sizes, in order: index ranges, contiguous, none empty, as few as the bounds allow.
    pub fn split<I: IntoIterator<Item = usize>>(&mut self, sizes: I) -> Batches<'_, I::IntoIter> {
        let mut sizes = sizes.into_iter();
        let next = sizes.next();
        Batches { batcher: self, sizes, next, at: 0 }
    }

    /// What it has made so far.
    #[must_use]
    pub fn counts(&self) -> BatchCounts {
        self.counts
    }

    fn count(&mut self, items: usize) {
        if items == 1 {
            self.counts.single += 1;
        } else {
            self.counts.batches += 1;
            self.counts.batched += items as u64;
        }
    }
}

/// The batches of one run; from [`Batcher::split`].
#[derive(Debug)]
pub struct Batches<'a, I> {
    batcher: &'a mut Batcher,
    sizes: I,
    /// The size of the message at `at`.
    next: Option<usize>,
    at: usize,
}

impl<I: Iterator<Item = usize>> Iterator for Batches<'_, I> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let (start, mut bytes) = (self.at, self.next?);
        loop {
            self.at += 1;
            self.next = self.sizes.next();
            let Some(size) = self.next else { break };
            bytes = bytes.saturating_add(size);
            if self.at - start >= self.batcher.limits.messages || bytes > self.batcher.limits.bytes {
                break;
            }
        }
        self.batcher.count(self.at - start);
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_single_message_and_none_at_all_are_no_batch() {
        let mut batcher = Batcher::new(BatchLimits::default());
        assert_eq!(batcher.split([]).next(), None);
        let mut batches = batcher.split([5]);
        assert_eq!((batches.next(), batches.next()), (Some(0..1), None));
        assert_eq!(batcher.counts(), BatchCounts { batches: 0, batched: 0, single: 1 });
    }

    #[test]
    fn what_is_larger_than_a_batch_goes_alone() {
        let mut batcher = Batcher::new(BatchLimits { messages: 10, bytes: 100 });
        assert_eq!(batcher.split([40, 60, 101, 100, 1]).collect::<Vec<_>>(), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(batcher.counts(), BatchCounts { batches: 1, batched: 2, single: 3 });
    }

    #[test]
    fn a_bound_of_zero_counts_as_one() {
        let mut batcher = Batcher::new(BatchLimits { messages: 0, bytes: 0 });
        assert_eq!(batcher.split([0, 7, 7]).collect::<Vec<_>>(), [0..1, 1..2, 2..3]);
    }

    proptest! {
        #[test]
        fn batches_cover_the_run_keep_the_bounds_and_are_as_few_as_can_be(
            sizes in proptest::collection::vec(0usize..200, 0..200), items in 1usize..20, bytes in 1usize..400,
        ) {
            let mut batcher = Batcher::new(BatchLimits { messages: items, bytes });
            let batches: Vec<_> = batcher.split(sizes.iter().copied()).collect();
            let covered: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..sizes.len()).collect::<Vec<_>>());
            for batch in &batches {
                let held: usize = sizes[batch.clone()].iter().sum();
                prop_assert!(!batch.is_empty() && batch.len() <= items && (held <= bytes || batch.len() == 1));
                // The next message was not left out without need.
                let more = sizes.get(batch.end).is_none_or(|next| batch.len() == items || held + next > bytes);
                prop_assert!(more);
            }
            let counts = batcher.counts();
            prop_assert_eq!(counts.batched + counts.single, sizes.len() as u64);
            prop_assert_eq!(counts.batches + counts.single, batches.len() as u64);
        }
    }
}
