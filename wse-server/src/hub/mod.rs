//! Which connections of a shard follow which topics, and what each gets: every entry is encoded once for each variant and shared.
mod beacons;
mod catch_up;
mod direct;
mod fan_out;
mod filters;
mod join;
mod patterns;
mod pin;
mod plan;
mod record;
mod snapshots;

pub(crate) use filters::Filters;

use crate::{
    EngineConfig, Tally,
    connection::Connection,
    counters::Counters,
    host::ConnectionId,
    policy::Policies,
    shard::{Common, Shard},
    snapshot::Snapshots,
};
use beacons::Quiet;
use patterns::Follow;
use record::Record;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};
use tokio::sync::Semaphore;
use wse_core::{Chunk, CompressionCounts, Prepared, Variant, Wire, filter::Scratch, session::Outcome};
use wse_protocol::{ErrorCode, Followed, Pattern, Position, Tagged, Topic, WireError};
use wse_pubsub::{Bus, BusError, BusEvent, Consumer, HistoryGap};

/// Reads of logs under way at the same time for one shard.
const READS: usize = 16;

/// The sockets of a shard, as the hub sees them.
pub(crate) trait Outlet {
    /// Writes frames of a topic at once, past the connection's session; false where they have to wait in it. Looks at nothing of the hub.
    fn write(&mut self, connection: &Connection, chunk: &Chunk, now: Instant) -> bool;

    /// Has connections write what their sessions were brought.
    fn flush(&mut self, now: Instant);
}

/// The hub of one shard; lives on the shard's thread.
#[derive(Debug)]
pub(crate) struct Hub {
    bus: Arc<dyn Bus>,
    consumer: Consumer,
    counters: Arc<Counters>,
    policies: Policies,
    topics: RefCell<HashMap<Topic, Record>>,
    patterns: RefCell<HashMap<Pattern, Follow>>,
    wire: RefCell<Wire>,
    scratch: RefCell<Scratch>,
    /// Topics with something that did not pass a filter and was not told of.
    quiet: RefCell<Quiet>,
    reads: Semaphore,
    filters: Arc<Filters>,
    snapshots: Arc<Snapshots>,
    /// The next ticket of those who wait for a topic's state.
    tickets: Cell<u64>,
    pin_bytes: usize,
    pattern_topics: usize,
    /// Bytes that one topic may buffer for a connection while its log is read.
    buffer_bytes: usize,
    compress_from: usize,
}

impl Hub {
    pub(crate) fn new(config: &EngineConfig, bus: Arc<dyn Bus>, consumer: Consumer, common: &Common) -> Self {
        Self {
            bus,
            consumer,
            counters: common.counters.clone(),
            policies: config.policies.clone(),
            topics: RefCell::default(),
            patterns: RefCell::default(),
            wire: RefCell::new(Wire::new(config.wire)),
            scratch: RefCell::default(),
            quiet: RefCell::default(),
            reads: Semaphore::new(READS),
            filters: common.filters.clone(),
            snapshots: common.snapshots.clone(),
            tickets: Cell::new(0),
            pin_bytes: config.snapshots.pin_bytes,
            pattern_topics: config.pattern_topics,
            buffer_bytes: config.session.outbound_bytes / 2,
            compress_from: config.wire.compression.from_bytes,
        }
    }

    /// Passes on what the bus handed over.
    pub(crate) fn handle(&self, shard: &Rc<Shard>, event: BusEvent, outlet: &mut dyn Outlet) {
        match event {
            BusEvent::Run(run) => self.deliver(&run, outlet),
            BusEvent::Reset { topic, position, reason } => self.reset(shard, &topic, &position, reason),
            BusEvent::Born { pattern, position, topic, start } => self.born(shard, &pattern, position, topic, start),
            BusEvent::BirthsReset { pattern, position, reason } => self.births_lost(shard, &pattern, &position, reason),
        }
    }

    /// Ends subscriptions that a connection asked for.
    pub(crate) fn unsubscribe(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, names: &[Followed]) {
        for name in names {
            match name {
                Followed::Topic(topic) => self.unname(shard, connection, topic),
                Followed::Pattern(pattern) => self.unfollow(connection, pattern),
            }
        }
    }

    /// Ends all that a connection has here.
    pub(crate) fn leave(&self, connection: &Connection) {
        self.forget_patterns(connection);
        let topics = std::mem::take(&mut *connection.topics.borrow_mut());
        for topic in topics {
            self.remove(connection.id, &topic);
        }
        connection.behind.borrow_mut().clear();
    }

    /// A frame of a session's own as its peer agreed to have it.
    pub(crate) fn pack(&self, variant: Variant, frame: Prepared) -> Prepared {
        // A snapshot's is compressed already, once for all.
        if variant.compressed && frame.payload().len() >= self.compress_from && !frame.payload().starts_with(Tagged::COMPRESSED) {
            return self.wire.borrow_mut().own(variant, &frame.payload());
        }
        frame
    }

