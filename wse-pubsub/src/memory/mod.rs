//! The bus of one process: every topic's log in memory.
mod births;
mod config;
mod letters;
mod outcomes;
mod presence;
mod retry;
mod rooms;
mod store;
mod stores;
mod turn;

pub use config::MemoryConfig;

use crate::{
    Begin, Begun, Births, Bus, BusError, BusHealth, Claim, Consumer, DeadLetter, DeadLetters, Entry, EventReceiver, Following, History,
    NewEntry, Outcome, OutcomeLimits, PresenceLimits, Producer, Producers, Receipt, Tried,
    handover::{HandOver, handovers},
};
use letters::Letters;
use outcomes::Outcomes;
use retry::RetryWindow;
use rooms::Rooms;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use stores::Stores;
use turn::{Full, Turn};
use wse_core::log::{PackCounts, PageLimit};
use wse_protocol::{Epoch, Pattern, Position, Publication, Seq, Topic};

/// A bus within this process: no server, no network, nothing left after it.
///
/// Storing a message and handing it over is one step under one short lock, so the order of positions is the order of delivery,
/// from whatever thread messages come. `publish` waits while the queue of any consumer with interest is full. No call needs a
/// runtime unless it waits.
///
/// ```
/// use wse_pubsub::{MemoryBus, MemoryConfig};
/// let (bus, receivers) = MemoryBus::new(MemoryConfig::default(), 2);
/// assert_eq!(receivers.len(), 2);
/// # let _ = bus;
/// ```
#[derive(Debug)]
pub struct MemoryBus {
    state: Mutex<State>,
    outcomes: Mutex<Outcomes>,
    outcome_limits: OutcomeLimits,
    presence_limits: PresenceLimits,
    letters: Mutex<Letters>,
    queues: Vec<HandOver>,
    started: Instant,
}

#[derive(Debug)]
struct State {
    stores: Stores,
    retries: RetryWindow,
    rooms: Rooms,
    closed: bool,
}

impl MemoryBus {
    /// A bus without topics, and where each consumer's events come out: 1 to 64 consumers, of which the first is
    /// `Consumer(0)`.
    #[must_use]
    pub fn new(config: MemoryConfig, consumers: usize) -> (Self, Vec<EventReceiver>) {
        let stores = Stores::new(&config);
        let retries = RetryWindow::new(config.retry_age, config.retry_keys);
        let (queues, receivers) = handovers(consumers, config.handover_bytes, &Arc::default());
        let state = Mutex::new(State { stores, retries, rooms: Rooms::new(config.presence), closed: false });
        let (outcomes, letters) = (Mutex::new(Outcomes::new(config.outcomes)), Mutex::new(Letters::new(config.dead_letters)));
        let (outcome_limits, presence_limits) = (config.outcomes, config.presence);
        (Self { state, outcomes, outcome_limits, presence_limits, letters, queues, started: Instant::now() }, receivers)
    }

