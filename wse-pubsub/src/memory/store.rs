//! All topics' logs under one budget: who gives up entries when it is spent, and when an unused topic is forgotten.
//!
//! The indexes are lazy, so that a publish seldom moves anything in them: a topic stands under the size, due time or last use
//! that it had when it was indexed, and is put right when it is looked at. So "the largest log" is the largest to within an
//! eighth, or 4 KiB; age and last use are exact, since their keys are never later than the truth.
//!
//! `now` is the time since any fixed instant, the same one in every call.
use super::births::{Birth, BirthLimits, Namespaces};
use crate::{Consumer, handover::Place, random::new_epoch_within};
use slab::Slab;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use wse_core::log::{LogLimits, PackCounts, TopicLog};
use wse_protocol::{Epoch, Position, Publication, Seq, Topic};

/// Names a topic that is remembered, until it is forgotten.
pub(crate) type TopicId = usize;

/// Every topic that is remembered.
#[derive(Debug)]
pub(crate) struct Store {
    limits: StoreLimits,
    ids: HashMap<Topic, TopicId>,
    slots: Slab<Slot>,
    /// The topic that was last pushed to: likely the next one's too, and found without hashing.
    recent: TopicId,
    namespaces: Namespaces,
    /// By bytes held, about: the last gives up entries first.
    by_size: BTreeSet<(usize, TopicId)>,
    /// By the time at or before which something ages: entries, or the memory of an empty topic.
    by_due: BTreeSet<(Duration, TopicId)>,
    /// Topics without interest by a time of use, the last one or an earlier: the first is looked at first.
    idle: BTreeSet<(Duration, TopicId)>,
    bytes: usize,
    interests: usize,
    packed: PackCounts,
    /// Where logs are made by their first message: what stands for the time before it.
    run: Option<Epoch>,
    /// When a log with messages last had to give way before its time.
    evicted: Option<Duration>,
}

/// The bounds of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreLimits {
    pub(crate) log: LogLimits,
    pub(crate) compress_after: Duration,
    pub(crate) budget_bytes: usize,
    pub(crate) meta_age: Duration,
    pub(crate) topics: usize,
    pub(crate) births: usize,
}

#[derive(Debug)]
struct Slot {
    topic: Topic,
    namespace: Option<usize>,
    log: TopicLog,
    interests: Vec<Interest>,
    used: Duration,
    /// The log's bytes as they are counted in the total.
    bytes: usize,
    keys: Keys,
}

/// A consumer that wants a topic.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) consumer: Consumer,
    /// Where the topic's last run stands in the consumer's queue.
    pub(crate) place: Place,
    count: usize,
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
/// A log's size may differ from its key by so much.
const SLACK_BYTES: usize = 4096;

impl Store {
    pub(crate) fn new(limits: StoreLimits) -> Self {
        let births = BirthLimits { entries: limits.births, total: limits.topics, meta_age: limits.meta_age, namespaces: limits.topics };
        let [by_due, idle] = [BTreeSet::new(), BTreeSet::new()];
        let (ids, slots, namespaces, by_size) = (HashMap::new(), Slab::new(), Namespaces::new(births), BTreeSet::new());
        let (packed, run, evicted) = (PackCounts::default(), None, None);
        Self { limits, ids, slots, recent: 0, namespaces, by_size, by_due, idle, bytes: 0, interests: 0, packed, run, evicted }
    }

    /// One whose logs are made by their first message; until then they stand at the beginning of `run`.
    pub(crate) fn of_run(limits: StoreLimits, run: Epoch) -> Self {
        Self { run: Some(run), ..Self::new(limits) }
    }

    /// The topic, if it is remembered.
    pub(crate) fn find(&self, topic: &Topic) -> Option<TopicId> {
        let recent = self.slots.get(self.recent).is_some_and(|slot| slot.topic == *topic);
        if recent { Some(self.recent) } else { self.ids.get(topic).copied() }
    }

