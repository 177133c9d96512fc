//! The in-memory bus, whose calls can be held up and made to fail, as those of a bus beyond a network are.
use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::watch;
use wse_protocol::{Epoch, MemberId, Pattern, Position, PresenceState, Publication, Seq, Topic};
use wse_pubsub::{
    Begin, Begun, Births, Bus, BusError, BusHealth, Change, Claim, Consumer, DeadLetter, DeadLetters, EventReceiver, Following, History,
    Incarnation, MemoryBus, MemoryConfig, NewEntry, Outcome, OutcomeLimits, PageLimit, Presence, PresenceLimits, Producer, Producers,
    Receipt, Tried,
};

/// What can be held up and fail.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    Subscribe,
    History,
    /// A log that was read and has not arrived.
    Answer,
    Follow,
    /// Of the lease under which members are held.
    Renew,
}

#[derive(Debug)]
pub(crate) struct FaultyBus {
    bus: MemoryBus,
    ways: [Way; 5],
    /// What reads of a topic's log answer.
    faults: Mutex<HashMap<Topic, BusError>>,
    /// Topics whose interest was shown, in this order.
    pub(crate) subscribed: Mutex<Vec<Topic>>,
}

#[derive(Debug)]
struct Way {
    held: watch::Sender<bool>,
    failing: AtomicUsize,
    calls: AtomicUsize,
}

impl Way {
    async fn pass(&self) -> Result<(), BusError> {
        self.calls.fetch_add(1, SeqCst);
        self.held.subscribe().wait_for(|held| !held).await.expect("the sender is ours");
        let left = self.failing.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(BusError::Unavailable { at: "test".into(), why: "it was told to fail".into() }))
    }
}

impl FaultyBus {
    pub(crate) fn new(config: MemoryConfig) -> (Self, EventReceiver) {
        let (bus, mut receivers) = MemoryBus::new(config, 1);
        let ways = [(); 5].map(|()| Way { held: watch::Sender::new(false), failing: AtomicUsize::new(0), calls: AtomicUsize::new(0) });
        (Self { bus, ways, faults: Mutex::default(), subscribed: Mutex::default() }, receivers.pop().expect("one consumer"))
    }

    /// The bus that nothing holds up.
    pub(crate) fn beneath(&self) -> &MemoryBus {
        &self.bus
    }

    /// Calls of this kind wait from now on, or go on.
    pub(crate) fn hold(&self, call: Call, held: bool) {
        self.way(call).held.send_replace(held);
    }

    /// So many calls of this kind fail.
    pub(crate) fn fail(&self, call: Call, count: usize) {
        self.way(call).failing.store(count, SeqCst);
    }

    /// Reads of this topic's log answer so, whatever else is said, until they are told otherwise.
    pub(crate) fn break_log(&self, topic: &Topic, fault: Option<BusError>) {
        let mut faults = self.faults.lock().expect("no panic");
        match fault {
            Some(fault) => faults.insert(topic.clone(), fault),
            None => faults.remove(topic),
        };
    }

    /// Calls of this kind so far.
    pub(crate) fn calls(&self, call: Call) -> usize {
        self.way(call).calls.load(SeqCst)
    }

    fn way(&self, call: Call) -> &Way {
        &self.ways[call as usize]
    }
}

#[async_trait::async_trait]
impl Bus for FaultyBus {
    async fn publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Result<Receipt, BusError> {
        self.bus.publish(topic, publication, retry_key).await
    }

    fn try_publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Tried {
        self.bus.try_publish(topic, publication, retry_key)
    }

    async fn publish_many(&self, batch: Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        self.bus.publish_many(batch).await
    }

    fn try_publish_many(&self, batch: &mut Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        self.bus.try_publish_many(batch)
    }

    async fn subscribe(&self, topic: &Topic, consumer: Consumer) -> Result<Position, BusError> {
        self.way(Call::Subscribe).pass().await?;
        self.subscribed.lock().expect("no panic").push(topic.clone());
        self.bus.subscribe(topic, consumer).await
    }

