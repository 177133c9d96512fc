//! Connections that follow a pattern ([P-39]): every topic of a namespace, those born later too.
use super::{Hub, gone, join::Joining, unavailable};
use crate::{connection::Connection, host::ConnectionId, shard::Shard};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::time::sleep;
use wse_core::{
    filter::Filter,
    session::{Outcome, Wanted},
};
use wse_protocol::{ErrorCode, Pattern, Position, Seq, Topic, WireError};
use wse_pubsub::{Births, BusError, Following, HistoryGap};

/// While the bus does not answer, a topic that was born is tried again so often, each time after so long; then it is lost.
const TRIES: u32 = 60;
const AGAIN: Duration = Duration::from_millis(500);

/// A pattern that connections follow.
#[derive(Debug, Default)]
pub(super) struct Follow {
    followers: HashMap<ConnectionId, Follower>,
}

#[derive(Debug)]
struct Follower {
    connection: Rc<Connection>,
    filter: Option<Arc<Filter>>,
    /// The last birth that it was told of or is to be; none before its first answer.
    at: Option<Position>,
    /// The bus's interests that are its to give back: none before its first `follow` is answered, two while it is asked for anew.
    interests: usize,
    /// Births that it is still to be told of, in order; at most as many as it may have topics.
    births: VecDeque<Birth>,
    /// What it is to be told before them: births up to here are lost to it, and why.
    lost: Option<(Position, &'static str)>,
    /// Whether a task joins its births.
    busy: bool,
}

#[derive(Debug, Clone)]
struct Birth {
    position: Position,
    topic: Topic,
    start: Position,
}

/// What a follower is told next.
enum News {
    Lost(Position, &'static str),
    Born(Birth, Option<Arc<Filter>>),
}

impl Hub {
    /// Begins to follow a pattern, or follows it anew; returns its own outcome, and the topics to join. One that is refused stays as
    /// it was. The connection's turn is the caller's.
    pub(super) async fn follow(&self, connection: &Rc<Connection>, pattern: Pattern, wanted: Wanted) -> (Outcome, Vec<Joining>) {
        if connection.is_closing() {
            return (gone(), Vec::new());
        }
        self.await_births(connection, &pattern);
        let following = match self.bus.follow(&pattern, self.consumer).await {
            Ok(following) => following,
            Err(error) => {
                // The bus has no interest of ours: there is nothing to give back.
                self.forget_unknown(connection, &pattern);
                return (Outcome::Refused(unavailable(&error)), Vec::new());
            }
        };
        if !self.gain_interest(connection.id, &pattern) {
            self.bus.unfollow(&pattern, self.consumer);
            return (gone(), Vec::new());
        }
        match self.plan(connection, &pattern, &wanted, following).await {
            Ok(_) if connection.is_closing() => (gone(), Vec::new()),
            Ok((outcome, joinings)) => {
                self.take_up(connection, &pattern, wanted.filter, &joinings);
                (outcome, joinings)
            }
            Err(error) => {
                self.lose_interest(connection.id, &pattern);
                self.forget_unknown(connection, &pattern);
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
    ) -> Result<(Outcome, Vec<Joining>), WireError> {
        let Following { position, topics } = following;
        let held = self.topics_under(connection, pattern);
        if topics.iter().filter(|(topic, _)| !held.contains(topic)).count() + connection.topics.borrow().len() > self.pattern_topics {
            return Err(too_many(self.pattern_topics));
        }
        let (outcome, newborn) = match &wanted.position {
            None => (Outcome::Live(position), HashSet::new()),
            Some(theirs) => self.births_since(pattern, theirs, position).await.map_err(|error| unavailable(&error))?,
        };
        let joining = |(topic, at): (Topic, Position)| {
            let born = newborn.contains(&topic).then(|| Position { epoch: at.epoch.clone(), seq: Seq::ZERO });
            let known = wanted.known.get(&topic).cloned();
            Joining { fresh: known.is_none(), topic, theirs: known.or(born), filter: wanted.filter.clone(), by_pattern: true, away: None }
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
        for follower in self.patterns.borrow_mut().get_mut(pattern).iter_mut().flat_map(|follow| follow.followers.values_mut()) {
            if follower.births.len() < self.pattern_topics {
                follower.births.push_back(Birth { position: position.clone(), topic: topic.clone(), start: start.clone() });
            } else {
                self.lose_births(follower, &position, "births");
            }
            follower.at = Some(position.clone());
            follower.tell(shard, pattern);
        }
    }

    /// Births were lost: the client must ask for the pattern again.
    pub(super) fn births_lost(&self, shard: &Rc<Shard>, pattern: &Pattern, position: &Position, reason: HistoryGap) {
        for follower in self.patterns.borrow_mut().get_mut(pattern).iter_mut().flat_map(|follow| follow.followers.values_mut()) {
            self.lose_births(follower, position, reason.as_str());
            follower.at = Some(position.clone());
            follower.tell(shard, pattern);
        }
    }

    fn lose_births(&self, follower: &mut Follower, position: &Position, reason: &'static str) {
        self.counters.births_lost.fetch_add(1, Relaxed);
        follower.births = VecDeque::new();
        follower.lost = Some((position.clone(), reason));
    }

    /// The pattern's subscription has been answered with `position`: later births are next.
    pub(super) fn followed(&self, connection: &Rc<Connection>, pattern: &Pattern, position: &Position) {
        let mut patterns = self.patterns.borrow_mut();
        let Some(follower) = patterns.get_mut(pattern).and_then(|follow| follow.followers.get_mut(&connection.id)) else { return };
        let is_news = |other: &Position| other.epoch != position.epoch || other.seq > position.seq;
        follower.births.retain(|birth| is_news(&birth.position));
        follower.lost.take_if(|(other, _)| !is_news(other));
        if !follower.at.as_ref().is_some_and(is_news) {
            follower.at = Some(position.clone());
        }
    }

    /// Tells of what was born, and joins it, one after the other, while the connection has room for the word of it.
    async fn join_births(&self, shard: &Rc<Shard>, connection: Rc<Connection>, pattern: Pattern) {
        let mut tries = 0;
        loop {
            let turn = connection.turn().await;
            match self.next_news(&connection, &pattern) {
                Some(News::Born(birth, filter)) if tries < TRIES => {
                    if self.join_birth(shard, &connection, &pattern, birth.clone(), filter).await {
                        tries = 0;
                    } else {
                        // Those after it wait behind it.
                        self.put_back(&connection, &pattern, birth);
                        tries += 1;
                        drop(turn);
                        sleep(AGAIN).await;
                    }
                }
                Some(News::Born(Birth { position, .. }, _)) => {
                    tries = 0;
                    self.tell_lost(&connection, &pattern, position, "births");
                }
                Some(News::Lost(position, reason)) => self.tell_lost(&connection, &pattern, position, reason),
                None => return,
            }
            connection.wake();
        }
    }

    /// Whether it is dealt with: not where the bus does not answer.
    async fn join_birth(
        &self,
        shard: &Rc<Shard>,
        connection: &Rc<Connection>,
        pattern: &Pattern,
        birth: Birth,
        filter: Option<Arc<Filter>>,
    ) -> bool {
        let Birth { position, topic, start } = birth;
        let is_more = !connection.topics.borrow().contains(&topic);
        if is_more && connection.topics.borrow().len() >= self.pattern_topics {
            self.tell_lost(connection, pattern, position, "births");
            return true;
        }
        let joining = Joining { topic: topic.clone(), theirs: Some(start), filter, by_pattern: true, fresh: true, away: None };
        let prepared = self.prepare(connection, vec![joining]).await.pop();
        if !self.follows(connection.id, pattern) {
            // It was given up meanwhile, maybe before the topic was entered.
            self.unpattern(connection, &topic);
            return true;
        }
        let (begun, page) = match prepared {
            Some(Ok(prepared)) => prepared,
            Some(Err(error)) if error.code == ErrorCode::Unavailable => return false,
            _ => {
                // The topic is not joined: the client must ask for the pattern again.
                self.tell_lost(connection, pattern, position, "births");
                return true;
            }
        };
        let room = connection.session().room();
        let joined = self.finish(connection, &begun, page, room);
        let born = Outcome::Pattern(Box::new(Outcome::Live(position)), vec![(topic.clone(), joined.outcome.clone())]);
        connection.session().inform(Instant::now(), pattern.as_str(), born);
        self.replay(shard, connection, &topic, joined);
        true
    }

    /// It is the next again, unless it is among those that are lost by now.
    fn put_back(&self, connection: &Connection, pattern: &Pattern, birth: Birth) {
        let mut patterns = self.patterns.borrow_mut();
        let follower = patterns.get_mut(pattern).and_then(|follow| follow.followers.get_mut(&connection.id));
        if let Some(follower) = follower.filter(|follower| follower.lost.is_none()) {
            follower.births.push_front(birth);
        }
    }

    fn tell_lost(&self, connection: &Connection, pattern: &Pattern, position: Position, reason: &'static str) {
        connection.session().inform(Instant::now(), pattern.as_str(), Outcome::Resync(position, reason));
    }

    fn next_news(&self, connection: &Connection, pattern: &Pattern) -> Option<News> {
        let mut patterns = self.patterns.borrow_mut();
        let follower = patterns.get_mut(pattern)?.followers.get_mut(&connection.id)?;
        // They wait in their queue, whose bound is known, and not among the frames of a peer that does not read.
        let has_room = connection.session().has_ample_room();
        let lost = follower.lost.take_if(|_| has_room).map(|(position, reason)| News::Lost(position, reason));
        let news = lost.or_else(|| {
            let birth = has_room.then(|| follower.births.pop_front())??;
            Some(News::Born(birth, follower.filter.clone()))
        });
        follower.busy = news.is_some();
        connection.births_wait.set(!has_room || connection.births_wait.get());
        news
    }

    /// The connection has room again for births that wait.
    pub(crate) fn resume_births(&self, shard: &Rc<Shard>, connection: &Rc<Connection>) {
        let mut patterns = self.patterns.borrow_mut();
        for name in connection.patterns.borrow().iter() {
            if let Some(follower) = patterns.get_mut(name).and_then(|follow| follow.followers.get_mut(&connection.id)) {
                follower.tell(shard, name);
            }
        }
    }

    /// From here on births wait for the connection: until its turn ends it is told of none.
    fn await_births(&self, connection: &Rc<Connection>, pattern: &Pattern) {
        let mut patterns = self.patterns.borrow_mut();
        let followers = &mut patterns.entry(pattern.clone()).or_default().followers;
        followers.entry(connection.id).or_insert_with(|| {
            connection.patterns.borrow_mut().push(pattern.clone());
            let births = VecDeque::new();
            Follower { connection: connection.clone(), filter: None, at: None, interests: 0, births, lost: None, busy: false }
        });
    }

    /// The bus has shown an interest for it; false where it has gone.
    fn gain_interest(&self, id: ConnectionId, pattern: &Pattern) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        let follower = patterns.get_mut(pattern).and_then(|follow| follow.followers.get_mut(&id));
        follower.is_some_and(|follower| {
            follower.interests += 1;
            true
        })
    }

    /// Gives one interest back, unless it went with the follower.
    fn lose_interest(&self, id: ConnectionId, pattern: &Pattern) {
        let mut patterns = self.patterns.borrow_mut();
        let follower = patterns.get_mut(pattern).and_then(|follow| follow.followers.get_mut(&id));
        if let Some(follower) = follower.filter(|follower| follower.interests > 0) {
            follower.interests -= 1;
            self.bus.unfollow(pattern, self.consumer);
        }
    }

    /// Forgets a follower that never was one.
    fn forget_unknown(&self, connection: &Connection, pattern: &Pattern) {
        let known = |follow: &Follow| follow.followers.get(&connection.id).is_some_and(|follower| follower.interests > 0);
        if !self.patterns.borrow().get(pattern).is_some_and(known) {
            connection.patterns.borrow_mut().retain(|name| name != pattern);
            self.remove_follower(connection.id, pattern);
        }
    }

    /// The pattern's request was taken: what it says holds from here on, in place of what an earlier one said.
    fn take_up(&self, connection: &Rc<Connection>, pattern: &Pattern, filter: Option<Arc<Filter>>, joinings: &[Joining]) {
        let mut patterns = self.patterns.borrow_mut();
        let follower = patterns.get_mut(pattern).and_then(|follow| follow.followers.get_mut(&connection.id));
        let Some(follower) = follower else { return };
        follower.filter = filter;
        let again = follower.interests > 1;
        drop(patterns);
        if again {
            self.lose_interest(connection.id, pattern);
            let listed: HashSet<&Topic> = joinings.iter().map(|joining| &joining.topic).collect();
            let forgotten = self.topics_under(connection, pattern).into_iter().filter(|topic| !listed.contains(topic));
            forgotten.for_each(|topic| self.unpattern(connection, &topic));
        }
    }

    fn remove_follower(&self, id: ConnectionId, pattern: &Pattern) {
        let mut patterns = self.patterns.borrow_mut();
        let Some(follow) = patterns.get_mut(pattern) else { return };
        let interests = follow.followers.remove(&id).map_or(0, |follower| follower.interests);
        if follow.followers.is_empty() {
            patterns.remove(pattern);
        }
        (0..interests).for_each(|_| self.bus.unfollow(pattern, self.consumer));
    }

    /// Ends a pattern for a connection; what it asked for by name stays.
    pub(super) fn unfollow(&self, connection: &Rc<Connection>, pattern: &Pattern) {
        connection.patterns.borrow_mut().retain(|name| name != pattern);
        self.remove_follower(connection.id, pattern);
        self.topics_under(connection, pattern).iter().for_each(|topic| self.unpattern(connection, topic));
    }

    /// No pattern stands for a topic any more; asked for by name it stays.
    pub(super) fn unpattern(&self, connection: &Rc<Connection>, topic: &Topic) {
        let stays = self.topics.borrow_mut().get_mut(topic).and_then(|record| record.subscriber(connection.id)).is_none_or(|subscriber| {
            subscriber.by_pattern = false;
            subscriber.by_name
        });
        if !stays {
            self.take_out(connection, topic);
        }
    }

    /// A topic is not asked for by name any more, and a pattern stands for it: the pattern's filter holds for what comes.
    pub(super) fn stay_by_pattern(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, topic: &Topic) {
        let followed = connection.patterns.borrow();
        let Some(pattern) = followed.iter().find(|pattern| topic.namespace() == Some(pattern.namespace())) else { return };
        let mut patterns = self.patterns.borrow_mut();
        let follower = patterns.get_mut(pattern).and_then(|follow| follow.followers.get_mut(&connection.id));
        let Some(follower) = follower else { return };
        if !self.refilter(connection, topic, follower.filter.as_ref()) {
            // There is no place for its filter: the client must ask for the pattern again.
            self.take_out(connection, topic);
            let at = follower.at.clone();
            at.iter().for_each(|at| self.lose_births(follower, at, "births"));
            follower.tell(shard, pattern);
        }
    }

    fn follows(&self, id: ConnectionId, pattern: &Pattern) -> bool {
        self.patterns.borrow().get(pattern).is_some_and(|follow| follow.followers.contains_key(&id))
    }

    /// Forgets a connection that leaves, in every pattern.
    pub(super) fn forget_patterns(&self, connection: &Connection) {
        let followed = std::mem::take(&mut *connection.patterns.borrow_mut());
        followed.iter().for_each(|pattern| self.remove_follower(connection.id, pattern));
    }

    fn topics_under(&self, connection: &Connection, pattern: &Pattern) -> Vec<Topic> {
        connection.topics.borrow().iter().filter(|topic| topic.namespace() == Some(pattern.namespace())).cloned().collect()
    }
}

impl Follower {
    /// Has a task tell it of what waits, unless one does already.
    fn tell(&mut self, shard: &Rc<Shard>, pattern: &Pattern) {
        if self.busy || (self.births.is_empty() && self.lost.is_none()) {
            return;
        }
        self.busy = true;
        let (shard, connection, pattern) = (shard.clone(), self.connection.clone(), pattern.clone());
        tokio::task::spawn_local(async move { shard.hub.join_births(&shard, connection, pattern).await });
    }
}

fn too_many(limit: usize) -> WireError {
    WireError::new(ErrorCode::TooManyTopics, format!("the pattern stands for more than the {limit} topics that one connection may follow"))
}
