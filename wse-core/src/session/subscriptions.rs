//! What a connection is subscribed to, and its requests to change that, answered one at a time in order.
use crate::filter::Filter;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use wse_protocol::{
    ErrorCode, Followed, Position, Topic, Value, WireError, defaults,
    messages::{Action, SnapshotRequest, Status, Subscription, SubscriptionUpdate, TopicStatus},
};

/// Requests that may wait; then the peer is not read.
const WAITING: usize = 16;
/// Names that one request may have beyond the subscriptions that a connection may hold ([P-23]).
const NAMED_BEYOND: usize = defaults::NAMES_BEYOND as usize;
/// What the patterns of all filters of a connection may cost together ([P-78]): some 1.6 MB, and 2 ms of its shard to compile.
const PATTERN_COST: u32 = 4_096;

/// What the hub is asked to do.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The topic or pattern.
    pub followed: Followed,
    /// The client's position in it, if it has one.
    pub position: Option<Position>,
    /// Of a pattern: the client's positions in the topics that it knows under it.
    pub known: HashMap<Topic, Position>,
    /// What of it the client wants.
    pub filter: Option<Arc<Filter>>,
}

/// What the hub did about one wanted topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Subscribed from this position on; nothing was missed.
    Live(Position),
    /// Subscribed from this position on; so many missed messages come first.
    Recovered(Position, u64),
    /// Subscribed from this position on; what was missed is unknown, for this reason of [P-24].
    Resync(Position, &'static str),
    /// Not subscribed.
    Refused(WireError),
    /// Subscribed as this says; a snapshot follows ([P-56]).
    Snapshot(Box<Outcome>),
    /// What became of a pattern, and of each topic that it stands for.
    Pattern(Box<Outcome>, Vec<(Topic, Outcome)>),
}

impl Outcome {
    /// The same, with a snapshot to follow.
    #[must_use]
    pub fn with_snapshot(self) -> Self {
        Self::Snapshot(Box::new(self))
    }

    /// The position from which on a topic or pattern is subscribed; none where it is not.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Live(at) | Self::Recovered(at, _) | Self::Resync(at, _) => Some(at),
            Self::Snapshot(inner) | Self::Pattern(inner, _) => inner.position(),
            Self::Refused(_) => None,
        }
    }
}

/// The work that one request leaves for the hub.
#[derive(Debug)]
pub(super) enum Work {
    Subscribe(Vec<Wanted>),
    Unsubscribe(Vec<Followed>),
    Snapshot(SnapshotRequest),
}

/// What a peer asks for; answered in the order asked.
#[derive(Debug)]
pub(super) enum Request {
    Change(Subscription),
    Snapshot(SnapshotRequest),
}

#[derive(Debug)]
struct Open {
    cid: Option<Box<str>>,
    entries: Vec<TopicStatus>,
    asked: Vec<Asked>,
}

/// One entry that waits for the hub.
#[derive(Debug)]
struct Asked {
    /// Its index among the entries.
    index: usize,
    followed: Followed,
    held: Held,
}

/// The cost of a name's filter if it was subscribed before: a refusal leaves it as it was.
type Held = Option<u32>;

#[derive(Debug)]
pub(super) struct Subscriptions {
    /// With what the patterns of their filters cost.
    names: HashMap<Followed, u32>,
    /// The server's own for this connection: not asked for, not counted, and never left.
    owned: Box<[Topic]>,
    limit: usize,
    patterns: usize,
    waiting: VecDeque<Request>,
    open: Option<Box<Open>>,
}

