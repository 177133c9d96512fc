//! Which keys were seen lately, and what they got: a repetition gets the same again.
mod slots;

use equivalent::Equivalent;
use foldhash::quality::RandomState;
use slots::Slots;
use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash},
    time::Duration,
};

/// The bounds of a [`DedupWindow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupLimits {
    /// Keys remembered; above it the oldest is forgotten. 0 remembers none; 2^30 is the most.
    pub keys: usize,
    /// How long a key is remembered.
    pub age: Duration,
}

/// What a [`DedupWindow`] has seen so far. New keys are not counted: each is a message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DedupCounts {
    /// Repetitions found.
    pub repeated: u64,
    /// Keys forgotten for want of room, before their time.
    pub evicted: u64,
}

/// Values by key, bounded by count and age. `now` is the time since any fixed instant.
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
    /// Oldest first; numbered from `first` on, modulo 2^32.
    remembered: VecDeque<Remembered<K, V>>,
    first: u32,
    /// The numbers of what is remembered, by hash. A key is hashed once: forgetting the oldest for a new one costs no hashing.
    numbers: Slots,
    hasher: RandomState,
    counts: DedupCounts,
}

#[derive(Debug)]
struct Remembered<K, V> {
    at: Duration,
    hash: slots::Hash,
    key: K,
    value: V,
}

impl<K: Eq + Hash, V> DedupWindow<K, V> {
    /// An empty window.
    #[must_use]
    pub fn new(limits: DedupLimits) -> Self {
        let (numbers, hasher) = (Slots::new(), RandomState::default());
        let limits = DedupLimits { keys: limits.keys.min(Slots::MOST), ..limits };
        Self { limits, remembered: VecDeque::new(), first: 0, numbers, hasher, counts: DedupCounts::default() }
    }

    /// What this key got within the window.
    pub fn find<Q: Hash + Equivalent<K> + ?Sized>(&mut self, now: Duration, key: &Q) -> Option<&V> {
        self.handle_timeout(now);
        let number = self.numbers.find(self.hash_of(key), |number| self.at(number).is_some_and(|one| key.equivalent(&one.key))).ok()?;
        self.counts.repeated += 1;
        self.at(number).map(|one| &one.value)
    }

    /// Remembers what a key got. A key that is remembered keeps its first value and its time.
    pub fn insert(&mut self, now: Duration, key: K, value: V) {
        self.handle_timeout(now);
        if self.limits.keys == 0 {
            return;
        }
        let hash = self.hash_of(&key);
        let Err(place) = self.numbers.find(hash, |number| self.at(number).is_some_and(|one| one.key == key)) else { return };
        self.numbers.put(place, hash, self.first.wrapping_add(self.remembered.len() as u32));
        self.remembered.push_back(Remembered { at: now, hash, key, value });
        if self.remembered.len() > self.limits.keys {
            self.forget_oldest();
            self.counts.evicted += 1;
        }
        if self.remembered.len() == self.numbers.room() && self.remembered.len() < self.limits.keys {
            self.numbers.grow();
        }
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
        self.remembered.front().map(|one| one.at.saturating_add(self.limits.age))
    }

    /// Keys remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.remembered.len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remembered.is_empty()
    }

    /// What it has seen so far.
    #[must_use]
    pub fn counts(&self) -> DedupCounts {
        self.counts
    }

    fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> slots::Hash {
        slots::Hash::of(self.hasher.hash_one(key))
    }

    fn at(&self, number: u32) -> Option<&Remembered<K, V>> {
        self.remembered.get(number.wrapping_sub(self.first) as usize)
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.remembered.pop_front() else { return };
        self.numbers.remove(oldest.hash, self.first);
        self.first = self.first.wrapping_add(1);
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
        /// Against a list that remembers everything; from the first number on, and over the end of the numbers.
        #[test]
        fn it_knows_exactly_the_newest_keys_that_are_young_enough(
            first in prop_oneof![Just(0), (0u32..60).prop_map(|before| u32::MAX - before)],
            keys in prop_oneof![0usize..8, 8usize..40], age in prop_oneof![0u64..10, 10u64..200],
            steps in proptest::collection::vec((0u64..4, prop_oneof![0u8..12, 0u8..48], any::<bool>()), 1..200),
        ) {
            let (mut window, mut now) = (window(keys, age), Duration::ZERO);
            window.first = first;
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
                prop_assert!(window.len() <= keys && window.len() == all.len() && window.numbers.len() == all.len());
            }
        }
    }
}
