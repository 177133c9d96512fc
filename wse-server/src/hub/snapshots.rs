//! How a topic's state reaches a subscriber ([P-56] to [P-59]): it waits at a position and gets nothing, then the state, then everything
//! after the position, from the pin or the log.
use super::{
    Hub,
    filters::HeldFilter,
    pin::Pin,
    record::{Record, State as Place},
};
use crate::{
    connection::Connection,
    host::ConnectionId,
    shard::Shard,
    snapshot::{Call, Failure, State, Wanted},
};
use std::{cell::RefCell, rc::Rc, sync::Arc, sync::atomic::Ordering::Relaxed, time::Instant};
use wse_core::{log::PageLimit, session::Outcome};
use wse_protocol::{ErrorCode, Position, Topic, WireError, defaults};
use wse_pubsub::{History, HistoryGap};

/// How often a state is asked for again because the log ran away under it, the first time counted in.
const TRIES: u64 = defaults::SNAPSHOT_TRIES;
/// Enough of a log to know whether there is one.
const ONE: PageLimit = PageLimit { entries: 1, bytes: 1 };

/// Somebody waits for a topic's state.
#[derive(Debug)]
pub(super) struct Waiting {
    ticket: u64,
    call: Call,
    /// What an error refers to.
    cid: Option<Box<str>>,
}

impl Hub {
    /// Has a subscriber wait for the topic's state, at `at` or where the call began; none where the topic has no snapshot.
    pub(super) fn hold(&self, record: &mut Record, id: ConnectionId, topic: &Topic, at: Option<Position>) -> Option<(Waiting, Position)> {
        let now_at = record.position.clone()?;
        let connection = record.subscriber(id)?.connection.clone();
        let call = self.snapshots.join(&self.bus, &connection, topic, &now_at, at.as_ref())?;
        let pin = self.pin(record, now_at);
        let at = at.unwrap_or_else(|| call.position.clone());
        let ticket = self.tickets.replace(self.tickets.get() + 1);
        let subscriber = record.subscriber(id)?;
        subscriber.state = Place::Waiting { after: at.clone(), ticket };
        subscriber.pin = Some(pin);
        connection.behind.borrow_mut().retain(|other| other != topic);
        Some((Waiting { ticket, call, cid: None }, at))
    }

    /// The topic's pin, which begins now where there is none.
    fn pin(&self, record: &mut Record, now_at: Position) -> Rc<RefCell<Pin>> {
        if let Some(pin) = record.pin.upgrade().filter(|pin| pin.borrow().holds()) {
            return pin;
        }
        let pin = Rc::new(RefCell::new(Pin::new(now_at, self.pin_bytes, self.counters.clone())));
        record.pin = Rc::downgrade(&pin);
        pin
    }

    /// Brings the state once it is there.
    pub(super) fn spawn_snapshot(shard: &Rc<Shard>, connection: &Rc<Connection>, topic: &Topic, waiting: Waiting) {
        let (shard, connection, topic) = (shard.clone(), connection.clone(), topic.clone());
        tokio::task::spawn_local(async move { shard.hub.bring(&connection, &topic, waiting).await });
    }

    /// A client asks for the state of topics that it has.
    pub(crate) fn snapshot(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, topics: &[Topic], cid: Option<&str>) {
        for topic in topics {
            match self.ask_again(connection, topic, cid) {
                Ok(Some(waiting)) => Self::spawn_snapshot(shard, connection, topic, waiting),
                Ok(None) => {}
                Err(error) => connection.session().fail_snapshot(topic.as_str(), &error.answering(cid.map(Into::into))),
            }
        }
        connection.wake();
    }

