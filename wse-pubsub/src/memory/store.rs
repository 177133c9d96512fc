//! All topics' logs under one budget: who gives up entries when it is spent, and when an unused topic is forgotten.
//!
//! `now` is the time since any fixed instant, the same one in every call.
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use wse_core::log::{LogLimits, TopicLog};
use wse_protocol::{Position, Publication, Topic};

/// Every topic that is remembered.
#[derive(Debug)]
pub(crate) struct Store {
    limits: StoreLimits,
    topics: HashMap<Topic, Slot>,
    /// By bytes held: the last gives up entries first.
    by_size: BTreeSet<(usize, Topic)>,
    /// By the time at which something ages: entries, or the memory of an empty topic.
    by_due: BTreeSet<(Duration, Topic)>,
    /// Topics without interest by last use: the first is forgotten first.
    idle: BTreeSet<(Duration, Topic)>,
    bytes: usize,
    interests: usize,
}

/// The bounds of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreLimits {
    pub(crate) log: LogLimits,
    pub(crate) budget_bytes: usize,
    pub(crate) meta_age: Duration,
    pub(crate) topics: usize,
}

#[derive(Debug)]
struct Slot {
    log: TopicLog,
    interest: usize,
    used: Duration,
    keys: Keys,
}

/// Under which keys a slot stands in the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Keys {
    size: usize,
    due: Option<Duration>,
    idle: Option<Duration>,
}

/// Topics looked at per call for what has aged: more than one, so that ageing keeps ahead of births.
const AGED_PER_CALL: usize = 4;

impl Store {
    pub(crate) fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            topics: HashMap::new(),
            by_size: BTreeSet::new(),
            by_due: BTreeSet::new(),
            idle: BTreeSet::new(),
            bytes: 0,
            interests: 0,
        }
    }

    /// Stores a publication; returns where it stands.
    pub(crate) fn push(&mut self, now: Duration, topic: &Topic, publication: Publication) -> Position {
        let slot = self.slot(now, topic);
        slot.log.push(now, publication);
        slot.used = now;
        let position = slot.log.position();
        self.reindex(topic);
        self.keep_bounds(now);
        position
    }

    /// The topic's log; begins it where there is none.
    pub(crate) fn log(&mut self, now: Duration, topic: &Topic) -> &TopicLog {
        self.slot(now, topic).used = now;
        self.reindex(topic);
        self.keep_bounds(now);
        &self.slot(now, topic).log
    }

    pub(crate) fn add_interest(&mut self, now: Duration, topic: &Topic) {
        let slot = self.slot(now, topic);
        slot.interest += 1;
        slot.used = now;
        let first = slot.interest == 1;
        self.interests += usize::from(first);
        self.reindex(topic);
        self.keep_bounds(now);
    }

    pub(crate) fn remove_interest(&mut self, now: Duration, topic: &Topic) {
        let Some(slot) = self.topics.get_mut(topic).filter(|slot| slot.interest > 0) else { return };
        slot.interest -= 1;
        slot.used = now;
        self.interests -= usize::from(slot.interest == 0);
        self.reindex(topic);
    }

    pub(crate) fn has_interest(&self, topic: &Topic) -> bool {
        self.topics.get(topic).is_some_and(|slot| slot.interest > 0)
    }

    /// Topics with interest.
    pub(crate) fn interests(&self) -> usize {
        self.interests
    }

    fn slot(&mut self, now: Duration, topic: &Topic) -> &mut Slot {
        let log = self.limits.log;
        self.topics.entry(topic.clone()).or_insert_with(|| Slot {
            log: TopicLog::new(crate::random::new_epoch(), log),
            interest: 0,
            used: now,
            keys: Keys::default(),
        })
    }

    /// Brings the indexes up to date with a slot.
    fn reindex(&mut self, topic: &Topic) {
        let Some(slot) = self.topics.get_mut(topic) else { return };
        let forgotten_at = (slot.interest == 0).then(|| slot.used + self.limits.meta_age);
        let keys =
            Keys { size: slot.log.bytes(), due: slot.log.poll_timeout().or(forgotten_at), idle: (slot.interest == 0).then_some(slot.used) };
        let old = std::mem::replace(&mut slot.keys, keys);
        self.bytes = self.bytes - old.size + keys.size;
        move_key(&mut self.by_size, topic, Some(old.size).filter(|&s| s > 0), Some(keys.size).filter(|&s| s > 0));
        move_key(&mut self.by_due, topic, old.due, keys.due);
        move_key(&mut self.idle, topic, old.idle, keys.idle);
    }

    fn keep_bounds(&mut self, now: Duration) {
        for _ in 0..AGED_PER_CALL {
            self.age_one(now);
        }
        while self.bytes > self.limits.budget_bytes {
            let Some((_, topic)) = self.by_size.last().cloned() else { return };
            if let Some(slot) = self.topics.get_mut(&topic) {
                slot.log.trim_oldest();
            }
            self.reindex(&topic);
        }
        while self.topics.len() > self.limits.topics {
            let newest = self.idle.last().cloned();
            let Some((_, topic)) = self.idle.first().cloned().filter(|first| Some(first) != newest.as_ref()) else { return };
            self.forget(&topic);
        }
    }

    fn age_one(&mut self, now: Duration) {
        let Some((_, topic)) = self.by_due.first().filter(|(due, _)| *due <= now).cloned() else { return };
        let Some(slot) = self.topics.get_mut(&topic) else { return };
        slot.log.trim_aged(now);
        if slot.log.is_empty() && slot.interest == 0 && slot.used + self.limits.meta_age <= now {
            return self.forget(&topic);
        }
        self.reindex(&topic);
    }

    fn forget(&mut self, topic: &Topic) {
        let Some(slot) = self.topics.remove(topic) else { return };
        self.bytes -= slot.keys.size;
        move_key(&mut self.by_size, topic, Some(slot.keys.size), None);
        move_key(&mut self.by_due, topic, slot.keys.due, None);
        move_key(&mut self.idle, topic, slot.keys.idle, None);
    }
}