    /// Begins a topic that is not remembered; the birth, if it has a namespace.
    pub(crate) fn begin(&mut self, now: Duration, topic: &Topic) -> (TopicId, Option<Birth>) {
        let log = TopicLog::new(new_epoch_within(self.run.as_ref()), self.limits.log).compress_after(self.limits.compress_after);
        let start = log.position();
        let keys = Keys::default();
        let slot = Slot { topic: topic.clone(), namespace: None, log, interests: Vec::new(), used: now, bytes: 0, keys };
        let id = self.slots.insert(slot);
        self.ids.insert(topic.clone(), id);
        let born = self.namespaces.add(now, topic, start, id);
        self.slots[id].namespace = born.as_ref().map(|(namespace, _)| *namespace);
        self.reindex(id);
        self.keep_bounds(now, id);
        (id, born.map(|(_, birth)| birth))
    }

    /// Where the next publication will stand.
    pub(crate) fn next_position(&self, id: TopicId) -> Position {
        let Position { epoch, seq } = self.slots[id].log.position();
        Position { epoch, seq: seq.next() }
    }

    /// Stores publications.
    pub(crate) fn push(&mut self, now: Duration, id: TopicId, publications: impl IntoIterator<Item = Arc<Publication>>) {
        let slot = &mut self.slots[id];
        for publication in publications {
            slot.log.push(now, publication);
        }
        slot.used = now;
        self.recent = id;
        self.reindex(id);
        self.keep_bounds(now, id);
    }

    /// Where a topic stands.
    pub(crate) fn position(&self, id: TopicId) -> Position {
        let position = self.slots[id].log.position();
        self.unborn().filter(|_| position.seq == Seq::ZERO).unwrap_or(position)
    }

    /// Where one stands that has no log, if its first message makes it.
    pub(crate) fn unborn(&self) -> Option<Position> {
        Some(Position { epoch: self.run.clone()?, seq: Seq::ZERO })
    }

