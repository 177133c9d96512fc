//! Dead letters, in memory.
use crate::{Claim, DeadLetter, DeadLetterLimits};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Letters by id, which is their order; the oldest goes first.
#[derive(Debug)]
pub(super) struct Letters {
    limits: DeadLetterLimits,
    letters: BTreeMap<Arc<str>, Held>,
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    letter: DeadLetter,
    since: Duration,
    claimed_until: Duration,
}

impl Letters {
    pub(super) fn new(limits: DeadLetterLimits) -> Self {
        Self { limits, letters: BTreeMap::new(), bytes: 0 }
    }

    /// Adds a letter; returns how many gave way.
    pub(super) fn bury(&mut self, now: Duration, letter: &DeadLetter) -> usize {
        let mut dropped = self.drop_old(now);
        if !self.letters.contains_key(&letter.id) {
            self.bytes += letter.cost();
            self.letters.insert(letter.id.clone(), Held { letter: letter.clone(), since: now, claimed_until: Duration::ZERO });
        }
        while self.letters.len() > self.limits.letters || (self.bytes > self.limits.bytes && self.letters.len() > 1) {
            self.drop_oldest();
            dropped += 1;
        }
        dropped
    }

    pub(super) fn list(&mut self, now: Duration, limit: usize) -> Vec<DeadLetter> {
        self.drop_old(now);
        self.letters.values().take(limit).map(|held| held.letter.clone()).collect()
    }

    pub(super) fn claim(&mut self, now: Duration, id: &str) -> Claim {
        self.drop_old(now);
        match self.letters.get_mut(id) {
            None => Claim::Gone,
            Some(held) if now < held.claimed_until => Claim::Taken,
            Some(held) => {
                held.claimed_until = now + self.limits.claim;
                held.letter.attempts += 1;
                Claim::Letter(held.letter.clone())
            }
        }
    }

    pub(super) fn release(&mut self, id: &str) {
        if let Some(held) = self.letters.get_mut(id) {
            held.claimed_until = Duration::ZERO;
        }
    }

    pub(super) fn remove(&mut self, id: &str) -> bool {
        let gone = self.letters.remove(id);
        self.bytes -= gone.as_ref().map_or(0, |held| held.letter.cost());
        gone.is_some()
    }

    fn drop_old(&mut self, now: Duration) -> usize {
        let mut dropped = 0;
        while self.letters.first_key_value().is_some_and(|(_, held)| held.since + self.limits.age <= now) {
            self.drop_oldest();
            dropped += 1;
        }
        dropped
    }

    fn drop_oldest(&mut self) {
        let gone = self.letters.pop_first();
        self.bytes -= gone.map_or(0, |(_, held)| held.letter.cost());
    }
}