impl Subscriptions {
    pub(super) fn new(limit: usize, patterns: usize) -> Self {
        Self { names: HashMap::new(), owned: Box::default(), limit, patterns, waiting: VecDeque::new(), open: None }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Followed> {
        self.names.keys()
    }

    /// The server has these for the connection.
    pub(super) fn own(&mut self, topics: Box<[Topic]>) {
        self.owned = topics;
    }

    pub(super) fn owned(&self) -> &[Topic] {
        &self.owned
    }

    pub(super) fn clear(&mut self) -> Vec<Followed> {
        self.waiting = VecDeque::new();
        std::mem::take(&mut self.names).into_keys().collect()
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING
    }

    /// Names that one request may have.
    pub(super) fn most_named(&self) -> usize {
        self.limit.saturating_add(NAMED_BEYOND)
    }

    /// Whether one request may name so many: each costs an entry of the answer, however little it says.
    pub(super) fn check(&self, names: usize) -> Result<(), WireError> {
        let most = self.most_named();
        let text = || format!("one message may name {most} topics, {NAMED_BEYOND} more than a connection may hold; this one names {names}");
        if names <= most { Ok(()) } else { Err(WireError::new(ErrorCode::TooManySubscriptions, text())) }
    }

    pub(super) fn request(&mut self, request: Request) {
        self.waiting.push_back(request);
    }

    /// Begins the next request, unless one is open.
    pub(super) fn poll(&mut self) -> Option<Work> {
        if self.open.is_some() {
            return None;
        }
        let request = self.waiting.pop_front()?;
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        Some(match request {
            Request::Change(change) if change.action == Action::Subscribe => self.begin_subscribe(change),
            Request::Change(change) => self.begin_unsubscribe(change),
            Request::Snapshot(request) => Work::Snapshot(request),
        })
    }

    fn begin_subscribe(&mut self, request: Subscription) -> Work {
        let Subscription { topics, positions, filters, cid, .. } = request;
        let (mut entries, mut asked, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for name in topics {
            let filter = filters.get(&name).filter(|_| !self.owned.iter().any(|topic| topic.as_str() == name));
            match self.admit(&name, filter) {
                Ok((followed, held, filter)) => {
                    asked.push(Asked { index: entries.len(), followed: followed.clone(), held });
                    wanted.push(Wanted { position: positions.get(&name).cloned(), known: known(&followed, &positions), followed, filter });
                    entries.push(TopicStatus::new(name, Status::Live));
                }
                Err(error) => entries.push(TopicStatus::refused(name, &error)),
            }
        }
        self.open = Some(Box::new(Open { cid, entries, asked }));
        Work::Subscribe(wanted)
    }

    /// What a name stands for, whether it was subscribed already, and what of it is wanted.
    fn admit(&mut self, name: &str, filter: Option<&Value>) -> Result<(Followed, Held, Option<Arc<Filter>>), WireError> {
        if let Some(owned) = self.owned.iter().find(|topic| topic.as_str() == name) {
            return Ok((Followed::Topic(owned.clone()), Some(0), None));
        }
        let followed = Followed::parse(name)?;
        let held = self.names.get(&followed).copied();
        if held.is_none() {
            self.has_place(&followed)?;
        }
        // Last: a name that is refused costs no more than its text.
        let spent: u32 = self.names.values().sum();
        let filter = compiled(name, filter, PATTERN_COST.saturating_sub(spent - held.unwrap_or_default()))?;
        self.names.insert(followed.clone(), filter.as_deref().map_or(0, Filter::pattern_cost));
        Ok((followed, held, filter))
    }

    fn has_place(&self, followed: &Followed) -> Result<(), WireError> {
        if self.names.len() >= self.limit {
            let text = format!("this connection may hold {} subscriptions; unsubscribe from others first", self.limit);
            return Err(WireError::new(ErrorCode::TooManySubscriptions, text));
        }
        let patterns = self.names().filter(|name| matches!(name, Followed::Pattern(_))).count();
        if matches!(followed, Followed::Pattern(_)) && patterns >= self.patterns {
            let text = format!("this connection may hold {} patterns; unsubscribe from others first", self.patterns);
            return Err(WireError::new(ErrorCode::TooManyPatterns, text));
        }
        Ok(())
    }

    fn begin_unsubscribe(&mut self, request: Subscription) -> Work {
        let named = request.topics.iter().filter_map(|name| Followed::parse(name).ok());
        let left = named.filter_map(|name| self.names.remove_entry(&name)).map(|(name, _)| name).collect();
        let entries = request.topics.into_iter().map(|name| TopicStatus::new(name, Status::Unsubscribed)).collect();
        self.open = Some(Box::new(Open { cid: request.cid, entries, asked: Vec::new() }));
        Work::Unsubscribe(left)
    }

    /// Ends the open request with what the hub did, in the order asked; returns the answer for the peer.
    pub(super) fn finish(&mut self, outcomes: Vec<Outcome>) -> Option<(SubscriptionUpdate, Option<Box<str>>)> {
        let mut open = *self.open.take()?;
        for (Asked { index, followed, held }, outcome) in open.asked.into_iter().zip(outcomes) {
            let Some(entry) = open.entries.get_mut(index) else { continue };
            if is_refused(&outcome) {
                self.restore(&followed, held);
            }
            *entry = status(std::mem::take(&mut entry.topic), outcome);
        }
        Some((SubscriptionUpdate { topics: open.entries }, open.cid))
    }

    fn restore(&mut self, followed: &Followed, held: Held) {
        match (held, self.names.get_mut(followed)) {
            (Some(before), Some(cost)) => *cost = before,
            (Some(_), None) => {} // the server's own
            (None, _) => drop(self.names.remove(followed)),
        }
    }
}

/// An outcome as the wire tells it.
pub(super) fn status(name: String, outcome: Outcome) -> TopicStatus {
    match outcome {
        Outcome::Live(position) => TopicStatus::live(name, position),
        Outcome::Recovered(position, count) => TopicStatus::recovered(name, position, count),
        Outcome::Resync(position, reason) => TopicStatus::resync(name, position, reason),
        Outcome::Refused(error) => TopicStatus::refused(name, &error),
        Outcome::Snapshot(inner) => status(name, *inner).with_snapshot(),
        Outcome::Pattern(own, topics) => {
            let topics = topics.into_iter().map(|(topic, outcome)| status(topic.as_str().into(), outcome)).collect();
            status(name, *own).with_topics(topics)
        }
    }
}

fn is_refused(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused(_) => true,
        Outcome::Pattern(own, _) => is_refused(own),
        _ => false,
    }
}

fn compiled(name: &str, filter: Option<&Value>, room: u32) -> Result<Option<Arc<Filter>>, WireError> {
    if filter.is_some() && name.starts_with('@') && Topic::parse_watched(name).is_ok() {
        return Err(WireError::new(ErrorCode::InvalidFilter, "who is in a topic is not filtered: subscribe without a filter"));
    }
    let compile = |filter| Filter::compile_within(filter, room).map_err(|error| WireError::new(error.code(), error.to_string()));
    let filter = filter.map(compile).transpose()?;
    Ok(filter.filter(|filter| !filter.is_empty()).map(Arc::new))
}

/// The positions of the topics that a pattern stands for.
fn known(followed: &Followed, positions: &HashMap<String, Position>) -> HashMap<Topic, Position> {
    let Followed::Pattern(pattern) = followed else { return HashMap::new() };
    // Other names are passed over as they stand: there may be many positions, and many patterns.
    let theirs = positions.iter().filter(|(name, _)| name.starts_with(pattern.namespace()));
    let topics = theirs.filter_map(|(name, position)| Some((Topic::parse(name).ok()?, position)));
    topics.filter(|(topic, _)| topic.namespace() == Some(pattern.namespace())).map(|(topic, position)| (topic, position.clone())).collect()
}
