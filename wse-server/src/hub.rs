//! Which connections of a shard follow which topics, and what each gets: every entry is encoded once and shared.
mod join;

use crate::{connection::Connection, counters::Counters, host::ConnectionId};
use join::{Begun, Joined, Missed, Subscriber};
use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};
use tokio::sync::OnceCell;
use wse_core::session::{Outcome, Wanted};
use wse_protocol::{ErrorCode, Position, Topic, WireError};
use wse_pubsub::{Bus, BusError, BusEvent, Consumer, HistoryGap};

/// The only shard's queue.
const SHARD: Consumer = Consumer(0);

/// The hub of one shard; lives on the shard's thread.
#[derive(Debug)]
pub(crate) struct Hub {
    bus: Arc<dyn Bus>,
    counters: Arc<Counters>,
    topics: RefCell<HashMap<Topic, Record>>,
    /// Bytes that one request may replay, and that one topic may buffer meanwhile.
    recovery_bytes: usize,
}

#[derive(Debug, Default)]
struct Record {
    /// The position of the last entry that reached the hub, or where the interest began.
    position: Option<Position>,
    subscribers: HashMap<ConnectionId, Subscriber>,
    /// Subscribers, and requests that wait for the bus.
    users: usize,
    /// Set once the bus knows of the interest; one request asks, the others wait for it.
    interest: Rc<OnceCell<()>>,
}

impl Record {
    fn has_passed(&self, position: &Position) -> bool {
        self.position.as_ref().is_some_and(|ours| ours.epoch == position.epoch && ours.seq >= position.seq)
    }
}

impl Hub {
    pub(crate) fn new(bus: Arc<dyn Bus>, counters: Arc<Counters>, recovery_bytes: usize) -> Self {
        Self { bus, counters, topics: RefCell::default(), recovery_bytes }
    }

    /// Subscribes a connection to all of `wanted`: begins to buffer, reads what it missed, and joins both without a window.
    /// Not to be dropped half-way: give it a task of its own.
    pub(crate) async fn subscribe(&self, connection: Rc<Connection>, wanted: Vec<Wanted>) {
        let interests = wanted.iter().map(|w| self.show_interest(&w.topic));
        let shown = futures_util::future::join_all(interests).await;
        let begun: Vec<_> = wanted.into_iter().zip(shown).map(|(w, shown)| self.begin(&connection, w, shown)).collect();
        let mut budget = self.recovery_bytes;
        let mut ready = Vec::with_capacity(begun.len());
        for begun in begun {
            ready.push(match begun {
                Ok(begun) => Ok((join::missed(&*self.bus, &begun, &mut budget).await, begun)),
                Err(error) => Err(error),
            });
        }
        let (mut outcomes, mut frames) = (Vec::with_capacity(ready.len()), Vec::new());
        for one in ready {
            outcomes.push(one.map_or_else(Outcome::Refused, |(missed, begun)| {
                let joined = self.finish(connection.id, &begun, missed);
                frames.extend(joined.frames);
                joined.outcome
            }));
        }
        self.counters.deliveries.fetch_add(frames.len() as u64, Relaxed);
        connection.session().subscribed(Instant::now(), outcomes, frames);
        connection.wake();
    }

    /// Ends subscriptions; a topic that nobody is left for is given back to the bus.
    pub(crate) fn unsubscribe(&self, connection: ConnectionId, topics: &[Topic]) {
        for topic in topics {
            let mut records = self.topics.borrow_mut();
            let was = records.get_mut(topic).and_then(|record| record.subscribers.remove(&connection));
            drop(records);
            if was.is_some() {
                self.counters.subscriptions.fetch_sub(1, Relaxed);
                self.release(topic);
            }
        }
    }

    /// Passes on what the bus handed over.
    pub(crate) fn handle(&self, event: BusEvent) {
        match event {
            BusEvent::Run(run) => run.into_entries().for_each(|entry| self.deliver(&entry)),
            BusEvent::Reset { topic, position, reason } => self.reset(&topic, position, reason),
            BusEvent::Born { .. } | BusEvent::BirthsReset { .. } => {}
        }
    }