    /// Whether a log that had a message may be gone that had it within `away` before `now`.
    pub(crate) fn may_have_forgotten(&self, now: Duration, away: Duration) -> bool {
        away >= self.limits.meta_age || self.evicted.is_some_and(|at| at.saturating_add(away) >= now)
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives up entries until no more is held: of the largest log first.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let Some(&(_, id)) = self.by_size.last() else { return };
            self.slots[id].log.trim_oldest();
            self.reindex(id);
        }
    }

    /// The topic's log.
    pub(crate) fn log(&mut self, now: Duration, id: TopicId) -> &TopicLog {
        self.slots[id].used = now;
        self.keep_bounds(now, id);
        &self.slots[id].log
    }

    /// Who wants the topic.
    pub(crate) fn interests(&self, id: TopicId) -> &[Interest] {
        &self.slots[id].interests
    }

    pub(crate) fn interests_mut(&mut self, id: TopicId) -> &mut [Interest] {
        &mut self.slots[id].interests
    }

    pub(crate) fn add_interest(&mut self, now: Duration, id: TopicId, consumer: Consumer) {
        let slot = &mut self.slots[id];
        slot.used = now;
        if let Some(interest) = slot.interests.iter_mut().find(|interest| interest.consumer == consumer) {
            interest.count += 1;
            return;
        }
        self.interests += usize::from(slot.interests.is_empty());
        slot.interests.push(Interest { consumer, place: Place::default(), count: 1 });
        self.reindex(id);
    }

    pub(crate) fn remove_interest(&mut self, now: Duration, topic: &Topic, consumer: Consumer) {
        let Some(id) = self.find(topic) else { return };
        let slot = &mut self.slots[id];
        let Some(at) = slot.interests.iter().position(|interest| interest.consumer == consumer) else { return };
        slot.used = now;
        slot.interests[at].count -= 1;
        if slot.interests[at].count == 0 {
            slot.interests.swap_remove(at);
            self.interests -= usize::from(slot.interests.is_empty());
            if self.run.is_some() && slot.interests.is_empty() && slot.log.position().seq == Seq::ZERO {
                return self.forget(id);
            }
            self.reindex(id);
            self.keep_bounds(now, id);
        }
    }

    /// Topics that are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.slots.len()
    }

    /// Topics with interest.
    pub(crate) fn interested(&self) -> usize {
        self.interests
    }

    /// What became of payloads that were old enough to be packed.
    pub(crate) fn pack_counts(&self) -> PackCounts {
        self.packed
    }

    /// The births logs.
    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    pub(crate) fn namespaces_mut(&mut self) -> &mut Namespaces {
        &mut self.namespaces
    }

    /// Every remembered topic of a namespace, and where it stands.
    pub(crate) fn members(&self, namespace: usize) -> Vec<(Topic, Position)> {
        let slots = self.namespaces.members(namespace).map(|id| &self.slots[id]);
        slots.map(|slot| (slot.topic.clone(), slot.log.position())).collect()
    }

    /// Brings the total and the indexes up to date with a slot.
    fn reindex(&mut self, id: TopicId) {
        let slot = &mut self.slots[id];
        let size = slot.log.bytes();
        self.packed += slot.log.take_pack_counts();
        self.bytes = self.bytes - slot.bytes + size;
        slot.bytes = size;
        let off = slot.keys.size.abs_diff(size);
        if (size == 0) != (slot.keys.size == 0) || off > SLACK_BYTES.max(slot.keys.size / 8) {
            move_key(&mut self.by_size, id, Some(slot.keys.size).filter(|&s| s > 0), Some(size).filter(|&s| s > 0));
            slot.keys.size = size;
        }
        let due = slot.due(self.limits.meta_age);
        if due.is_some_and(|due| slot.keys.due.is_none_or(|key| due < key)) {
            move_key(&mut self.by_due, id, slot.keys.due, due);
            slot.keys.due = due;
        }
        let unused = slot.interests.is_empty();
        if unused != slot.keys.idle.is_some() {
            let idle = unused.then_some(slot.used);
            move_key(&mut self.idle, id, slot.keys.idle, idle);
            slot.keys.idle = idle;
        }
    }

    /// `current` is in use and is not forgotten.
    fn keep_bounds(&mut self, now: Duration, current: TopicId) {
        for _ in 0..AGED_PER_CALL {
            if !self.age_one(now, current) {
                break;
            }
        }
        self.shrink_to(self.limits.budget_bytes);
        while self.slots.len() > self.limits.topics {
            let Some(&(key, id)) = self.idle.iter().find(|(_, id)| *id != current) else { return };
            self.forget_unless_used_since(now, key, id);
        }
        self.namespaces.keep_bounds(now);
    }

    /// Looks at the topic whose key is due, if there is one.
    fn age_one(&mut self, now: Duration, current: TopicId) -> bool {
        let Some(&(key, id)) = self.by_due.first().filter(|(due, _)| *due <= now) else { return false };
        let slot = &mut self.slots[id];
        slot.log.handle_timeout(now);
        let due = slot.due(self.limits.meta_age);
        if id != current && slot.log.is_empty() && due.is_some_and(|due| due <= now) {
            self.forget(id);
            return true;
        }
        slot.keys.due = due;
        move_key(&mut self.by_due, id, Some(key), due);
        self.reindex(id);
        true
    }

    fn forget_unless_used_since(&mut self, now: Duration, key: Duration, id: TopicId) {
        let slot = &mut self.slots[id];
        if slot.used <= key {
            self.evicted = if slot.log.position().seq > Seq::ZERO { Some(now) } else { self.evicted };
            return self.forget(id);
        }
        slot.keys.idle = Some(slot.used);
        move_key(&mut self.idle, id, Some(key), Some(slot.used));
    }

    fn forget(&mut self, id: TopicId) {
        let slot = self.slots.remove(id);
        self.ids.remove(&slot.topic);
        self.bytes -= slot.bytes;
        move_key(&mut self.by_size, id, Some(slot.keys.size), None);
        move_key(&mut self.by_due, id, slot.keys.due, None);
        move_key(&mut self.idle, id, slot.keys.idle, None);
        if let Some(namespace) = slot.namespace {
            self.namespaces.remove(namespace, id);
        }
    }
}

impl Slot {
    /// When its oldest entry ages, or its memory ends; never while it is empty and wanted.
    fn due(&self, meta_age: Duration) -> Option<Duration> {
        let forgotten = self.interests.is_empty().then(|| self.used + meta_age);
        self.log.poll_timeout().or(forgotten)
    }
}

fn move_key<K: Ord>(index: &mut BTreeSet<(K, TopicId)>, id: TopicId, old: Option<K>, new: Option<K>) {
    if let Some(old) = old {
        index.remove(&(old, id));
    }
    if let Some(new) = new {
        index.insert((new, id));
    }
}

#[cfg(test)]
mod tests;
