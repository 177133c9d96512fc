//! Connections that follow a pattern ([P-39]): every topic of a namespace, those born later too.
use super::{Hub, gone, join::Joining, unavailable};
use crate::{connection::Connection, host::ConnectionId, shard::Shard};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    sync::Arc,
};
use wse_core::{
    filter::Filter,
    session::{Outcome, Wanted},
};
use wse_protocol::{ErrorCode, Pattern, Position, Seq, Topic, WireError};
use wse_pubsub::{Births, BusError, Following, HistoryGap};

/// A pattern that connections follow.
#[derive(Debug, Default)]
pub(super) struct Follow {
    followers: HashMap<ConnectionId, Follower>,
}

#[derive(Debug)]
struct Follower {
    connection: Rc<Connection>,
    filter: Option<Arc<Filter>>,
    /// Births that it is still to be told of, in order.
    births: VecDeque<Birth>,
    /// Whether births wait: its subscription is being answered, or a birth is being joined.
    busy: bool,
}

#[derive(Debug)]
struct Birth {
    position: Position,
    topic: Topic,
    start: Position,
}

impl Hub {
    /// Begins to follow a pattern; returns its own outcome, and the topics to join.
    pub(super) async fn follow(&self, connection: &Rc<Connection>, pattern: Pattern, wanted: Wanted) -> (Outcome, Vec<Joining>) {
        self.add_follower(connection, &pattern, wanted.filter.clone());
        let following = self.bus.follow(&pattern, self.consumer).await;
        let plan = match following {
            Ok(following) => self.plan(connection, &pattern, &wanted, following).await,
            Err(error) => Err((unavailable(&error), false)),
        };
        match plan {
            Ok(plan) if !connection.is_closing() => plan,
            Ok(_) => {
                self.unfollow(connection, &pattern);
                (gone(), Vec::new())
            }
            Err((error, known)) => {
                connection.patterns.borrow_mut().retain(|name| *name != pattern);
                self.remove_follower(connection.id, &pattern, known);
                (Outcome::Refused(error), Vec::new())
            }
        }
    }

    async fn plan(
        &self,
        connection: &Rc<Connection>,
        pattern: &Pattern,
        wanted: &Wanted,
        following: Following,
    ) -> Result<(Outcome, Vec<Joining>), (WireError, bool)> {
        let Following { position, topics } = following;
        let held = self.topics_under(connection, pattern);
        if topics.iter().filter(|(topic, _)| !held.contains(topic)).count() + connection.topics.borrow().len() > self.pattern_topics {
            return Err((too_many(self.pattern_topics), true));
        }
        let (outcome, newborn) = match &wanted.position {
            None => (Outcome::Live(position), HashSet::new()),
            Some(theirs) => self.births_since(pattern, theirs, position).await.map_err(|error| (unavailable(&error), true))?,
        };
        let joining = |(topic, at): (Topic, Position)| {
            let born = newborn.contains(&topic).then(|| Position { epoch: at.epoch.clone(), seq: Seq::ZERO });
            let theirs = wanted.known.get(&topic).cloned().or(born);
            Joining { topic, theirs, filter: wanted.filter.clone(), by_pattern: true }
        };
        Ok((outcome, topics.into_iter().map(joining).collect()))
    }

    /// What was born since a client's position, up to `position`.
    async fn births_since(&self, pattern: &Pattern, theirs: &Position, position: Position) -> Result<(Outcome, HashSet<Topic>), BusError> {
        if *theirs == position {
            return Ok((Outcome::Live(position), HashSet::new()));
        }
        Ok(match self.bus.births(pattern, theirs, self.pattern_topics.saturating_add(1)).await? {
            Births::Topics { topics, top } if topics.last().is_none_or(|(seq, _)| *seq >= top) && theirs.epoch == position.epoch => {
                let count = position.seq.number().saturating_sub(theirs.seq.number());
                (Outcome::Recovered(position, count), topics.into_iter().map(|(_, topic)| topic).collect())
            }
            Births::Topics { .. } => (Outcome::Resync(position, "births"), HashSet::new()),
            Births::Gap { reason, .. } => (Outcome::Resync(position, reason.as_str()), HashSet::new()),
        })
    }

    /// A topic was born: every follower is told, then joins it from its first message.
    pub(super) fn born(&self, shard: &Rc<Shard>, pattern: &Pattern, position: Position, topic: Topic, start: Position) {
        let mut patterns = self.patterns.borrow_mut();
        let Some(follow) = patterns.get_mut(pattern) else { return };
        for follower in follow.followers.values_mut() {
            follower.births.push_back(Birth { position: position.clone(), topic: topic.clone(), start: start.clone() });
            if !follower.busy {
                follower.busy = true;
                spawn_births(shard, follower.connection.clone(), pattern.clone());
            }
        }
    }

    /// Births were lost: the client must ask for the pattern again.
    pub(super) fn births_lost(&self, pattern: &Pattern, position: &Position, reason: HistoryGap) {
        for follower in self.patterns.borrow().get(pattern).iter().flat_map(|follow| follow.followers.values()) {
            follower.connection.session().inform(pattern.as_str(), Outcome::Resync(position.clone(), reason.as_str()));
            follower.connection.wake();
        }
    }