    /// Adds what was made for connections.
    pub(crate) fn tally(&self, tally: &mut Tally, inflated: CompressionCounts) {
        let wire = self.wire.borrow();
        tally.frames(wire.compression(), wire.batching(), inflated);
        tally.unreadable += wire.unreadable();
        let filtered = |record: &Record| record.classes.iter().filter(|class| class.filter.is_some()).count() as u64;
        tally.filter_classes += self.topics.borrow().values().map(filtered).sum::<u64>();
    }

    /// A topic that was asked for by name is not any more; a pattern may still stand for it.
    fn unname(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, topic: &Topic) {
        let kept = {
            let mut records = self.topics.borrow_mut();
            let Some(subscriber) = records.get_mut(topic).and_then(|record| record.subscriber(connection.id)) else { return };
            subscriber.by_name = false;
            subscriber.by_pattern
        };
        if kept {
            self.stay_by_pattern(shard, connection, topic);
        } else {
            self.take_out(connection, topic);
        }
    }

    /// Takes a connection out of a topic, with what waits of it.
    fn take_out(&self, connection: &Connection, topic: &Topic) {
        connection.topics.borrow_mut().remove(topic);
        connection.behind.borrow_mut().retain(|other| other != topic);
        connection.session().leave(topic);
        self.remove(connection.id, topic);
    }

    /// A topic that nobody is left for is given back to the bus.
    fn remove(&self, id: ConnectionId, topic: &Topic) {
        let was = self.topics.borrow_mut().get_mut(topic).and_then(|record| record.remove(id));
        if was.is_some() {
            self.counters.subscriptions.fetch_sub(counted(topic), Relaxed);
            self.release(topic);
        }
    }

    /// Counts a user of a topic and has the bus know of the interest.
    async fn show_interest(&self, topic: &Topic) -> Result<(), BusError> {
        let interest = {
            let mut records = self.topics.borrow_mut();
            if !records.contains_key(topic) {
                records.insert(topic.clone(), Record::new(self.policies.of(topic)));
                self.counters.topics.fetch_add(counted(topic), Relaxed);
            }
            let Some(record) = records.get_mut(topic) else { return Ok(()) };
            record.users += 1;
            record.interest.clone()
        };
        interest.get_or_try_init(|| self.ask_bus(topic)).await.copied()
    }

    async fn ask_bus(&self, topic: &Topic) -> Result<(), BusError> {
        let position = self.bus.subscribe(topic, self.consumer).await?;
        if let Some(record) = self.topics.borrow_mut().get_mut(topic)
            && !record.has_passed(&position)
        {
            record.position = Some(position);
        }
        Ok(())
    }

    fn release(&self, topic: &Topic) {
        let mut records = self.topics.borrow_mut();
        let Some(record) = records.get_mut(topic) else { return };
        record.users -= 1;
        if record.users == 0 {
            let known = records.remove(topic).is_some_and(|r| r.interest.initialized());
            self.counters.topics.fetch_sub(counted(topic), Relaxed);
            drop(records);
            if known {
                self.bus.unsubscribe(topic, self.consumer);
            }
        }
    }

    /// The topic goes on from another position: every subscriber has lost what was between.
    fn reset(&self, shard: &Rc<Shard>, topic: &Topic, position: &Position, reason: HistoryGap) {
        let mut records = self.topics.borrow_mut();
        let Some(record) = records.get_mut(topic) else { return };
        record.position = Some(position.clone());
        // What it holds is of before.
        record.pin = Weak::new();
        let mut lost = Vec::new();
        for class in &mut record.classes {
            class.previous = position.seq;
            class.quiet_since = None;
            lost.extend(class.members.iter_mut().filter_map(|(id, subscriber)| (!subscriber.breaks(reason)).then_some(*id)));
        }
        for id in lost {
            let waiting = self.go_on(record, id, topic, position, reason);
            if let (Some(waiting), Some(subscriber)) = (waiting, record.subscriber(id)) {
                Self::spawn_snapshot(shard, &subscriber.connection, topic, waiting);
            }
        }
    }
}

/// What a topic counts as one of those that are subscribed to: the server's own do not.
fn counted(topic: &Topic) -> usize {
    usize::from(topic.direct().is_none())
}

fn unavailable(error: &BusError) -> WireError {
    tracing::warn!(%error, "a subscription failed");
    WireError::new(ErrorCode::Unavailable, "the server's message bus did not answer; subscribe again")
}

/// What a connection is told that goes away while it is answered; nobody reads it.
fn gone() -> Outcome {
    Outcome::Refused(WireError::new(ErrorCode::UnexpectedMessage, "the connection is closing"))
}
