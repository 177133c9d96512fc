//! The bus of one process: every topic's log in memory.
mod config;
mod retry;
mod store;

pub use config::MemoryConfig;

use crate::{
    Bus, BusError, BusEvent, BusHealth, Entry, EventReceiver, History, HistoryGap, Receipt,
    handover::{HandOver, handover},
};
use retry::RetryWindow;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use store::{Store, StoreLimits};
use wse_protocol::{Position, Publication, Topic};

/// A bus within this process: no server, no network, nothing left after it.
///
/// Storing a message and handing it to the hub is one step under one short lock, so the order of positions is the order of
/// delivery, from whatever thread messages come. `publish` and `try_publish` need no runtime.
///
/// ```
/// use wse_pubsub::{MemoryBus, MemoryConfig};
/// let (bus, events) = MemoryBus::new(MemoryConfig::default());
/// # let _ = (bus, events);
/// ```
#[derive(Debug)]
pub struct MemoryBus {
    state: Mutex<State>,
    events: HandOver,
    started: Instant,
}

#[derive(Debug)]
struct State {
    store: Store,
    retries: RetryWindow,
    closed: bool,
}

impl MemoryBus {
    /// A bus without topics, and where its events come out.
    #[must_use]
    pub fn new(config: MemoryConfig) -> (Self, EventReceiver) {
        let limits =
            StoreLimits { log: config.history, budget_bytes: config.budget_bytes, meta_age: config.meta_age, topics: config.topics };
        let retries = RetryWindow::new(config.retry_age, config.retry_keys);
        let (events, receiver) = handover(config.handover_bytes);
        let state = Mutex::new(State { store: Store::new(limits), retries, closed: false });
        (Self { state, events, started: Instant::now() }, receiver)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, BusError> {
        let state = self.lock();
        if state.closed { Err(BusError::Closed) } else { Ok(state) }
    }
}

#[async_trait::async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Result<Receipt, BusError> {
        loop {
            if let Some(outcome) = self.try_publish(topic, &publication, retry_key) {
                self.events.next_waiter();
                return outcome;
            }
            self.events.wait_for_room().await;
        }
    }

    fn try_publish(&self, topic: &Topic, publication: &Publication, retry_key: Option<&str>) -> Option<Result<Receipt, BusError>> {
        let mut state = match self.open() {
            Ok(state) => state,
            Err(error) => return Some(Err(error)),
        };
        let now = self.now();
        if let Some(receipt) = retry_key.and_then(|key| state.retries.find(now, topic, key)) {
            return Some(Ok(receipt));
        }
        let heard = state.store.has_interest(topic);
        if heard && !self.events.has_room() {
            return None;
        }
        let receipt = state.store_one(now, topic, publication, retry_key);
        if heard {
            let (position, publication) = (receipt.position.clone(), publication.clone());
            self.events.push(BusEvent::Entry(Entry { topic: topic.clone(), position, publication }));
        }
        Some(Ok(receipt))
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Position, BusError> {
        let (mut state, now) = (self.open()?, self.now());
        state.store.add_interest(now, topic);
        Ok(state.store.log(now, topic).position())
    }

    fn unsubscribe(&self, topic: &Topic) {
        let now = self.now();
        self.lock().store.remove_interest(now, topic);
    }

    async fn history(&self, topic: &Topic, since: &Position, limit: usize) -> Result<History, BusError> {
        let (mut state, now) = (self.open()?, self.now());
        let log = state.store.log(now, topic);
        let top = log.position();
        Ok(match log.since(now, since, limit) {
            Ok(run) => History::Entries { entries: entries(topic, &top, run), top: top.seq },
            Err(gap) => History::Gap { top, reason: HistoryGap::from(gap) },
        })
    }

    fn health(&self) -> BusHealth {
        let state = self.lock();
        let (up, topics) = (!state.closed, state.store.interests());
        BusHealth { kind: "memory", up, proved: Duration::ZERO, topics, fault: state.closed.then(|| "closed".into()) }
    }

    async fn close(&self) {
        self.lock().closed = true;
        self.events.close();
    }
}

impl State {
    fn store_one(&mut self, now: Duration, topic: &Topic, publication: &Publication, retry_key: Option<&str>) -> Receipt {
        let position = self.store.push(now, topic, publication.clone());
        let receipt = Receipt { id: publication.id.clone(), position };
        if let Some(key) = retry_key {
            self.retries.insert(now, topic, key, receipt.clone());
        }
        receipt
    }
}

fn entries(topic: &Topic, top: &Position, run: Vec<(wse_protocol::Seq, Publication)>) -> Vec<Entry> {
    let entry = |(seq, publication)| Entry { topic: topic.clone(), position: Position { epoch: top.epoch.clone(), seq }, publication };
    run.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{entries, publication, topic};
    use std::sync::Arc;

    #[test]
    fn plain_threads_publish_and_events_come_in_the_order_of_positions() {
        const EACH: usize = 2000;
        let (bus, mut receiver) = MemoryBus::new(MemoryConfig::default());
        let bus = Arc::new(bus);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(bus.subscribe(&topic("t"))).expect("subscribed");
        let publishers = (0..4).map(|_| bus.clone()).map(|bus| {
            std::thread::spawn(move || {
                for number in 0..EACH {
                    let receipt = bus.try_publish(&topic("t"), &publication(&number.to_string()), None);
                    assert!(matches!(receipt, Some(Ok(_))), "4 MiB hold all of them");
                }
            })
        });
        let publishers: Vec<_> = publishers.collect();
        let got = runtime.block_on(entries(&mut receiver, 4 * EACH));
        assert!(got.iter().zip(1..).all(|(entry, seq)| entry.position.seq.number() == seq));
        publishers.into_iter().for_each(|publisher| publisher.join().expect("no panic"));
    }

    #[test]
    fn a_hub_that_went_away_stops_nobody() {
        let (bus, receiver) = MemoryBus::new(MemoryConfig::default().handover_bytes(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(bus.subscribe(&topic("t"))).expect("subscribed");
        assert!(bus.try_publish(&topic("t"), &publication("a"), None).is_some());
        assert!(bus.try_publish(&topic("t"), &publication("b"), None).is_none());
        drop(receiver);
        assert!(bus.try_publish(&topic("t"), &publication("c"), None).is_some());
    }
}
