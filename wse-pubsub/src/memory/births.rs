//! The births logs: which topics of each namespace were begun, in order, and who follows.
//!
//! `now` is the time since any fixed instant, the same one in every call.
use super::store::TopicId;
use crate::{Births, Consumer, HistoryGap, random::new_epoch};
use slab::Slab;
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};
use wse_protocol::{Epoch, Pattern, Position, Seq, Topic};

/// Every namespace that is remembered: it has topics or followers, or had them within the meta age.
#[derive(Debug)]
pub(crate) struct Namespaces {
    limits: BirthLimits,
    ids: HashMap<Box<str>, usize>,
    all: Slab<Namespace>,
    /// By births held: the last gives up its oldest first.
    by_length: BTreeSet<(usize, usize)>,
    /// Those with neither topics nor followers by last use: the first is forgotten first.
    idle: BTreeSet<(Duration, usize)>,
    births: usize,
    followed: usize,
}

/// The bounds of [`Namespaces`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct BirthLimits {
    /// Births that one namespace remembers.
    pub(crate) entries: usize,
    /// Births that all remember together.
    pub(crate) total: usize,
    /// How long one with neither topics nor followers is remembered.
    pub(crate) meta_age: Duration,
    /// Namespaces.
    pub(crate) namespaces: usize,
}

#[derive(Debug)]
struct Namespace {
    pattern: Pattern,
    epoch: Epoch,
    /// The newest is numbered `top`, each one before it one less.
    births: VecDeque<Topic>,
    top: Seq,
    topics: HashSet<TopicId>,
    followers: Vec<Follower>,
    used: Duration,
    idle: Option<Duration>,
}

#[derive(Debug)]
struct Follower {
    consumer: Consumer,
    count: usize,
}

/// A topic that was born, for its pattern's followers.
#[derive(Debug, Clone)]
pub(crate) struct Birth {
    pub(crate) pattern: Pattern,
    pub(crate) position: Position,
    pub(crate) start: Position,
}

impl Namespaces {
    pub(crate) fn new(limits: BirthLimits) -> Self {
        let (by_length, idle) = (BTreeSet::new(), BTreeSet::new());
        Self { limits, ids: HashMap::new(), all: Slab::new(), by_length, idle, births: 0, followed: 0 }
    }

    /// Who follows the pattern of a topic.
    pub(crate) fn followers(&self, topic: &Topic) -> impl Iterator<Item = Consumer> {
        let namespace = topic.namespace().and_then(|name| self.ids.get(name)).map(|id| &self.all[*id]);
        namespace.into_iter().flat_map(|namespace| namespace.followers.iter().map(|follower| follower.consumer))
    }

    /// A topic was begun: its namespace, and its birth there. None where no pattern stands for it.
    pub(crate) fn add(&mut self, now: Duration, topic: &Topic, start: Position, id: TopicId) -> Option<(usize, Birth)> {
        let at = self.open(now, &Pattern::of(topic)?);
        let namespace = &mut self.all[at];
        namespace.topics.insert(id);
        namespace.top = namespace.top.next();
        let birth = Birth { pattern: namespace.pattern.clone(), position: namespace.position(), start };
        self.edit_births(at, |births| births.push_back(topic.clone()));
        self.settle(at);
        Some((at, birth))
    }

    /// A topic was forgotten.
    pub(crate) fn remove(&mut self, namespace: usize, id: TopicId) {
        self.all[namespace].topics.remove(&id);
        self.settle(namespace);
    }

    /// Counts one follower; returns the namespace and where its births log stands.
    pub(crate) fn follow(&mut self, now: Duration, pattern: &Pattern, consumer: Consumer) -> (usize, Position) {
        let at = self.open(now, pattern);
        let namespace = &mut self.all[at];
        match namespace.followers.iter_mut().find(|follower| follower.consumer == consumer) {
            Some(follower) => follower.count += 1,
            None => {
                self.followed += usize::from(namespace.followers.is_empty());
                namespace.followers.push(Follower { consumer, count: 1 });
            }
        }
        let position = namespace.position();
        self.settle(at);
        (at, position)
    }

