//! How a connection joins a topic without a window: buffer what comes, read a page of the log, answer, and go live when the page
//! reaches what is buffered; what is more than a page is caught up with.
use super::{
    Hub,
    catch_up::last_of,
    counted,
    filters::HeldFilter,
    gone,
    plan::{Answers, Plan},
    record::{Record, State, Subscriber},
    snapshots::Waiting,
    unavailable,
};
use crate::{connection::Connection, host::ConnectionId, presence::off, shard::Shard};
use std::{
    rc::Rc,
    sync::Arc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use wse_core::{
    Chunk, SlowPolicy,
    filter::Filter,
    session::{Outcome, Wanted},
};
use wse_protocol::{ErrorCode, Followed, Position, Topic, WireError};
use wse_pubsub::{BusError, History, HistoryGap};

/// A topic that a connection is to join.
#[derive(Debug, Clone)]
pub(super) struct Joining {
    pub(super) topic: Topic,
    /// What the client says that it has examined.
    pub(super) theirs: Option<Position>,
    pub(super) filter: Option<Arc<Filter>>,
    pub(super) by_pattern: bool,
    /// The client has no position of its own: it needs the topic's state, where there is one.
    pub(super) fresh: bool,
    /// How long the client was away; none where that is not known.
    pub(super) away: Option<Duration>,
}

/// One that has begun: entries after `start` are buffered.
#[derive(Debug)]
pub(super) struct Begun {
    joining: Joining,
    start: Position,
    /// It was in the topic already, and stays as it was.
    stays: bool,
    /// What the client has missed cannot be known.
    forgotten: bool,
}

/// What was read of the log for it.
pub(super) type Page = Option<Result<History, BusError>>;

/// The end of joining: the answer, and the frames that follow it.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) outcome: Outcome,
    pub(super) frames: Vec<Chunk>,
    pub(super) policy: SlowPolicy,
    /// The topic's state comes before any of its messages.
    pub(super) waiting: Option<Waiting>,
}

