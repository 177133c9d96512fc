//! Word of where topics stand, for connections that no message tells ([P-38]).
use super::{
    Hub,
    record::{Class, Record, State, Subscriber},
};
use crate::connection::Connection;
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::Arc,
    time::{Duration, Instant},
};
use wse_core::{Prepared, SlowPolicy, Variant};
use wse_protocol::{Position, Seq, Topic, defaults, messages::Beacon};

const QUIET: Duration = Duration::from_millis(defaults::BEACON_MS);

/// Topics of which something was kept back and not told of, by when that began. One entry for each is enough: what begins later in
/// another of its classes is found then.
#[derive(Debug, Default)]
pub(super) struct Quiet(BinaryHeap<Reverse<(Instant, Topic)>>);

impl Quiet {
    /// Something was kept back from a class of the topic; the topic is entered unless it is.
    pub(super) fn enter(&mut self, since: Instant, topic: &Topic, record: &mut Record) {
        if !std::mem::replace(&mut record.is_quiet, true) {
            self.0.push(Reverse((since, topic.clone())));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((since, _))| *since + QUIET)
    }

    fn pop(&mut self, now: Instant) -> Option<Topic> {
        let is_due = self.next().is_some_and(|due| due <= now);
        is_due.then(|| self.0.pop()).flatten().map(|Reverse((_, topic))| topic)
    }
}

impl Hub {
    /// When `tell_quiet` is due; `None`: no filter kept something back that was not told of.
    pub(crate) fn next_quiet(&self) -> Option<Instant> {
        self.quiet.borrow().next()
    }

    /// Tells the classes whose filters kept something back for as long as it may stay untold.
    pub(crate) fn tell_quiet(&self, now: Instant) {
        let (mut records, mut quiet) = (self.topics.borrow_mut(), self.quiet.borrow_mut());
        while let Some(topic) = quiet.pop(now) {
            let Some(record) = records.get_mut(&topic) else { continue };
            record.is_quiet = false;
            let Some(position) = record.position.clone() else { continue };
            for class in &mut record.classes {
                if class.quiet_since.is_some_and(|since| since + QUIET <= now) {
                    // Whom it could not be told now it is told when as much time has passed again.
                    class.quiet_since = if tell(&topic, &position, class) { None } else { Some(now) };
                }
            }
            if let Some(since) = record.classes.iter().filter_map(|class| class.quiet_since).min() {
                quiet.enter(since, &topic, record);
            }
        }
    }

    /// Tells one connection, after what waits of a topic for it, that from `passed` to `at` nothing passed its filter: what follows is
    /// numbered from `at`.
    pub(super) fn pass_over(&self, connection: &Connection, topic: &Topic, policy: SlowPolicy, at: &Position, passed: Seq) {
        if passed < at.seq {
            let beacon = self.wire.borrow_mut().beacon(connection.variant().format, topic, at, passed);
            connection.session().replay(topic, policy, Arc::new(beacon).whole());
        }
    }

    /// Tells one connection of every topic of its that moved since it was told last.
    pub(crate) fn tell_positions(&self, connection: &Connection) {
        let mut records = self.topics.borrow_mut();
        for topic in connection.topics.borrow().iter() {
            let Some(record) = records.get_mut(topic) else { continue };
            let Some(position) = record.position.clone() else { continue };
            let Some(class) = record.classes.iter_mut().find(|class| class.members.contains_key(&connection.id)) else { continue };
            let previous = if class.filter.is_some() { class.previous } else { position.seq };
            let Some(subscriber) = class.members.get_mut(&connection.id) else { continue };
            if subscriber.told != position.seq && matches!(subscriber.state, State::Live(_)) {
                let told = position.seq;
                let beacon = Beacon { topic: topic.as_str().into(), position, previous };
                let frame = frame(&beacon, connection.variant());
                if connection.session().beacon(topic, frame) {
                    subscriber.told = told;
                }
            }
        }
    }
}

/// One frame for each format, shared by the class; false if somebody could not be told now.
fn tell(topic: &Topic, position: &Position, class: &mut Class) -> bool {
    let beacon = Beacon { topic: topic.as_str().into(), position: position.clone(), previous: class.previous };
    let mut frames: [Option<Prepared>; Variant::COUNT] = Default::default();
    let mut all = true;
    let is_due = |subscriber: &&mut Subscriber| subscriber.told != position.seq && matches!(subscriber.state, State::Live(_));
    for subscriber in class.members.values_mut().filter(is_due) {
        let variant = subscriber.connection.variant();
        let shared = frames[variant.index()].get_or_insert_with(|| frame(&beacon, variant)).clone();
        if subscriber.connection.session().beacon(topic, shared) {
            subscriber.told = position.seq;
            subscriber.connection.wake();
        } else {
            all = false;
        }
    }
    all
}

fn frame(beacon: &Beacon, variant: Variant) -> Prepared {
    let mut body = Vec::with_capacity(128);
    beacon.encode(variant.format, &mut body);
    Prepared::new(variant.format, &body)
}