    /// What is under way for the client of the topic is given up: it follows the state, from where the client is.
    fn ask_again(&self, connection: &Connection, topic: &Topic, cid: Option<&str>) -> Result<Option<Waiting>, WireError> {
        let mut records = self.topics.borrow_mut();
        let known = records.get_mut(topic).and_then(|record| Some((record.position.clone()?, record)));
        let subscribed = known.and_then(|(now_at, record)| Some((record.subscriber(connection.id)?.clone_place(&now_at), record)));
        let Some((place, record)) = subscribed else {
            return Err(WireError::new(ErrorCode::NoSnapshot, "the topic is not subscribed; its state comes with the subscription"));
        };
        let Some(at) = place else { return Ok(None) };
        let passed = record.passed(connection.id);
        if !self.snapshots.has(topic) {
            return Err(WireError::new(ErrorCode::NoSnapshot, "the server has no snapshot of the topic"));
        }
        let waits = connection.session().waits_after(topic);
        let at = Position { seq: waits.map_or(at.seq, |before| before.min(at.seq)), ..at };
        connection.session().leave(topic);
        if let Some(passed) = passed.filter(|_| waits.is_none()) {
            self.pass_over(connection, topic, record.policy.slow, &at, passed);
        }
        let held = self.hold(record, connection.id, topic, Some(at));
        Ok(held.map(|(waiting, _)| Waiting { cid: cid.map(Into::into), ..waiting }))
    }

    /// A subscriber has lost messages and goes on from `position`: it is told, and waits for the state if there is one.
    pub(super) fn go_on(
        &self,
        record: &mut Record,
        id: ConnectionId,
        topic: &Topic,
        position: &Position,
        reason: HistoryGap,
    ) -> Option<Waiting> {
        let held = self.hold(record, id, topic, Some(position.clone()));
        let subscriber = record.subscriber(id)?;
        if held.is_none() {
            subscriber.state = Place::Live(position.seq);
        }
        subscriber.told = position.seq;
        let connection = &subscriber.connection;
        connection.behind.borrow_mut().retain(|other| other != topic);
        let outcome = Outcome::Resync(position.clone(), reason.as_str());
        let mut session = connection.session();
        session.leave(topic);
        session.inform(Instant::now(), topic.as_str(), if held.is_some() { outcome.with_snapshot() } else { outcome });
        drop(session);
        connection.wake();
        held.map(|(waiting, _)| waiting)
    }

    async fn bring(&self, connection: &Rc<Connection>, topic: &Topic, mut waiting: Waiting) {
        for tries in 1..=TRIES {
            let answer = waiting.call.answer.clone().await;
            match self.conclude(connection, topic, &waiting, answer).await {
                Step::Done => return,
                Step::Failed(error) => return self.give_up_snapshot(connection, topic, &waiting, error),
                Step::Again(_) if tries == TRIES => {
                    let text = format!("the topic's log ran away under {TRIES} snapshots; keep more history, or make them faster");
                    let error = WireError::new(ErrorCode::SnapshotFailed, text);
                    return self.give_up_snapshot(connection, topic, &waiting, error);
                }
                Step::Again(lost) => match self.again(connection, topic, waiting, lost) {
                    Some(next) => waiting = next,
                    None => return,
                },
            }
        }
    }

    /// Hands the state over, if it is still wanted and what follows it can be had.
    async fn conclude(&self, connection: &Rc<Connection>, topic: &Topic, waiting: &Waiting, answer: Result<Arc<State>, Failure>) -> Step {
        let Some(after) = self.waits_at(connection.id, topic, waiting.ticket) else { return Step::Done };
        let state = match answer {
            Ok(state) => state,
            Err(Failure::Gone) => return Step::Again(Lost::Nothing),
            Err(Failure::Failed(error)) => return Step::Failed(error),
        };
        if after.epoch != state.position.epoch || after.seq > state.position.seq {
            // The topic began anew meanwhile, which the client has been told.
            return Step::Again(Lost::Nothing);
        }
        if !self.reaches(topic, &after).await {
            return Step::Again(Lost::Messages);
        }
        self.hand_over_state(connection, topic, waiting.ticket, &after, &state)
    }

    /// Where the client waits, unless it does not any more.
    fn waits_at(&self, id: ConnectionId, topic: &Topic, ticket: u64) -> Option<Position> {
        match &self.topics.borrow_mut().get_mut(topic)?.subscriber(id)?.state {
            Place::Waiting { after, ticket: held } if *held == ticket => Some(after.clone()),
            _ => None,
        }
    }

