//! What waits for one connection, by topic: five levels of rank under one bound, and who gives way when it is reached.
use crate::run::Chunk;
use std::{collections::VecDeque, fmt, time::Instant};
use wse_protocol::{Epoch, Priority, Seq, Topic, messages::SkipReason};

const LEVELS: usize = 5;

/// What becomes of a topic's messages that a connection does not read in time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlowPolicy {
    /// The newest are left in the topic's log and fetched from there when the connection has caught up.
    #[default]
    Recover,
    /// Only the newest of each key is kept, whatever the priorities: it is the state, and the older ones would be wrong. Messages
    /// without a key have one together. What is left out is told by `skip`.
    Latest,
    /// The lowest priority goes first, and of it the newest; told by `skip`. `CRITICAL` is never dropped.
    DropLow,
    /// The connection is closed.
    Disconnect,
}

impl SlowPolicy {
    /// By its name in settings: `recover`, `latest`, `drop_low` or `disconnect`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "recover" => Self::Recover,
            "latest" => Self::Latest,
            "drop_low" => Self::DropLow,
            "disconnect" => Self::Disconnect,
            _ => return None,
        })
    }
}

/// Messages that will not come, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// The message before them that the connection had.
    pub previous: Seq,
    /// The first.
    pub from: Seq,
    /// The last.
    pub to: Seq,
    /// Why.
    pub reason: SkipReason,
}

/// What comes next on a connection.
#[derive(Debug, Clone)]
pub enum Next {
    /// These frames.
    Frames(Chunk),
    /// Word of messages left out of a log of this epoch, in their place.
    Hole(Topic, Epoch, Hole),
}

/// What had to give way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shed {
    /// The topic's messages after `after` were taken out and will be fetched from its log; bring no more of it until then.
    Behind {
        /// The topic.
        topic: Topic,
        /// The last message that stayed, or was sent before.
        after: Seq,
    },
    /// Nothing more may be left out: the connection must go.
    Full,
}

/// Counts of what gave way, by what was done; each only grows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ShedCounts {
    /// Times that a topic fell behind.
    pub behind: u64,
    /// Messages left out for newer ones of their key.
    pub latest: u64,
    /// Messages left out for more important ones.
    pub drop_low: u64,
    /// Messages that expired while they waited.
    pub expired: u64,
}

/// A priority queue of topics: the topic with the highest rank goes first, a rank being the highest priority that waits in it.
///
/// Within a topic the order never changes. Between topics of one rank the one that waited longest goes first. When more than the
/// limit waits, the topic of lowest rank gives way, and of it the newest, by its [`SlowPolicy`]; one chunk always fits into
/// an empty queue, however large. Idle, it holds no memory.
#[derive(Default)]
pub struct Lanes {
    /// All that waits, where that is one chunk: what a connection that keeps up has, and no memory beside it.
    only: Option<(Topic, SlowPolicy, Chunk)>,
    lanes: Vec<Lane>,
    bytes: usize,
    arrivals: u64,
    counts: ShedCounts,
}

struct Lane {
    topic: Topic,
    policy: SlowPolicy,
    items: VecDeque<Item>,
    /// Frames that wait, by priority.
    levels: [u32; LEVELS],
}

enum Item {
    Chunk { chunk: Chunk, arrived: u64 },
    Hole(Epoch, Hole),
}

impl Lanes {
    /// Queues frames of a topic under a bound of `limit` bytes; returns what gave way.
    pub fn push(&mut self, topic: &Topic, policy: SlowPolicy, chunk: Chunk, limit: usize) -> Vec<Shed> {
        self.put(topic, policy, chunk);
        let mut shed = Vec::new();
        if self.bytes > limit && self.only.is_none() {
            self.shed(limit, &mut shed);
        }
        shed
    }

    fn shed(&mut self, limit: usize, shed: &mut Vec<Shed>) {
        while self.bytes > limit && self.frames() > 1 {
            match self.give_way(self.bytes - limit) {
                Some(Shed::Full) => {
                    *shed = vec![Shed::Full];
                    return;
                }
                Some(behind) => note(shed, behind),
                None => {}
            }
        }
    }

