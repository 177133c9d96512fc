//! Which topics a connection is subscribed to, and its requests to change that, answered one at a time in order.
use std::collections::{HashSet, VecDeque};
use wse_protocol::{
    ErrorCode, Position, Topic, WireError,
    messages::{Action, Status, Subscription, SubscriptionUpdate, TopicStatus},
};

/// Requests that may wait; then the peer is not read.
const WAITING: usize = 16;

/// What the hub is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The topic.
    pub topic: Topic,
    /// The client's position in it, if it has one.
    pub position: Option<Position>,
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
}

/// The work that one request leaves for the hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    Subscribe(Vec<Wanted>),
    Unsubscribe(Vec<Topic>),
}

#[derive(Debug)]
struct Open {
    cid: Option<Box<str>>,
    entries: Vec<TopicStatus>,
    /// Indices into `entries` that wait for the hub, with their topics.
    asked: Vec<(usize, Topic)>,
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    topics: HashSet<Topic>,
    limit: usize,
    waiting: VecDeque<Subscription>,
    open: Option<Open>,
}

impl Subscriptions {
    pub(super) fn new(limit: usize) -> Self {
        Self { topics: HashSet::new(), limit, waiting: VecDeque::new(), open: None }
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter()
    }

    pub(super) fn clear(&mut self) -> Vec<Topic> {
        self.waiting.clear();
        self.topics.drain().collect()
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING
    }

    pub(super) fn request(&mut self, request: Subscription) {
        self.waiting.push_back(request);
    }

    /// Begins the next request, unless one is open.
    pub(super) fn poll(&mut self) -> Option<Work> {
        if self.open.is_some() {
            return None;
        }
        let request = self.waiting.pop_front()?;
        Some(match request.action {
            Action::Subscribe => self.begin_subscribe(request),
            Action::Unsubscribe => self.begin_unsubscribe(request),
        })
    }

    fn begin_subscribe(&mut self, request: Subscription) -> Work {
        let Subscription { topics, mut positions, cid, .. } = request;
        let (mut entries, mut asked, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for name in topics {
            let position = positions.remove(&name);
            match self.admit(&name) {
                Ok(topic) => {
                    asked.push((entries.len(), topic.clone()));
                    wanted.push(Wanted { topic, position });
                    entries.push(TopicStatus::new(name, Status::Live));
                }
                Err(error) => entries.push(TopicStatus::refused(name, &error)),
            }
        }
        self.open = Some(Open { cid, entries, asked });
        Work::Subscribe(wanted)
    }

    fn admit(&mut self, name: &str) -> Result<Topic, WireError> {
        let topic = Topic::parse(name)?;
        if !self.topics.contains(&topic) && self.topics.len() >= self.limit {
            let text = format!("this connection may hold {} subscriptions; unsubscribe from others first", self.limit);
            return Err(WireError::new(ErrorCode::TooManySubscriptions, text));
        }
        self.topics.insert(topic.clone());
        Ok(topic)
    }

    fn begin_unsubscribe(&mut self, request: Subscription) -> Work {
        let left = request.topics.iter().filter_map(|name| self.topics.take(name.as_str())).collect();
        let entries = request.topics.into_iter().map(|name| TopicStatus::new(name, Status::Unsubscribed)).collect();
        self.open = Some(Open { cid: request.cid, entries, asked: Vec::new() });
        Work::Unsubscribe(left)
    }

    /// Ends the open request with what the hub did, in the order asked; returns the answer for the peer.
    pub(super) fn finish(&mut self, outcomes: Vec<Outcome>) -> Option<(SubscriptionUpdate, Option<Box<str>>)> {
        let mut open = self.open.take()?;
        for ((index, topic), outcome) in open.asked.into_iter().zip(outcomes) {
            let Some(entry) = open.entries.get_mut(index) else { continue };
            let name = std::mem::take(&mut entry.topic);
            *entry = match outcome {
                Outcome::Live(position) => TopicStatus::live(name, position),
                Outcome::Recovered(position, count) => TopicStatus::recovered(name, position, count),
                Outcome::Resync(position, reason) => TopicStatus::resync(name, position, reason),
                Outcome::Refused(error) => {
                    self.topics.remove(&topic);
                    TopicStatus::refused(name, &error)
                }
            };
        }
        Some((SubscriptionUpdate { topics: open.entries }, open.cid))
    }
}