    async fn show_interest(&self, topic: &Topic) -> Result<(), BusError> {
        let interest = {
            let mut records = self.topics.borrow_mut();
            let record = records.entry(topic.clone()).or_default();
            record.users += 1;
            let interest = record.interest.clone();
            self.counters.topics.store(records.len(), Relaxed);
            interest
        };
        interest.get_or_try_init(|| self.ask_bus(topic)).await.copied()
    }

    async fn ask_bus(&self, topic: &Topic) -> Result<(), BusError> {
        let position = self.bus.subscribe(topic, SHARD).await?;
        if let Some(record) = self.topics.borrow_mut().get_mut(topic)
            && !record.has_passed(&position)
        {
            record.position = Some(position);
        }
        Ok(())
    }

    /// Enters a connection as one that is joining: from here on its entries are buffered.
    fn begin(&self, connection: &Rc<Connection>, wanted: Wanted, shown: Result<(), BusError>) -> Result<Begun, WireError> {
        let refusal = match shown {
            Ok(()) if !connection.is_closing() => None,
            Ok(()) => Some(WireError::new(ErrorCode::UnexpectedMessage, "the connection is closing")),
            Err(error) => Some(unavailable(&error)),
        };
        if let Some(error) = refusal {
            self.release(&wanted.topic);
            return Err(error);
        }
        let mut records = self.topics.borrow_mut();
        let record = records.get_mut(&wanted.topic).and_then(|record| Some((record.position.clone()?, record)));
        let (start, record) = record.ok_or_else(|| WireError::new(ErrorCode::Internal, "the topic has no position"))?;
        match record.subscribers.entry(connection.id) {
            Entry::Occupied(_) => record.users -= 1,
            Entry::Vacant(place) => {
                place.insert(Subscriber::joining(connection.clone(), self.recovery_bytes));
                self.counters.subscriptions.fetch_add(1, Relaxed);
            }
        }
        Ok(Begun { topic: wanted.topic, start, theirs: wanted.position })
    }

    /// Makes a joining connection a live one, unless it has gone meanwhile.
    fn finish(&self, id: ConnectionId, begun: &Begun, missed: Missed) -> Joined {
        let mut records = self.topics.borrow_mut();
        let now = records.get_mut(&begun.topic).and_then(|record| Some((record.position.clone()?, record.subscribers.get_mut(&id)?)));
        match now {
            Some((position, subscriber)) => subscriber.join(begun, missed, position),
            None => Joined::gone(),
        }
    }

    fn release(&self, topic: &Topic) {
        let mut records = self.topics.borrow_mut();
        let Some(record) = records.get_mut(topic) else { return };
        record.users -= 1;
        if record.users == 0 {
            let known = records.remove(topic).is_some_and(|r| r.interest.initialized());
            self.counters.topics.store(records.len(), Relaxed);
            drop(records);
            if known {
                self.bus.unsubscribe(topic, SHARD);
            }
        }
    }

    fn deliver(&self, entry: &wse_pubsub::Entry) {
        let mut records = self.topics.borrow_mut();
        // Entries of an interest that was given back and taken up again may still be under way: they are no news.
        let Some(record) = records.get_mut(&entry.topic).filter(|record| !record.has_passed(&entry.position)) else { return };
        record.position = Some(entry.position.clone());
        if record.subscribers.is_empty() {
            return;
        }
        let Some(frame) = join::prepared(entry) else {
            return record.subscribers.values_mut().for_each(|s| s.reset(&entry.topic, &entry.position, HistoryGap::Trimmed));
        };
        let now = Instant::now();
        let mut delivered = 0;
        for subscriber in record.subscribers.values_mut() {
            delivered += u64::from(subscriber.deliver(now, entry.position.seq, &frame));
        }
        self.counters.deliveries.fetch_add(delivered, Relaxed);
    }

    fn reset(&self, topic: &Topic, position: Position, reason: HistoryGap) {
        let mut records = self.topics.borrow_mut();
        let Some(record) = records.get_mut(topic) else { return };
        record.position = Some(position.clone());
        for subscriber in record.subscribers.values_mut() {
            subscriber.reset(topic, &position, reason);
        }
    }
}

fn unavailable(error: &BusError) -> WireError {
    tracing::warn!(%error, "a subscription failed");
    WireError::new(ErrorCode::Unavailable, "the server's message bus did not answer; subscribe again")
}