    /// Whether everything after a position can be had.
    async fn reaches(&self, topic: &Topic, after: &Position) -> bool {
        if self.pinned(topic, after, 1).is_some() {
            return true;
        }
        // A bus that does not answer is asked again when the client catches up.
        !matches!(self.bus.history(topic, after, ONE).await, Ok(History::Gap { .. }))
    }

    /// What a pin holds after a position.
    pub(super) fn pinned(&self, topic: &Topic, after: &Position, limit: usize) -> Option<History> {
        let pin = self.topics.borrow().get(topic)?.pin.upgrade()?;
        let pin = pin.borrow();
        pin.since(topic, after, limit)
    }

    fn hand_over_state(&self, connection: &Rc<Connection>, topic: &Topic, ticket: u64, after: &Position, state: &State) -> Step {
        let mut records = self.topics.borrow_mut();
        let Some(record) = records.get_mut(topic) else { return Step::Done };
        let forced = record.policy.filter.is_some();
        let filter = record.member(connection.id).and_then(|(class, _)| class.filter.as_ref().map(HeldFilter::shared));
        let Some(subscriber) = record.subscriber(connection.id) else { return Step::Done };
        match &subscriber.state {
            Place::Waiting { after: still, ticket: held } if *held == ticket && still == after => {}
            Place::Waiting { ticket: held, .. } if *held == ticket => return Step::Again(Lost::Nothing),
            _ => return Step::Done,
        }
        let wanted = Wanted { at: after.seq, filter, forced, variant: connection.variant() };
        match state.frame(&mut self.wire.borrow_mut(), wanted) {
            Ok(frame) => connection.session().snapshot(frame),
            Err(error) => return Step::Failed(error),
        }
        self.counters.snapshots_sent.fetch_add(1, Relaxed);
        subscriber.state = Place::Behind { after: after.clone(), buffer: None };
        connection.behind.borrow_mut().push(topic.clone());
        connection.wake();
        Step::Done
    }

    /// The client is told that there is no state, and gets what follows its position.
    fn give_up_snapshot(&self, connection: &Rc<Connection>, topic: &Topic, waiting: &Waiting, error: WireError) {
        let mut records = self.topics.borrow_mut();
        let Some(subscriber) = records.get_mut(topic).and_then(|record| record.subscriber(connection.id)) else { return };
        let after = match &subscriber.state {
            Place::Waiting { after, ticket } if *ticket == waiting.ticket => after.clone(),
            _ => return,
        };
        self.counters.snapshots_failed.fetch_add(1, Relaxed);
        subscriber.state = Place::Behind { after, buffer: None };
        connection.behind.borrow_mut().push(topic.clone());
        connection.session().fail_snapshot(topic.as_str(), &error.answering(waiting.cid.clone()));
        connection.wake();
    }

    /// Asks once more, from where the topic stands now.
    fn again(&self, connection: &Connection, topic: &Topic, waiting: Waiting, lost: Lost) -> Option<Waiting> {
        self.counters.snapshots_again.fetch_add(1, Relaxed);
        let at = self.waits_at(connection.id, topic, waiting.ticket)?;
        let mut records = self.topics.borrow_mut();
        let record = records.get_mut(topic)?;
        let now_at = record.position.clone()?;
        let next = match lost {
            Lost::Messages => self.go_on(record, connection.id, topic, &now_at, HistoryGap::Trimmed)?,
            Lost::Nothing => self.hold(record, connection.id, topic, Some(at))?.0,
        };
        Some(Waiting { cid: waiting.cid, ..next })
    }
}

/// What comes after an answer.
enum Step {
    Done,
    Again(Lost),
    Failed(WireError),
}

/// Whether the client has lost what was between.
enum Lost {
    Nothing,
    Messages,
}

impl super::record::Subscriber {
    /// Where it is, unless it waits for a state already.
    fn clone_place(&self, now_at: &Position) -> Option<Position> {
        match &self.state {
            Place::Waiting { .. } => None,
            Place::Behind { .. } | Place::Live(_) => Some(self.examined(now_at)),
        }
    }
}