    /// Queues frames of a topic whatever waits already: the caller keeps a bound of its own.
    pub fn put(&mut self, topic: &Topic, policy: SlowPolicy, chunk: Chunk) {
        self.bytes += chunk.len();
        if self.only.is_none() && self.lanes.is_empty() {
            self.only = Some((topic.clone(), policy, chunk));
            return;
        }
        if let Some((topic, policy, first)) = self.only.take() {
            self.enter(&topic, policy, first);
        }
        self.enter(topic, policy, chunk);
    }

    fn enter(&mut self, topic: &Topic, policy: SlowPolicy, chunk: Chunk) {
        self.arrivals += 1;
        let arrived = self.arrivals;
        let lane = self.lane(topic, policy);
        chunk.marks().iter().for_each(|mark| lane.levels[mark.priority as usize] += 1);
        lane.items.push_back(Item::Chunk { chunk, arrived });
    }

    /// Takes what comes next. Messages that have expired are left out, and told of in their place.
    pub fn pop(&mut self, now: Instant) -> Option<Next> {
        if let Some((topic, policy, chunk)) = self.only.take() {
            if !chunk.has_expired(now) {
                self.bytes = 0;
                return Some(Next::Frames(chunk));
            }
            self.enter(&topic, policy, chunk);
        }
        let best = self.lanes.iter().enumerate().max_by_key(|(_, lane)| (lane.rank(), u64::MAX - lane.waits_since()))?.0;
        if self.lanes[best].items.front().is_some_and(|item| item.has_expired(now)) {
            self.expire(best, now);
            // What is left may be of another rank.
            return self.pop(now);
        }
        let lane = &mut self.lanes[best];
        let item = lane.items.pop_front();
        let next = item.map(|item| match item {
            Item::Chunk { chunk, .. } => {
                lane.forget(&chunk);
                self.bytes -= chunk.len();
                Next::Frames(chunk)
            }
            Item::Hole(epoch, hole) => Next::Hole(lane.topic.clone(), epoch, hole),
        });
        if lane.items.is_empty() {
            self.remove(best);
        }
        next
    }

    /// Leaves out what has expired of a lane.
    fn expire(&mut self, index: usize, now: Instant) {
        let lane = &mut self.lanes[index];
        let before = lane.frames();
        let fresh: Vec<bool> = lane.items.iter().flat_map(Item::marks).map(|mark| !mark.has_expired(now)).collect();
        self.bytes -= lane.keep_only(&fresh, SkipReason::Ttl);
        self.counts.expired += (before - lane.frames()) as u64;
    }

    /// Whether something of a topic waits.
    #[must_use]
    pub fn waits(&self, topic: &Topic) -> bool {
        self.only.as_ref().is_some_and(|(only, ..)| only == topic) || self.lanes.iter().any(|lane| lane.topic == *topic)
    }

    /// The message before what waits of a topic: where a reader is that had all of it before.
    #[must_use]
    pub fn before(&self, topic: &Topic) -> Option<Seq> {
        match &self.only {
            Some((only, _, chunk)) if only == topic => Some(chunk.previous()),
            _ => self.lanes.iter().find(|lane| lane.topic == *topic)?.items.front().map(Item::previous),
        }
    }