fn move_key<K: Ord>(index: &mut BTreeSet<(K, Topic)>, topic: &Topic, old: Option<K>, new: Option<K>) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        index.remove(&(old, topic.clone()));
    }
    if let Some(new) = new {
        index.insert((new, topic.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use wse_protocol::{Format, Priority, Seq, UnixMillis};

    const HOUR: Duration = Duration::from_secs(3600);

    fn store(budget_bytes: usize, topics: usize) -> Store {
        Store::new(StoreLimits { log: LogLimits::default(), budget_bytes, meta_age: HOUR, topics })
    }

    fn topic(name: &str) -> Topic {
        Topic::parse(name).expect("valid")
    }

    fn publication(size: usize) -> Publication {
        Publication {
            id: "m".into(),
            event_type: "t".into(),
            ts: UnixMillis(0),
            key: None,
            priority: Priority::Normal,
            format: Format::Json,
            payload: Bytes::from(vec![b'1'; size]),
        }
    }

    fn held(store: &mut Store, now: Duration, name: &str) -> usize {
        store.log(now, &topic(name)).len()
    }

    #[test]
    fn above_the_budget_the_largest_log_gives_up_its_oldest() {
        let mut store = store(10_000, 100);
        store.push(Duration::ZERO, &topic("small"), publication(100));
        for _ in 0..100 {
            store.push(Duration::ZERO, &topic("large"), publication(1000));
            assert!(store.bytes <= 10_000);
        }
        assert_eq!(held(&mut store, Duration::ZERO, "small"), 1);
        assert_eq!(held(&mut store, Duration::ZERO, "large"), 8);
        assert_eq!(store.log(Duration::ZERO, &topic("large")).position().seq.number(), 100);
    }

    #[test]
    fn an_aged_topic_is_emptied_by_other_topics_calls_and_its_position_remembered_until_meta_age() {
        let mut store = store(1 << 20, 100);
        store.push(Duration::ZERO, &topic("a"), publication(1000));
        let before = store.log(Duration::ZERO, &topic("a")).position();
        store.push(Duration::from_secs(301), &topic("b"), publication(1));
        assert!(store.bytes < 1000, "a's entry is gone");
        assert_eq!(store.log(Duration::from_secs(302), &topic("a")).position(), before);
        store.push(HOUR * 2, &topic("b"), publication(1));
        assert!(!store.topics.contains_key("a"));
        let after: Position = store.log(HOUR * 2, &topic("a")).position();
        assert!(after.epoch != before.epoch && after.seq == Seq::ZERO);
    }

    #[test]
    fn above_the_topic_bound_the_longest_unused_is_forgotten_but_never_one_with_interest() {
        let mut store = store(1 << 20, 3);
        store.add_interest(Duration::ZERO, &topic("kept"));
        for number in 0..10u64 {
            store.push(Duration::from_secs(number), &topic(&format!("t{number}")), publication(1));
            assert!(store.topics.len() <= 3);
        }
        assert!(store.topics.contains_key("kept") && store.topics.contains_key("t9") && store.topics.contains_key("t8"));
        assert_eq!((store.by_size.len(), store.by_due.len(), store.idle.len()), (2, 2, 2));
    }
}