    fn unsubscribe(&self, topic: &Topic, consumer: Consumer) {
        self.bus.unsubscribe(topic, consumer);
    }

    async fn history(&self, topic: &Topic, since: &Position, limit: PageLimit) -> Result<History, BusError> {
        self.way(Call::History).pass().await?;
        if let Some(fault) = self.faults.lock().expect("no panic").get(topic) {
            return Err(fault.clone());
        }
        let read = self.bus.history(topic, since, limit).await;
        self.way(Call::Answer).pass().await?;
        read
    }

    /// As over a network: the interest is shown first, and given back where the answer fails.
    async fn follow(&self, pattern: &Pattern, consumer: Consumer) -> Result<Following, BusError> {
        let following = self.bus.follow(pattern, consumer).await?;
        match self.way(Call::Follow).pass().await {
            Ok(()) => Ok(following),
            Err(error) => {
                self.bus.unfollow(pattern, consumer);
                Err(error)
            }
        }
    }

    fn unfollow(&self, pattern: &Pattern, consumer: Consumer) {
        self.bus.unfollow(pattern, consumer);
    }

    async fn births(&self, pattern: &Pattern, since: &Position, limit: usize) -> Result<Births, BusError> {
        self.bus.births(pattern, since, limit).await
    }

    fn serve(&self, serves: bool) {
        self.bus.serve(serves);
    }

    async fn others(&self) -> Result<usize, BusError> {
        self.bus.others().await
    }

    fn may_have_forgotten(&self, topic: &Topic, away: Duration) -> bool {
        self.bus.may_have_forgotten(topic, away)
    }

    fn health(&self) -> BusHealth {
        self.bus.health()
    }

    async fn close(&self) {
        self.bus.close().await;
    }
}

#[async_trait::async_trait]
impl Producers for FaultyBus {
    fn producers_epoch(&self) -> Epoch {
        self.bus.producers_epoch()
    }

    fn outcome_limits(&self) -> OutcomeLimits {
        self.bus.outcome_limits()
    }

    async fn begin(&self, begin: &Begin<'_>) -> Result<Begun, BusError> {
        self.bus.begin(begin).await
    }

    async fn done(&self, producer: &Producer, number: Seq, outcome: &Outcome) -> Result<(), BusError> {
        self.bus.done(producer, number, outcome).await
    }

    async fn undo(&self, producer: &Producer, number: Seq, run: u64) -> Result<(), BusError> {
        self.bus.undo(producer, number, run).await
    }

    async fn renew(&self) -> Result<(), BusError> {
        self.bus.renew().await
    }
}

#[async_trait::async_trait]
impl Presence for FaultyBus {
    fn presence_limits(&self) -> PresenceLimits {
        self.bus.presence_limits()
    }

    async fn begin_presence(&self) -> Result<Incarnation, BusError> {
        self.bus.begin_presence().await
    }

    async fn renew_presence(&self, incarnation: &Incarnation) -> Result<bool, BusError> {
        self.way(Call::Renew).pass().await?;
        self.bus.renew_presence(incarnation).await
    }

    async fn change_presence(&self, incarnation: &Incarnation, topic: &Topic, changes: &[Change]) -> Result<Vec<MemberId>, BusError> {
        self.bus.change_presence(incarnation, topic, changes).await
    }

    async fn presence(&self, topic: &Topic, list: bool) -> Result<PresenceState, BusError> {
        self.bus.presence(topic, list).await
    }
}

#[async_trait::async_trait]
impl DeadLetters for FaultyBus {
    async fn bury(&self, letter: &DeadLetter) -> Result<usize, BusError> {
        self.bus.bury(letter).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.bus.dead_letters(limit).await
    }

    async fn claim_dead_letter(&self, id: &str) -> Result<Claim, BusError> {
        self.bus.claim_dead_letter(id).await
    }

    async fn release_dead_letter(&self, id: &str) -> Result<(), BusError> {
        self.bus.release_dead_letter(id).await
    }

    async fn remove_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        self.bus.remove_dead_letter(id).await
    }
}