    /// Forgets what waits of a topic.
    pub fn drop_topic(&mut self, topic: &Topic) {
        if self.only.as_ref().is_some_and(|(only, ..)| only == topic) {
            return self.clear();
        }
        if let Some(index) = self.lanes.iter().position(|lane| lane.topic == *topic) {
            let chunks = self.lanes[index].items.iter().map(|item| if let Item::Chunk { chunk, .. } = item { chunk.len() } else { 0 });
            self.bytes -= chunks.sum::<usize>();
            self.remove(index);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.only = None;
        self.lanes = Vec::new();
        self.bytes = 0;
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.only.is_none() && self.lanes.is_empty()
    }

    /// What gave way so far.
    #[must_use]
    pub fn counts(&self) -> ShedCounts {
        self.counts
    }

    fn frames(&self) -> usize {
        self.lanes.iter().flat_map(|lane| lane.levels).map(|count| count as usize).sum()
    }

    fn lane(&mut self, topic: &Topic, policy: SlowPolicy) -> &mut Lane {
        let index = self.lanes.iter().position(|lane| lane.topic == *topic).unwrap_or_else(|| {
            self.lanes.push(Lane { topic: topic.clone(), policy, items: VecDeque::new(), levels: [0; LEVELS] });
            self.lanes.len() - 1
        });
        &mut self.lanes[index]
    }

    fn remove(&mut self, index: usize) {
        self.lanes.swap_remove(index);
        if self.lanes.is_empty() {
            self.lanes = Vec::new();
        }
    }

    /// The lane of lowest rank that can leaves something out; `None` if nobody need be told.
    fn give_way(&mut self, over: usize) -> Option<Shed> {
        let mut order: Vec<usize> = (0..self.lanes.len()).filter(|index| self.lanes[*index].has_frames()).collect();
        order.sort_by_key(|index| (self.lanes[*index].rank(), u64::MAX - self.lanes[*index].newest()));
        for index in order {
            let closes = self.lanes[index].policy == SlowPolicy::Disconnect;
            let (freed, told) = self.relieve(index, over);
            if freed > 0 {
                return told;
            }
            if closes {
                break;
            }
        }
        Some(Shed::Full)
    }

    /// One lane leaves something out by its policy, if there is something; returns the bytes that it had.
    fn relieve(&mut self, index: usize, over: usize) -> (usize, Option<Shed>) {
        let lane = &mut self.lanes[index];
        let before = lane.frames();
        let (freed, told) = match lane.policy {
            SlowPolicy::Recover => lane.cut_newest(),
            SlowPolicy::Latest => (lane.keep_latest(), None),
            SlowPolicy::DropLow => (lane.drop_lowest(over), None),
            SlowPolicy::Disconnect => (0, None),
        };
        self.bytes -= freed;
        let gone = (before - lane.frames()) as u64;
        match lane.policy {
            SlowPolicy::Latest => self.counts.latest += gone,
            SlowPolicy::DropLow => self.counts.drop_low += gone,
            _ => self.counts.behind += u64::from(told.is_some()),
        }
        if lane.items.is_empty() {
            self.remove(index);
        }
        (freed, told)
    }
}

impl Lane {
    fn rank(&self) -> Priority {
        Priority::ALL.into_iter().rev().find(|priority| self.levels[*priority as usize] > 0).unwrap_or(Priority::Critical)
    }

    fn has_frames(&self) -> bool {
        self.levels.iter().any(|count| *count > 0)
    }

    fn frames(&self) -> usize {
        self.levels.iter().map(|count| *count as usize).sum()
    }

    fn forget(&mut self, chunk: &Chunk) {
        chunk.marks().iter().for_each(|mark| self.levels[mark.priority as usize] -= 1);
    }

    fn waits_since(&self) -> u64 {
        self.items.iter().find_map(Item::arrived).unwrap_or(0)
    }

    fn newest(&self) -> u64 {
        self.items.iter().rev().find_map(Item::arrived).unwrap_or(0)
    }

    /// Takes the newest chunk out, whose messages the log still has.
    fn cut_newest(&mut self) -> (usize, Option<Shed>) {
        // Word of what had expired behind it is left to the log too.
        let newest = self.items.iter().rposition(|item| item.arrived().is_some()).map_or(0, |newest| newest + 1);
        self.items.truncate(newest);
        let Some(Item::Chunk { chunk, .. }) = self.items.pop_back() else { return (0, None) };
        self.forget(&chunk);
        (chunk.len(), Some(Shed::Behind { topic: self.topic.clone(), after: chunk.previous() }))
    }

    /// Leaves out every frame that has a newer one of its key.
    fn keep_latest(&mut self) -> usize {
        let mut seen = std::collections::HashSet::new();
        let mut kept: Vec<bool> = Vec::new();
        for mark in self.items.iter().rev().flat_map(|item| item.marks().iter().rev()) {
            // A beacon is newer than no message.
            kept.push(mark.messages == 0 || seen.insert(mark.key.clone()));
        }
        kept.reverse();
        self.keep_only(&kept, SkipReason::Latest)
    }

