//! What is done under the bus's lock: store, number, hand over.
use super::{State, births::Birth, entries, store::TopicId};
use crate::{Births, BusError, BusEvent, Consumer, Following, History, HistoryGap, NewEntry, Receipt, handover::HandOver};
use std::{sync::Arc, time::Duration};
use wse_core::log::PageLimit;
use wse_protocol::{Pattern, Position, Publication, Topic};

/// One holder's use of the lock.
pub(super) struct Turn<'a> {
    pub(super) state: &'a mut State,
    queues: &'a [HandOver],
    pub(super) now: Duration,
    /// A bit per queue that was empty before.
    begun: u64,
}

/// The queue of this index has no room; nothing was done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Full(pub(super) usize);

/// Whether a message is new.
enum Admission {
    /// No: it was stored before, with this receipt.
    Again(Receipt),
    /// Yes, and every queue that it must go to has room.
    New(TopicId),
}

impl<'a> Turn<'a> {
    pub(super) fn new(state: &'a mut State, queues: &'a [HandOver], now: Duration) -> Self {
        Self { state, queues, now, begun: 0 }
    }

    /// The queues whose consumers must be woken.
    pub(super) fn begun(&self) -> impl Iterator<Item = usize> + use<> {
        let begun = self.begun;
        (0..u64::BITS as usize).take_while(move |at| begun >> at != 0).filter(move |at| begun >> at & 1 != 0)
    }

    /// Looks for the first publish with this key, and for room.
    fn admit(&mut self, topic: &Topic, retry_key: Option<&str>) -> Result<Admission, Full> {
        let known = retry_key.and_then(|key| self.state.retries.find(self.now, topic, key));
        if let Some(receipt) = known {
            return Ok(Admission::Again(receipt));
        }
        let store = self.state.stores.of(topic);
        if let Some(id) = store.find(topic) {
            self.room(store.interests(id).iter().map(|interest| interest.consumer))?;
            return Ok(Admission::New(id));
        }
        self.begin(topic).map(Admission::New)
    }

    /// Takes the message and stores it, unless a queue that it must go to is full.
    pub(super) fn publish(&mut self, topic: &Topic, message: &mut Option<Publication>, retry_key: Option<&str>) -> Result<Receipt, Full> {
        match self.admit(topic, retry_key)? {
            Admission::Again(receipt) => Ok(receipt),
            Admission::New(id) => {
                let publication = message.take().expect("it is stored once");
                let receipt = Receipt { id: publication.id.clone(), position: self.store(id, topic, &[Arc::new(publication)]) };
                self.remember(topic, retry_key, &receipt);
                Ok(receipt)
            }
        }
    }

    /// Stores messages that were admitted, at least one, and hands them over; where the first stands.
    pub(super) fn store(&mut self, id: TopicId, topic: &Topic, publications: &[Arc<Publication>]) -> Position {
        let store = self.state.stores.of_mut(topic);
        let first = store.next_position(id);
        for interest in store.interests_mut(id) {
            let at = usize::from(interest.consumer.0);
            let begun = self.queues[at].push_run(&mut interest.place, topic, &first, publications);
            self.begun |= u64::from(begun) << at;
        }
        store.push(self.now, id, publications.iter().cloned());
        self.state.stores.keep_budget();
        first
    }

    fn remember(&mut self, topic: &Topic, retry_key: Option<&str>, receipt: &Receipt) {
        if let Some(key) = retry_key {
            self.state.retries.insert(self.now, topic, key, receipt.clone());
        }
    }

    /// Stores from the front of a batch until a queue is full.
    pub(super) fn store_many(&mut self, batch: &mut Vec<NewEntry>, outcomes: &mut Vec<Result<Receipt, BusError>>) -> Result<(), Full> {
        let mut rest = std::mem::take(batch).into_iter();
        let mut room = Ok(());
        while let Some(next) = rest.as_slice().first() {
            match self.admit(&next.topic, next.retry_key.as_deref()) {
                Ok(Admission::Again(receipt)) => {
                    rest.next();
                    outcomes.push(Ok(receipt));
                }
                Ok(Admission::New(id)) => {
                    let count = self.run_of(id, rest.as_slice());
                    self.store_run(id, rest.by_ref().take(count), outcomes);
                }
                Err(full) => {
                    room = Err(full);
                    break;
                }
            }
        }
        *batch = rest.collect();
        room
    }

    /// How many from the front of a batch, whose first was admitted, are one run: of one topic, none but the first with a key that may
    /// have been seen, and as many as every queue has room for.
    fn run_of(&self, id: TopicId, batch: &[NewEntry]) -> usize {
        let Some((first, more)) = batch.split_first() else { return 0 };
        let interests = self.state.stores.of(&first.topic).interests(id);
        let mut room = interests.iter().map(|interest| self.queues[usize::from(interest.consumer.0)].room()).min().unwrap_or(usize::MAX);
        let mut before = first;
        let next = more.iter().take_while(|next| {
            room = room.saturating_sub(before.publication.cost());
            before = next;
            room > 0 && next.retry_key.is_none() && next.topic == first.topic
        });
        1 + next.count()
    }