    /// What became so far of payloads that were old enough to be packed.
    #[must_use]
    pub fn pack_counts(&self) -> PackCounts {
        self.lock().stores.pack_counts()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn open(&self) -> Result<(), BusError> {
        if self.lock().closed { Err(BusError::Closed) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something under the lock, then wakes the consumers whose queues it began.
    fn turn<T>(&self, act: impl FnOnce(&mut Turn<'_>) -> T) -> Result<T, BusError> {
        let mut state = self.lock();
        if state.closed {
            return Err(BusError::Closed);
        }
        let mut turn = Turn::new(&mut state, &self.queues, self.now());
        let outcome = act(&mut turn);
        let begun = turn.begun();
        drop(state);
        begun.for_each(|queue| self.queues[queue].wake());
        Ok(outcome)
    }

    /// `turn` again and again until no queue that it needs is full.
    async fn turn_with_room<T>(&self, mut act: impl FnMut(&mut Turn<'_>) -> Result<T, Full>) -> Result<T, BusError> {
        let mut waited = None;
        loop {
            let outcome = self.turn(&mut act);
            if let Some(queue) = waited {
                self.queue(queue).next_waiter();
            }
            match outcome? {
                Ok(done) => return Ok(done),
                Err(full) => {
                    self.queue(full).wait_for_room().await;
                    waited = Some(full);
                }
            }
        }
    }

    fn queue(&self, full: Full) -> &HandOver {
        &self.queues[full.0]
    }

    fn known(&self, consumer: Consumer) -> Result<(), BusError> {
        if usize::from(consumer.0) < self.queues.len() { Ok(()) } else { Err(BusError::NoConsumer(consumer)) }
    }
}

#[async_trait::async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Result<Receipt, BusError> {
        let mut publication = Some(publication);
        self.turn_with_room(|turn| turn.publish(topic, &mut publication, retry_key)).await
    }

    fn try_publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Tried {
        let mut publication = Some(publication);
        match (self.turn(|turn| turn.publish(topic, &mut publication, retry_key)), publication) {
            (Ok(Err(Full(_))), Some(publication)) => Err(publication),
            (Ok(outcome), _) => Ok(Ok(outcome.expect("only one that is left has no room"))),
            (Err(error), _) => Ok(Err(error)),
        }
    }

    async fn publish_many(&self, mut batch: Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let all = self.turn_with_room(|turn| turn.store_many(&mut batch, &mut outcomes)).await;
        if let Err(error) = all {
            outcomes.extend(batch.iter().map(|_| Err(error.clone())));
        }
        outcomes
    }

    fn try_publish_many(&self, batch: &mut Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        if let Err(error) = self.turn(|turn| turn.store_many(batch, &mut outcomes).is_ok()) {
            outcomes.extend(batch.drain(..).map(|_| Err(error.clone())));
        }
        outcomes
    }

    async fn subscribe(&self, topic: &Topic, consumer: Consumer) -> Result<Position, BusError> {
        self.known(consumer)?;
        self.turn_with_room(|turn| turn.subscribe(topic, consumer)).await
    }

    fn unsubscribe(&self, topic: &Topic, consumer: Consumer) {
        let now = self.now();
        self.lock().stores.remove_interest(now, topic, consumer);
    }

    async fn history(&self, topic: &Topic, since: &Position, limit: PageLimit) -> Result<History, BusError> {
        self.turn_with_room(|turn| turn.history(topic, since, limit)).await
    }

    async fn follow(&self, pattern: &Pattern, consumer: Consumer) -> Result<Following, BusError> {
        self.known(consumer)?;
        self.turn(|turn| turn.follow(pattern, consumer))
    }

    fn unfollow(&self, pattern: &Pattern, consumer: Consumer) {
        let now = self.now();
        self.lock().stores.topics().namespaces_mut().unfollow(now, pattern, consumer);
    }

    async fn births(&self, pattern: &Pattern, since: &Position, limit: usize) -> Result<Births, BusError> {
        self.turn(|turn| turn.births(pattern, since, limit))
    }

    fn serve(&self, _: bool) {}

    /// There is no other process.
    async fn others(&self) -> Result<usize, BusError> {
        self.open()?;
        Ok(0)
    }

    fn may_have_forgotten(&self, topic: &Topic, away: Duration) -> bool {
        self.turn(|turn| turn.may_have_forgotten(topic, away)).unwrap_or(true)
    }

    fn health(&self) -> BusHealth {
        let mut state = self.lock();
        let (up, store) = (!state.closed, state.stores.topics());
        let (topics, patterns) = (store.interested(), store.namespaces().followed());
        let (outcomes_forgotten, fault) = (held(&self.outcomes).forgotten(), state.closed.then(|| "closed".into()));
        let (presence_refused, presence_lapsed) = (state.rooms.refused(), state.rooms.lapsed());
        let retries = state.retries.counts();
        BusHealth {
            kind: "memory",
            up,
            proved: Duration::ZERO,
            topics,
            patterns,
            outcomes_forgotten,
            retries_answered: retries.repeated,
            retries_forgotten: retries.evicted,
            // There is no way on which a message could overtake another, and nobody who might not answer.
            reordered: 0,
            reorder_dropped: 0,
            breaker_opened: 0,
            breaker_refused: 0,
            presence_refused,
            presence_lapsed,
            fault,
        }
    }

    async fn close(&self) {
        self.lock().closed = true;
        self.queues.iter().for_each(HandOver::close);
    }
}

#[async_trait::async_trait]
impl Producers for MemoryBus {
    fn producers_epoch(&self) -> Epoch {
        held(&self.outcomes).epoch()
    }

    fn outcome_limits(&self) -> OutcomeLimits {
        self.outcome_limits
    }

    async fn begin(&self, begin: &Begin<'_>) -> Result<Begun, BusError> {
        self.open()?;
        Ok(held(&self.outcomes).begin(self.now(), begin))
    }

    async fn done(&self, producer: &Producer, number: Seq, outcome: &Outcome) -> Result<(), BusError> {
        self.open()?;
        held(&self.outcomes).done(self.now(), producer, number, outcome);
        Ok(())
    }

    async fn undo(&self, producer: &Producer, number: Seq, run: u64) -> Result<(), BusError> {
        self.open()?;
        held(&self.outcomes).undo(producer, number, run);
        Ok(())
    }

    async fn renew(&self) -> Result<(), BusError> {
        self.open()?;
        held(&self.outcomes).renew(self.now());
        Ok(())
    }
}

#[async_trait::async_trait]
impl DeadLetters for MemoryBus {
    async fn bury(&self, letter: &DeadLetter) -> Result<usize, BusError> {
        self.open()?;
        Ok(held(&self.letters).bury(self.now(), letter))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.open()?;
        Ok(held(&self.letters).list(self.now(), limit))
    }

    async fn claim_dead_letter(&self, id: &str) -> Result<Claim, BusError> {
        self.open()?;
        Ok(held(&self.letters).claim(self.now(), id))
    }

    async fn release_dead_letter(&self, id: &str) -> Result<(), BusError> {
        self.open()?;
        held(&self.letters).release(id);
        Ok(())
    }

    async fn remove_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        self.open()?;
        Ok(held(&self.letters).remove(id))
    }
}

/// A lock that is held for a few lines.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn entries(topic: &Topic, top: &Position, run: Vec<(Seq, Arc<Publication>)>) -> Vec<Entry> {
    let entry = |(seq, publication)| Entry { topic: topic.clone(), position: Position { epoch: top.epoch.clone(), seq }, publication };
    run.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{entries, publication, topic};

    #[test]
    fn plain_threads_publish_and_events_come_in_the_order_of_positions() {
        const EACH: usize = 2000;
        let (bus, mut receivers) = MemoryBus::new(MemoryConfig::default(), 1);
        let bus = Arc::new(bus);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(bus.subscribe(&topic("t"), Consumer(0))).expect("subscribed");
        let publishers = (0..4).map(|_| bus.clone()).map(|bus| {
            std::thread::spawn(move || {
                for number in 0..EACH {
                    let receipt = bus.try_publish(&topic("t"), publication(&number.to_string()), None);
                    assert!(matches!(receipt, Ok(Ok(_))), "4 MiB hold all of them");
                }
            })
        });
        let publishers: Vec<_> = publishers.collect();
        let got = runtime.block_on(entries(&mut receivers[0], 4 * EACH));
        assert!(got.iter().zip(1..).all(|(entry, seq)| entry.position.seq.number() == seq));
        publishers.into_iter().for_each(|publisher| publisher.join().expect("no panic"));
    }

    #[test]
    fn history_that_was_packed_is_the_same_to_the_byte() {
        let (bus, _receivers) = MemoryBus::new(MemoryConfig::default().compress_after(Duration::ZERO), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let start = runtime.block_on(bus.subscribe(&topic("t"), Consumer(0))).expect("subscribed");
        let payload = |number: usize| format!("[{}]", vec![format!(r#"{{"n":{number}}}"#); 100].join(","));
        let sent: Vec<_> = (0..20).map(|n| Publication { payload: payload(n).into(), ..publication(&n.to_string()) }).collect();
        for one in &sent {
            assert!(matches!(bus.try_publish(&topic("t"), one.clone(), None), Ok(Ok(_))));
        }
        let counts = bus.pack_counts();
        assert!(counts.packed == 20 && counts.saved > 10_000, "{counts:?}");
        let History::Entries { entries, .. } = runtime.block_on(bus.history(&topic("t"), &start, PageLimit::entries(99))).expect("read")
        else {
            panic!("everything is held");
        };
        assert_eq!(entries.into_iter().map(|entry| (*entry.publication).clone()).collect::<Vec<_>>(), sent);
    }

    #[test]
    fn a_hub_that_went_away_stops_nobody() {
        let (bus, receivers) = MemoryBus::new(MemoryConfig::default().handover_bytes(1), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(bus.subscribe(&topic("t"), Consumer(0))).expect("subscribed");
        assert!(bus.try_publish(&topic("t"), publication("a"), None).is_ok());
        assert!(bus.try_publish(&topic("t"), publication("b"), None).is_err());
        drop(receivers);
        assert!(bus.try_publish(&topic("t"), publication("c"), None).is_ok());
    }
}