    /// The pattern's subscription has been answered: births that came meanwhile are next.
    pub(super) fn followed(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, pattern: &Pattern, position: &Position) {
        let mut patterns = self.patterns.borrow_mut();
        let Some(follower) = patterns.get_mut(pattern).and_then(|follow| follow.followers.get_mut(&connection.id)) else { return };
        follower.births.retain(|birth| birth.position.epoch != position.epoch || birth.position.seq > position.seq);
        spawn_births(shard, connection.clone(), pattern.clone());
    }

    /// Joins what was born, one after the other.
    async fn join_births(&self, connection: Rc<Connection>, pattern: Pattern) {
        while let Some((birth, filter)) = self.next_birth(connection.id, &pattern) {
            let Birth { position, topic, start } = birth;
            if connection.topics.borrow().len() >= self.pattern_topics {
                connection.session().inform(pattern.as_str(), Outcome::Resync(position, "births"));
                connection.wake();
                continue;
            }
            let joining = Joining { topic: topic.clone(), theirs: Some(start.clone()), filter, by_pattern: true };
            let prepared = self.prepare(&connection, vec![joining]).await.pop();
            if !self.follows(connection.id, &pattern) {
                // It was given up meanwhile, maybe before the topic was entered.
                self.unpattern(&connection, &topic);
                return;
            }
            let Some(Ok((begun, page))) = prepared else {
                // The topic is not joined: the client must ask for the pattern again.
                connection.session().inform(pattern.as_str(), Outcome::Resync(position, "births"));
                connection.wake();
                continue;
            };
            let room = connection.session().room();
            let joined = self.finish(&connection, &begun, page, room);
            let born = Outcome::Pattern(Box::new(Outcome::Live(position)), vec![(topic.clone(), joined.outcome.clone())]);
            connection.session().inform(pattern.as_str(), born);
            self.replay(&connection, &topic, joined);
            connection.wake();
        }
    }

    fn next_birth(&self, id: ConnectionId, pattern: &Pattern) -> Option<(Birth, Option<Arc<Filter>>)> {
        let mut patterns = self.patterns.borrow_mut();
        let follower = patterns.get_mut(pattern)?.followers.get_mut(&id)?;
        let birth = follower.births.pop_front();
        follower.busy = birth.is_some();
        birth.map(|birth| (birth, follower.filter.clone()))
    }

    fn add_follower(&self, connection: &Rc<Connection>, pattern: &Pattern, filter: Option<Arc<Filter>>) {
        let mut patterns = self.patterns.borrow_mut();
        let follow = patterns.entry(pattern.clone()).or_default();
        let follower = Follower { connection: connection.clone(), filter, births: VecDeque::new(), busy: true };
        let mut names = connection.patterns.borrow_mut();
        if !names.contains(pattern) {
            names.push(pattern.clone());
        }
        if follow.followers.insert(connection.id, follower).is_some() {
            // Asked for again: the interest that it had is given back, for the one that is shown now.
            self.bus.unfollow(pattern, self.consumer);
        }
    }

    fn remove_follower(&self, id: ConnectionId, pattern: &Pattern, known: bool) {
        let mut patterns = self.patterns.borrow_mut();
        let Some(follow) = patterns.get_mut(pattern) else { return };
        let was = follow.followers.remove(&id).is_some();
        if follow.followers.is_empty() {
            patterns.remove(pattern);
        }
        if was && known {
            self.bus.unfollow(pattern, self.consumer);
        }
    }

    /// Ends a pattern for a connection; what it asked for by name stays.
    pub(super) fn unfollow(&self, connection: &Rc<Connection>, pattern: &Pattern) {
        connection.patterns.borrow_mut().retain(|name| name != pattern);
        self.remove_follower(connection.id, pattern, true);
        self.topics_under(connection, pattern).iter().for_each(|topic| self.unpattern(connection, topic));
    }

    /// No pattern stands for a topic any more; asked for by name it stays.
    fn unpattern(&self, connection: &Rc<Connection>, topic: &Topic) {
        let stays = self.topics.borrow_mut().get_mut(topic).and_then(|record| record.subscriber(connection.id)).is_none_or(|subscriber| {
            subscriber.by_pattern = false;
            subscriber.by_name
        });
        if !stays {
            self.take_out(connection, topic);
        }
    }

    fn follows(&self, id: ConnectionId, pattern: &Pattern) -> bool {
        self.patterns.borrow().get(pattern).is_some_and(|follow| follow.followers.contains_key(&id))
    }

    /// Forgets a connection that leaves, in every pattern.
    pub(super) fn forget_patterns(&self, connection: &Connection) {
        let followed = std::mem::take(&mut *connection.patterns.borrow_mut());
        followed.iter().for_each(|pattern| self.remove_follower(connection.id, pattern, true));
    }

    fn topics_under(&self, connection: &Connection, pattern: &Pattern) -> Vec<Topic> {
        connection.topics.borrow().iter().filter(|topic| topic.namespace() == Some(pattern.namespace())).cloned().collect()
    }
}

fn spawn_births(shard: &Rc<Shard>, connection: Rc<Connection>, pattern: Pattern) {
    let shard = shard.clone();
    tokio::task::spawn_local(async move { shard.hub.join_births(connection, pattern).await });
}

fn too_many(limit: usize) -> WireError {
    WireError::new(ErrorCode::TooManyTopics, format!("the pattern stands for more than the {limit} topics that one connection may follow"))
}