    fn store_run(&mut self, id: TopicId, run: impl Iterator<Item = NewEntry>, outcomes: &mut Vec<Result<Receipt, BusError>>) {
        let (mut of, mut publications) = (None, Vec::with_capacity(run.size_hint().0));
        for NewEntry { topic, publication, retry_key } in run {
            of.get_or_insert((topic, retry_key));
            publications.push(Arc::new(publication));
        }
        let Some((topic, retry_key)) = of else { return };
        let mut position = self.store(id, &topic, &publications);
        for (at, publication) in publications.iter().enumerate() {
            let receipt = Receipt { id: publication.id.clone(), position: position.clone() };
            position.seq = position.seq.next();
            if at == 0 {
                self.remember(&topic, retry_key.as_deref(), &receipt);
            }
            outcomes.push(Ok(receipt));
        }
    }

    pub(super) fn subscribe(&mut self, topic: &Topic, consumer: Consumer) -> Result<Position, Full> {
        let id = self.find_or_begin(topic)?;
        let store = self.state.stores.of_mut(topic);
        store.add_interest(self.now, id, consumer);
        store.log(self.now, id);
        Ok(store.position(id))
    }

    pub(super) fn history(&mut self, topic: &Topic, since: &Position, limit: PageLimit) -> Result<History, Full> {
        let store = self.state.stores.of(topic);
        if let (None, Some(top)) = (store.find(topic), store.unborn()) {
            let nothing = History::Entries { entries: Vec::new(), top: top.seq };
            return Ok(if *since == top { nothing } else { History::Gap { top, reason: HistoryGap::Epoch } });
        }
        let id = self.find_or_begin(topic)?;
        let store = self.state.stores.of_mut(topic);
        let told = store.position(id);
        let log = store.log(self.now, id);
        let top = log.position();
        Ok(match log.since(self.now, &since.clone().within(&top.epoch), limit) {
            Ok(run) => History::Entries { entries: entries(topic, &top, run), top: top.seq },
            Err(gap) => History::Gap { top: told, reason: HistoryGap::from(gap) },
        })
    }

    pub(super) fn may_have_forgotten(&self, topic: &Topic, away: Duration) -> bool {
        self.state.stores.of(topic).may_have_forgotten(self.now, away)
    }

    pub(super) fn follow(&mut self, pattern: &Pattern, consumer: Consumer) -> Following {
        let topics = self.state.stores.topics();
        let (namespace, position) = topics.namespaces_mut().follow(self.now, pattern, consumer);
        Following { position, topics: topics.members(namespace) }
    }

    pub(super) fn births(&mut self, pattern: &Pattern, since: &Position, limit: usize) -> Births {
        self.state.stores.topics().namespaces_mut().read(self.now, pattern, since, limit)
    }

    /// Where a topic stands, which is begun if it is not known, and is used now.
    pub(super) fn touch(&mut self, topic: &Topic) -> Result<Position, Full> {
        let id = self.find_or_begin(topic)?;
        let store = self.state.stores.of_mut(topic);
        store.log(self.now, id);
        Ok(store.position(id))
    }

    fn find_or_begin(&mut self, topic: &Topic) -> Result<TopicId, Full> {
        self.state.stores.of(topic).find(topic).map_or_else(|| self.begin(topic), Ok)
    }

    /// Begins a topic and tells its pattern's followers.
    fn begin(&mut self, topic: &Topic) -> Result<TopicId, Full> {
        let followers: Vec<_> = self.state.stores.of(topic).namespaces().followers(topic).collect();
        self.room(followers.iter().copied())?;
        let (id, birth) = self.state.stores.of_mut(topic).begin(self.now, topic);
        if let Some(birth) = birth {
            followers.into_iter().for_each(|consumer| self.tell(consumer, topic, &birth));
        }
        Ok(id)
    }

    fn tell(&mut self, consumer: Consumer, topic: &Topic, birth: &Birth) {
        let Birth { pattern, position, start } = birth.clone();
        let at = usize::from(consumer.0);
        let first = self.queues[at].push(BusEvent::Born { pattern, position, topic: topic.clone(), start });
        self.begun |= u64::from(first) << at;
    }

    /// Whether the queues of all these have room.
    pub(super) fn room(&self, consumers: impl Iterator<Item = Consumer>) -> Result<(), Full> {
        let full = consumers.map(|consumer| usize::from(consumer.0)).find(|at| !self.queues[*at].has_room());
        full.map_or(Ok(()), |at| Err(Full(at)))
    }
}
