//! Word of where topics stand, for connections that no message tells ([P-38]).
use super::{
    Hub,
    record::{Class, State},
};
use crate::connection::Connection;
use std::time::{Duration, Instant};
use wse_core::{Prepared, Variant};
use wse_protocol::{Position, Topic, defaults, messages::Beacon};

const QUIET: Duration = Duration::from_millis(defaults::BEACON_MS);

impl Hub {
    /// Whether some filter kept something back that was not told of.
    pub(crate) fn has_quiet(&self) -> bool {
        !self.quiet.borrow().is_empty()
    }

    /// Tells the classes that have been quiet for a while, although their topics moved.
    pub(crate) fn tell_quiet(&self, now: Instant) {
        let (mut records, mut quiet) = (self.topics.borrow_mut(), self.quiet.borrow_mut());
        quiet.retain(|topic| {
            let Some(record) = records.get_mut(topic) else { return false };
            let Some(position) = record.position.clone() else { return false };
            for class in &mut record.classes {
                if class.quiet_since.is_some_and(|since| now.saturating_duration_since(since) >= QUIET) {
                    class.quiet_since = None;
                    tell(topic, &position, class);
                }
            }
            record.classes.iter().any(|class| class.quiet_since.is_some())
        });
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
                subscriber.told = position.seq;
                let beacon = Beacon { topic: topic.as_str().into(), position, previous };
                let frame = frame(&beacon, connection.variant());
                connection.session().beacon(topic, frame);
            }
        }
    }
}

/// One frame for each format, shared by the class.
fn tell(topic: &Topic, position: &Position, class: &mut Class) {
    let beacon = Beacon { topic: topic.as_str().into(), position: position.clone(), previous: class.previous };
    let mut frames: [Option<Prepared>; Variant::COUNT] = Default::default();
    for subscriber in class.members.values_mut().filter(|subscriber| matches!(subscriber.state, State::Live(_))) {
        let variant = subscriber.connection.variant();
        let shared = frames[variant.index()].get_or_insert_with(|| frame(&beacon, variant)).clone();
        subscriber.told = position.seq;
        subscriber.connection.session().beacon(topic, shared);
        subscriber.connection.wake();
    }
}

fn frame(beacon: &Beacon, variant: Variant) -> Prepared {
    let mut body = Vec::with_capacity(128);
    beacon.encode(variant.format, &mut body);
    Prepared::new(variant.format, &body)
}
