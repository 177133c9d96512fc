//! Which keys were seen lately, and what they got: a repetition gets the same again.
use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

/// The bounds of a [`DedupWindow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupLimits {
    /// Keys remembered; above it the oldest is forgotten. 0 remembers none.
    pub keys: usize,
    /// How long a key is remembered.
    pub age: Duration,
}

/// What a [`DedupWindow`] has seen so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DedupCounts {
    /// Keys remembered.
    pub inserted: u64,
    /// Repetitions found.
    pub repeated: u64,
    /// Keys forgotten for want of room, before their time.
    pub evicted: u64,
}

/// Values by key, bounded by count and age. A key is cloned once: `Arc<str>` is a good one. `now` is the time since any fixed
/// instant.
///
/// ```
/// use std::time::Duration;
/// use wse_core::{DedupLimits, DedupWindow};
///
/// let (now, later) = (Duration::ZERO, Duration::from_secs(60));
/// let mut window = DedupWindow::new(DedupLimits { keys: 1000, age: Duration::from_secs(60) });
/// window.insert(now, "order-42", 7);
/// assert_eq!(window.find(now, "order-42"), Some(&7));
/// assert_eq!(window.find(later, "order-42"), None);
/// ```
#[derive(Debug)]
pub struct DedupWindow<K, V> {
    limits: DedupLimits,
    values: HashMap<K, V>,
    /// Oldest first.
    order: VecDeque<(Duration, K)>,
    counts: DedupCounts,
}

impl<K: Eq + Hash + Clone, V> DedupWindow<K, V> {
    /// An empty window.
    #[must_use]
    pub fn new(limits: DedupLimits) -> Self {
        Self { limits, values: HashMap::new(), order: VecDeque::new(), counts: DedupCounts::default() }
    }

    /// What this key got within the window.
    pub fn find<Q: Eq + Hash + ?Sized>(&mut self, now: Duration, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.handle_timeout(now);
        let value = self.values.get(key);
        self.counts.repeated += u64::from(value.is_some());
        value
    }

    /// Remembers what a key got. A key that is remembered keeps its first value and its time.
    pub fn insert(&mut self, now: Duration, key: K, value: V) {
        self.handle_timeout(now);
        if self.limits.keys == 0 || self.values.contains_key(&key) {
            return;
        }
        if self.order.len() == self.limits.keys {
            self.forget_oldest();
            self.counts.evicted += 1;
        }
        self.order.push_back((now, key.clone()));
        self.values.insert(key, value);
        self.counts.inserted += 1;
    }

    /// Forgets keys that are too old; `find` and `insert` do it too.
    pub fn handle_timeout(&mut self, now: Duration) {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            self.forget_oldest();
        }
    }

    /// When the oldest key is forgotten; `None` if none is remembered.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.order.front().map(|(at, _)| at.saturating_add(self.limits.age))
    }

    /// Keys remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What it has seen so far.
    #[must_use]
    pub fn counts(&self) -> DedupCounts {
        self.counts
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.values.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(keys: usize, age: u64) -> DedupWindow<u8, usize> {
        DedupWindow::new(DedupLimits { keys, age: Duration::from_secs(age) })
    }

    #[test]
    fn a_repeated_insert_keeps_the_first_value_and_does_not_renew_it() {
        let mut window = window(10, 10);
        window.insert(Duration::ZERO, 1, 100);
        window.insert(Duration::from_secs(9), 1, 200);
        assert_eq!(window.find(Duration::from_secs(9), &1), Some(&100));
        assert_eq!(window.find(Duration::from_secs(10), &1), None);
        assert!(window.is_empty());
    }

    #[test]
    fn a_bound_of_zero_remembers_nothing() {
        let mut window = window(0, 10);
        window.insert(Duration::ZERO, 1, 100);
        assert!(window.find(Duration::ZERO, &1).is_none() && window.is_empty());
        assert_eq!(window.counts(), DedupCounts::default());
    }

    proptest! {
        /// Against a list that remembers everything.
        #[test]
        fn it_knows_exactly_the_newest_keys_that_are_young_enough(
            keys in 0usize..8, age in 0u64..10, steps in proptest::collection::vec((0u64..4, 0u8..12, any::<bool>()), 1..200),
        ) {
            let (mut window, mut now) = (window(keys, age), Duration::ZERO);
            let mut all: Vec<(Duration, u8, usize)> = Vec::new();
            for (number, (pause, key, inserts)) in steps.into_iter().enumerate() {
                now += Duration::from_secs(pause);
                all.retain(|(at, ..)| *at + Duration::from_secs(age) > now);
                if inserts {
                    window.insert(now, key, number);
                    if all.iter().all(|(_, held, _)| *held != key) {
                        all.push((now, key, number));
                    }
                    all.drain(..all.len().saturating_sub(keys));
                }
                // What is inserted without time to live is gone at the next look.
                all.retain(|(at, ..)| *at + Duration::from_secs(age) > now);
                let known = all.iter().find(|(_, held, _)| *held == key).map(|(.., value)| value);
                prop_assert_eq!(window.find(now, &key), known);
                prop_assert!(window.len() <= keys && window.len() == all.len() && window.values.len() == all.len());
            }
        }
    }
}