    /// Leaves out the newest frames of the lowest priority, until at least `over` bytes are freed.
    fn drop_lowest(&mut self, over: usize) -> usize {
        let frames: Vec<(Priority, usize)> = self.items.iter().flat_map(Item::sizes).collect();
        let mut kept = vec![true; frames.len()];
        let mut freed = 0;
        for level in Priority::ALL.into_iter().filter(|level| *level != Priority::Critical) {
            for index in (0..frames.len()).rev() {
                if freed >= over {
                    return self.keep_only(&kept, SkipReason::DropLow);
                }
                if frames[index].0 == level {
                    kept[index] = false;
                    freed += frames[index].1;
                }
            }
        }
        self.keep_only(&kept, SkipReason::DropLow)
    }

    /// Replaces every frame that is not kept by a hole; returns the bytes that they had.
    fn keep_only(&mut self, kept: &[bool], reason: SkipReason) -> usize {
        let (mut index, mut freed, mut items) = (0, 0, VecDeque::new());
        for item in std::mem::take(&mut self.items) {
            let Item::Chunk { chunk, arrived } = item else {
                push_item(&mut items, item);
                continue;
            };
            let count = chunk.marks().len();
            let mut at = 0;
            while at < count {
                let keep = kept[index + at];
                let end = (at..count).find(|next| kept[index + next] != keep).unwrap_or(count);
                let part = chunk.part(at..end);
                if keep {
                    push_item(&mut items, Item::Chunk { chunk: part, arrived });
                } else {
                    freed += part.len();
                    self.forget(&part);
                    push_item(&mut items, Item::hole(&part, reason));
                }
                at = end;
            }
            index += count;
        }
        self.items = items;
        freed
    }
}

impl Item {
    fn arrived(&self) -> Option<u64> {
        if let Self::Chunk { arrived, .. } = self { Some(*arrived) } else { None }
    }

    fn previous(&self) -> Seq {
        match self {
            Self::Chunk { chunk, .. } => chunk.previous(),
            Self::Hole(_, hole) => hole.previous,
        }
    }

    fn marks(&self) -> &[crate::run::Mark] {
        if let Self::Chunk { chunk, .. } = self { chunk.marks() } else { &[] }
    }

    fn has_expired(&self, now: Instant) -> bool {
        if let Self::Chunk { chunk, .. } = self { chunk.has_expired(now) } else { false }
    }

    fn sizes(&self) -> Vec<(Priority, usize)> {
        let Self::Chunk { chunk, .. } = self else { return Vec::new() };
        (0..chunk.marks().len()).map(|index| (chunk.marks()[index].priority, chunk.part(index..index + 1).len())).collect()
    }

    fn hole(chunk: &Chunk, reason: SkipReason) -> Self {
        let marks = chunk.marks();
        let (first, last) = (marks.first(), marks.last());
        let hole = Hole {
            previous: chunk.previous(),
            from: first.map_or(Seq::ZERO, |mark| mark.first),
            to: last.map_or(Seq::ZERO, |mark| mark.last),
            reason,
        };
        Self::Hole(chunk.epoch().clone(), hole)
    }
}

/// Appends an item; a hole grows the hole before it that has the same reason.
fn push_item(items: &mut VecDeque<Item>, item: Item) {
    if let (Some(Item::Hole(_, before)), Item::Hole(_, hole)) = (items.back_mut(), &item)
        && before.reason == hole.reason
    {
        before.to = hole.to;
        return;
    }
    items.push_back(item);
}

/// Keeps one word for each topic that fell behind: the lowest place.
fn note(shed: &mut Vec<Shed>, word: Shed) {
    let Shed::Behind { topic, after } = &word else { return shed.push(word) };
    for known in shed.iter_mut() {
        if let Shed::Behind { topic: other, after: place } = known
            && other == topic
        {
            *place = (*place).min(*after);
            return;
        }
    }
    shed.push(word);
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("topics", &self.lanes.len()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