impl Hub {
    /// Subscribes a connection to all of `wanted`; what there is to send then is for the caller to have sent. Not to be dropped half-way.
    pub(crate) async fn subscribe(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, wanted: Vec<Wanted>) {
        let by_pattern = wanted.iter().any(|wanted| matches!(wanted.followed, Followed::Pattern(_)));
        // Births are joined one by one in the same turns: none is told between a request and its answer.
        let _turn = if by_pattern || !connection.patterns.borrow().is_empty() { Some(connection.turn().await) } else { None };
        let mut plans = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            plans.push(match wanted.followed.clone() {
                Followed::Topic(topic) => {
                    let fresh = wanted.position.is_none();
                    let (filter, away) = (wanted.filter, Some(Duration::ZERO));
                    Plan::Topic(Joining { topic, theirs: wanted.position, filter, by_pattern: false, fresh, away })
                }
                Followed::Pattern(pattern) => {
                    let (own, joinings) = self.follow(connection, pattern.clone(), wanted).await;
                    Plan::Pattern(pattern, own, joinings)
                }
            });
        }
        let patterns: Vec<_> = plans.iter().filter_map(Plan::pattern).collect();
        let all: Vec<Joining> = plans.iter().flat_map(Plan::joinings).cloned().collect();
        let mut ready = self.prepare(connection, all).await.into_iter();
        // From here to the end nothing is awaited: the answer and what follows it are one step.
        let mut answers = Answers { room: connection.session().room(), ..Answers::default() };
        let outcomes =
            plans.into_iter().map(|plan| plan.outcome(|topic| self.next_joined(connection, topic, &mut ready, &mut answers))).collect();
        connection.session().subscribed(Instant::now(), outcomes);
        answers.joined.into_iter().for_each(|(topic, joined)| self.replay(shard, connection, &topic, joined));
        patterns.iter().for_each(|(pattern, position)| self.followed(connection, pattern, position));
    }

    /// Begins to buffer each topic, and reads what the client has missed of it.
    pub(super) async fn prepare(&self, connection: &Rc<Connection>, all: Vec<Joining>) -> Vec<Result<(Begun, Page), WireError>> {
        let interests = all.iter().map(|joining| async {
            self.may_watch(&joining.topic)?;
            self.show_interest(&joining.topic).await.map_err(|error| unavailable(&error))
        });
        let shown = futures_util::future::join_all(interests).await;
        let begun: Vec<_> = all.into_iter().zip(shown).map(|(joining, shown)| self.begin(connection, joining, shown)).collect();
        let room = connection.session().room();
        let pages = begun.iter().map(|begun| async move {
            match begun {
                Ok(begun) => self.missed(begun, room).await,
                Err(_) => None,
            }
        });
        let pages = futures_util::future::join_all(pages).await;
        begun.into_iter().zip(pages).map(|(begun, page)| begun.map(|begun| (begun, page))).collect()
    }

    fn next_joined(
        &self,
        connection: &Rc<Connection>,
        topic: &Topic,
        ready: &mut impl Iterator<Item = Result<(Begun, Page), WireError>>,
        answers: &mut Answers,
    ) -> Outcome {
        match ready.next() {
            // Named twice, or by a pattern too: it was joined a moment ago, and what follows that answer is still to come.
            Some(Ok(_)) if answers.at.contains_key(topic) => answers.at.get(topic).cloned().unwrap_or_else(gone),
            Some(Ok((begun, page))) => {
                let end = self.finish(connection, &begun, page, answers.room);
                let outcome = end.outcome.clone();
                answers.take(topic, end);
                outcome
            }
            Some(Err(error)) => Outcome::Refused(error),
            None => gone(),
        }
    }

    /// Who is in a topic is told where its policy says so.
    fn may_watch(&self, topic: &Topic) -> Result<(), WireError> {
        match topic.watched() {
            Some((_, of)) if !self.policies.of(&of).presence => Err(off(&of)),
            _ => Ok(()),
        }
    }

    /// Enters a connection as one that is behind: from here on its entries are buffered.
    fn begin(&self, connection: &Rc<Connection>, joining: Joining, shown: Result<(), WireError>) -> Result<Begun, WireError> {
        let refusal = match shown {
            Ok(()) if !connection.is_closing() => None,
            Ok(()) => Some(WireError::new(ErrorCode::UnexpectedMessage, "the connection is closing")),
            Err(error) => Some(error),
        };
        let entered = refusal.map_or_else(|| self.enter(connection, joining.clone()), Err);
        if entered.as_ref().map_or(true, |begun| begun.stays) {
            self.release(&joining.topic);
        }
        if entered.is_err() && joining.by_pattern {
            // The pattern's new answer does not list it.
            self.unpattern(connection, &joining.topic);
        }
        entered
    }

    fn enter(&self, connection: &Rc<Connection>, mut joining: Joining) -> Result<Begun, WireError> {
        let mut records = self.topics.borrow_mut();
        let known = records.get_mut(&joining.topic).and_then(|record| Some((record.position.clone()?, record)));
        let (start, record) = known.ok_or_else(|| WireError::new(ErrorCode::Internal, "the topic has no position"))?;
        let filter = both(record.policy.filter.as_ref(), joining.filter.as_ref());
        let mut marks = (!joining.by_pattern, joining.by_pattern);
        if let Some((class, present)) = record.member(connection.id) {
            marks = (marks.0 || present.by_name, marks.1 || present.by_pattern);
            // What was asked for by name holds, whatever the pattern's filter is.
            let named = joining.by_pattern && present.by_name;
            let stays = named || (class.has(filter.as_deref()) && joining.theirs.is_none());
            if stays {
                if let Some(subscriber) = record.subscriber(connection.id) {
                    (subscriber.by_name, subscriber.by_pattern) = marks;
                }
                return Ok(Begun { joining, start, stays, forgotten: false });
            }
        }
        let forgotten = self.settle_beginning(&mut joining, &start);
        let after = joining.theirs.clone().unwrap_or_else(|| start.clone());
        let mut subscriber = Subscriber::new(connection.clone(), after);
        (subscriber.by_name, subscriber.by_pattern) = marks;
        match record.enter(&joining.topic, filter, &self.filters, subscriber) {
            Some(None) => self.counters.subscriptions.fetch_add(counted(&joining.topic), Relaxed),
            Some(Some(_)) => self.leave_earlier(connection, &joining.topic, record),
            None => return Err(too_many_filters(&joining.topic, self.filters.limit())),
        };
        connection.topics.borrow_mut().insert(joining.topic.clone());
        Ok(Begun { joining, start, stays: false, forgotten })
    }

    /// Another filter of its own holds for a subscriber, from what it has examined on. False where the topic has its most filters.
    pub(super) fn refilter(&self, connection: &Connection, topic: &Topic, own: Option<&Arc<Filter>>) -> bool {
        let mut records = self.topics.borrow_mut();
        let Some(record) = records.get_mut(topic) else { return true };
        let filter = both(record.policy.filter.as_ref(), own);
        if record.member(connection.id).is_none_or(|(class, _)| class.has(filter.as_deref())) {
            return true;
        }
        let passed = record.passed(connection.id);
        if record.refilter(topic, filter, &self.filters, connection.id).is_none() {
            return false;
        }
        if let (Some(passed), Some(at)) = (passed, &record.position) {
            self.pass_over(connection, topic, record.policy.slow, at, passed);
        }
        true
    }

    /// A subscription has taken the place of an earlier one: what waits of that one is not for it.
    fn leave_earlier(&self, connection: &Connection, topic: &Topic, record: &mut Record) -> usize {
        record.users -= 1;
        connection.session().leave(topic);
        connection.behind.borrow_mut().retain(|other| other != topic);
        record.users
    }

    /// The first page of what a client has missed; `None` where it has missed nothing.
    async fn missed(&self, begun: &Begun, room: usize) -> Page {
        let theirs = begun.joining.theirs.as_ref().filter(|theirs| !begun.stays && **theirs != begun.start)?;
        Some(self.read(&begun.joining.topic, theirs, room).await)
    }

    /// Makes a joining connection a live one, or one that catches up page by page.
    /// What it has missed comes in pages of `room` bytes.
    pub(super) fn finish(&self, connection: &Rc<Connection>, begun: &Begun, page: Page, room: usize) -> Joined {
        let mut records = self.topics.borrow_mut();
        let known = records.get_mut(&begun.joining.topic).and_then(|record| Some((record.position.clone()?, record)));
        let Some((now_at, record)) = known else { return Joined::plain(gone()) };
        let policy = record.policy.slow;
        let filter = record.member(connection.id).and_then(|(class, _)| class.filter.as_ref().map(HeldFilter::shared));
        let Some(subscriber) = record.subscriber(connection.id) else { return Joined::plain(gone()) };
        if begun.stays {
            // The answer goes before what waits of the topic, and must not pass it over.
            let (at, waits) = (subscriber.examined(&now_at), connection.session().waits_after(&begun.joining.topic));
            let outcome = Outcome::Live(last_of(&at, waits.map_or(at.seq, |before| before.min(at.seq))));
            let waits_for_state = matches!(subscriber.state, State::Waiting { .. });
            return Joined::plain(if waits_for_state { outcome.with_snapshot() } else { outcome });
        }
        let Begun { joining, start, .. } = begun;
        let theirs = joining.theirs.clone().unwrap_or_else(|| start.clone());
        let (outcome, from, frames) = match page {
            None if begun.forgotten => self.lost(start, HistoryGap::Trimmed),
            None => (Outcome::Live(start.clone()), start.clone(), Vec::new()),
            Some(Ok(History::Entries { entries, top })) if entries.first().is_none_or(|first| first.position.epoch == theirs.epoch) => {
                let outcome = resumed(&theirs, &last_of(&theirs, top));
                let (frames, last) = self.page(subscriber, policy, filter.as_deref(), &joining.topic, &theirs, &entries, room);
                if last < top {
                    self.settle(subscriber, &joining.topic, last_of(&theirs, last), None);
                    return self.with_state(record, connection.id, joining, Joined { outcome, frames, policy, waiting: None });
                }
                (outcome, last_of(&theirs, last), frames)
            }
            Some(Ok(History::Entries { .. })) => self.lost(start, HistoryGap::Epoch),
            Some(Ok(History::Gap { reason, .. })) => self.lost(start, reason),
            Some(Err(error)) => {
                tracing::warn!(%error, topic = %joining.topic, "what a client missed could not be read; again soon");
                // Nothing is known to be lost: the client is where it was, until the log says what follows.
                let outcome = resumed(&theirs, start);
                self.settle(subscriber, &joining.topic, theirs, None);
                return self.with_state(record, connection.id, joining, Joined { outcome, frames: Vec::new(), policy, waiting: None });
            }
        };
        let mut joined = Joined { outcome, frames, policy, waiting: None };
        joined.frames.extend(self.settle(subscriber, &joining.topic, from, Some(now_at)));
        self.with_state(record, connection.id, joining, joined)
    }

    /// Puts the topic's state before everything else, where it has one and the client does not know it.
    fn with_state(&self, record: &mut Record, id: ConnectionId, joining: &Joining, joined: Joined) -> Joined {
        let at = match &joined.outcome {
            Outcome::Recovered(at, _) if joining.fresh => Some(at.clone()),
            Outcome::Live(_) if joining.fresh => joining.theirs.clone(),
            Outcome::Resync(..) => None,
            _ => return joined,
        };
        let Some((waiting, at)) = self.hold(record, id, &joining.topic, at) else { return joined };
        let outcome = match joined.outcome {
            Outcome::Resync(_, reason) => Outcome::Resync(at, reason),
            Outcome::Live(_) => Outcome::Live(at),
            other => other,
        };
        Joined { outcome: outcome.with_snapshot(), frames: Vec::new(), waiting: Some(waiting), ..joined }
    }

    fn lost(&self, start: &Position, reason: HistoryGap) -> (Outcome, Position, Vec<Chunk>) {
        self.counters.resyncs.fetch_add(1, Relaxed);
        (Outcome::Resync(start.clone(), reason.as_str()), start.clone(), Vec::new())
    }
}

impl Joined {
    fn plain(outcome: Outcome) -> Self {
        Self { outcome, frames: Vec::new(), policy: SlowPolicy::Recover, waiting: None }
    }
}

/// What a client is told that goes on from its own position, where the topic is at `top`.
fn resumed(theirs: &Position, top: &Position) -> Outcome {
    match top.seq.number().saturating_sub(theirs.seq.number()) {
        missed @ 1.. if theirs.epoch == top.epoch => Outcome::Recovered(theirs.clone(), missed),
        _ => Outcome::Live(theirs.clone()),
    }
}

fn too_many_filters(topic: &Topic, limit: usize) -> WireError {
    WireError::new(ErrorCode::FilterLimit, format!("{topic} has {limit} different filters already; use one of them, or raise filter_limit"))
}

/// What passes a forced filter and the client's own.
fn both(forced: Option<&Arc<Filter>>, own: Option<&Arc<Filter>>) -> Option<Arc<Filter>> {
    match (forced, own) {
        (Some(forced), Some(own)) => Some(Arc::new(forced.and(own))),
        (one, other) => one.or(other).cloned(),
    }
}