    /// Gives back one `follow`.
    pub(crate) fn unfollow(&mut self, now: Duration, pattern: &Pattern, consumer: Consumer) {
        let Some(&at) = self.ids.get(pattern.namespace()) else { return };
        let namespace = &mut self.all[at];
        let Some(follower) = namespace.followers.iter_mut().find(|follower| follower.consumer == consumer) else { return };
        follower.count -= 1;
        namespace.used = now;
        if follower.count == 0 {
            namespace.followers.retain(|follower| follower.count > 0);
            self.followed -= usize::from(namespace.followers.is_empty());
            self.settle(at);
        }
    }

    /// Births after `since`.
    pub(crate) fn read(&mut self, now: Duration, pattern: &Pattern, since: &Position, limit: usize) -> Births {
        let at = self.open(now, pattern);
        self.settle(at);
        self.all[at].read(since, limit)
    }

    /// The topics of a namespace that are remembered.
    pub(crate) fn members(&self, namespace: usize) -> impl Iterator<Item = TopicId> {
        self.all[namespace].topics.iter().copied()
    }

    /// Patterns that are followed.
    pub(crate) fn followed(&self) -> usize {
        self.followed
    }

    /// Forgets what is too old or too much.
    pub(crate) fn keep_bounds(&mut self, now: Duration) {
        while self.births > self.limits.total {
            let Some(&(_, at)) = self.by_length.last() else { break };
            self.edit_births(at, |births| drop(births.pop_front()));
        }
        while let Some(&(used, at)) = self.idle.first() {
            if self.all.len() <= self.limits.namespaces && used + self.limits.meta_age > now {
                break;
            }
            self.forget(at);
        }
    }

    fn open(&mut self, now: Duration, pattern: &Pattern) -> usize {
        if let Some(&at) = self.ids.get(pattern.namespace()) {
            self.all[at].used = now;
            return at;
        }
        let (births, topics, followers) = (VecDeque::new(), HashSet::new(), Vec::new());
        let (pattern, epoch, top) = (pattern.clone(), new_epoch(), Seq::ZERO);
        let name = pattern.namespace().into();
        let at = self.all.insert(Namespace { pattern, epoch, births, top, topics, followers, used: now, idle: None });
        self.ids.insert(name, at);
        at
    }

    fn edit_births(&mut self, at: usize, edit: impl FnOnce(&mut VecDeque<Topic>)) {
        let births = &mut self.all[at].births;
        let before = births.len();
        edit(births);
        while births.len() > self.limits.entries {
            births.pop_front();
        }
        let after = births.len();
        self.births = self.births - before + after;
        self.by_length.remove(&(before, at));
        if after > 0 {
            self.by_length.insert((after, at));
        }
    }

    /// Brings the index of idle ones up to date.
    fn settle(&mut self, at: usize) {
        let namespace = &mut self.all[at];
        let idle = (namespace.topics.is_empty() && namespace.followers.is_empty()).then_some(namespace.used);
        if let Some(old) = std::mem::replace(&mut namespace.idle, idle) {
            self.idle.remove(&(old, at));
        }
        self.idle.extend(idle.map(|used| (used, at)));
    }

    fn forget(&mut self, at: usize) {
        self.edit_births(at, VecDeque::clear);
        let namespace = self.all.remove(at);
        self.ids.remove(namespace.pattern.namespace());
        if let Some(used) = namespace.idle {
            self.idle.remove(&(used, at));
        }
    }
}

impl Namespace {
    fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), seq: self.top }
    }

    fn read(&self, since: &Position, limit: usize) -> Births {
        let missed = usize::try_from(self.top.number().saturating_sub(since.seq.number())).unwrap_or(usize::MAX);
        let reason = if since.epoch != self.epoch {
            Some(HistoryGap::Epoch)
        } else if since.seq > self.top {
            Some(HistoryGap::Fork)
        } else {
            (missed > self.births.len()).then_some(HistoryGap::Trimmed)
        };
        if let Some(reason) = reason {
            return Births::Gap { top: self.position(), reason };
        }
        let run = self.births.iter().skip(self.births.len() - missed).take(limit).cloned();
        let topics = run.scan(since.seq, |seq, topic| {
            *seq = seq.next();
            Some((*seq, topic))
        });
        Births::Topics { topics: topics.collect(), top: self.top }
    }
}
