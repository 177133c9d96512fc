//! Which topic goes first: of those that wait, the one of the highest rank, a rank being the highest priority that waits in it.
use super::{
    client::Client,
    hub::{Hub, passes, policy},
    ops::TopicName,
};
use std::collections::BTreeMap;
use wse_core::SlowPolicy;
use wse_protocol::{Position, Priority};

/// What waits before a piece is taken: by topic the client's position, and the bounds of its rank.
pub(super) struct Ranks(BTreeMap<TopicName, Rank>);

struct Rank {
    position: Position,
    /// The highest that surely waits: policies and time leave none of it out.
    least: Option<Priority>,
    /// The highest that may wait.
    most: Option<Priority>,
}

impl Ranks {
    pub(super) fn new(hub: &Hub, client: &Client) -> Self {
        Self(client.streams.iter().filter_map(|(name, stream)| Some((*name, rank(hub, *name, &stream.position)?))).collect())
    }

    /// The client has read one piece more.
    pub(super) fn check(&self, client: &Client) {
        if client.ending {
            return;
        }
        let moved = |name: &TopicName, rank: &Rank| client.streams.get(name).is_some_and(|stream| stream.position != rank.position);
        for (name, rank) in self.0.iter().filter(|(name, rank)| moved(name, rank)) {
            for (other, before) in self.0.iter().filter(|(other, _)| *other != name) {
                assert!(before.least <= rank.most, "{name:?} ({:?}) came before {other:?} ({:?})", rank.most, before.least);
            }
        }
    }
}

fn rank(hub: &Hub, name: TopicName, position: &Position) -> Option<Rank> {
    let (member, log) = (hub.members.get(&name)?, &hub.logs[&name]);
    let filter = member.filter.as_deref();
    let waits = || (position.seq.number() + 1..=member.handed).filter_map(|number| log.entry(number)).filter(|entry| passes(filter, entry));
    let keeps = matches!(policy(name), SlowPolicy::Recover | SlowPolicy::Disconnect) && position.epoch == log.epoch();
    let least = waits().filter(|entry| keeps && entry.expires.is_none()).map(|entry| entry.priority).max();
    // A beacon among filtered messages is of no priority of its own.
    let most = waits().map(|entry| entry.priority).chain(filter.map(|_| Priority::default())).max();
    Some(Rank { position: position.clone(), least, most })
}
