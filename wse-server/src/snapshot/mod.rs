//! States of topics ([P-56]): who has them (the application, or of who is in a topic the bus), one call for all who may share it, and each state's frames, made once.
mod call;
mod calls;
mod members;
mod sources;
mod state;

pub use call::SnapshotCall;
pub use sources::Sharing;

pub(crate) use calls::{Call, Failure};
pub(crate) use state::{State, Wanted};

use crate::{SnapshotConfig, TopicScope, connection::Connection, counters::Counters};
use calls::{Calls, Key, Whose};
use sources::Sources;
use std::sync::{Arc, atomic::Ordering::Relaxed};
use wse_protocol::{Position, Topic};
use wse_pubsub::Bus;

/// The snapshots of one engine, shared by its shards.
#[derive(Debug)]
pub(crate) struct Snapshots {
    sources: Sources,
    calls: Calls,
    /// Who is in a topic: no call of the application's is in their way.
    members: Calls,
    counters: Arc<Counters>,
}

impl Snapshots {
    pub(crate) fn new(config: SnapshotConfig, counters: Arc<Counters>) -> Arc<Self> {
        let calls = || Calls::new(config, counters.clone());
        Arc::new(Self { sources: Sources::default(), calls: calls(), members: calls(), counters: counters.clone() })
    }

    /// From now on the hosts have states of these topics.
    pub(crate) fn register(&self, scope: TopicScope, sharing: Sharing) {
        self.sources.add(scope, sharing);
    }

    /// Whether a topic has a snapshot.
    pub(crate) fn has(&self, topic: &Topic) -> bool {
        topic.watches().is_some() || self.sources.of(topic).is_some()
    }

    /// A call under way that this connection may share, or a new one that begins at `now_at`; none where the topic has no snapshot.
    /// With `least` its state is at least as new as that.
    pub(crate) fn join(
        &self,
        bus: &Arc<dyn Bus>,
        connection: &Connection,
        topic: &Topic,
        now_at: &Position,
        least: Option<&Position>,
    ) -> Option<Call> {
        if let Some((watched, of)) = topic.watched() {
            let (key, bus) = (Key { topic: topic.clone(), whose: Whose::Everyone }, bus.clone());
            return Some(self.members.join(key, now_at, least, move |answer| members::ask(bus, watched, of, answer)));
        }
        let sharing = self.sources.of(topic)?;
        let user = connection.session().user().map(Arc::from);
        let whose = match (sharing, &user) {
            (Sharing::Everyone, _) => Whose::Everyone,
            (Sharing::User, Some(user)) => Whose::User(Arc::clone(user)),
            // Nobody knows whether two anonymous clients may see the same.
            (Sharing::User, None) => Whose::Connection(connection.id),
        };
        let key = Key { topic: topic.clone(), whose };
        let (host, id, topic) = (connection.host.clone(), connection.id, topic.clone());
        let counters = self.counters.clone();
        Some(self.calls.join(key, now_at, least, move |answer| {
            counters.snapshots.fetch_add(1, Relaxed);
            host.snapshot(SnapshotCall::new(id, user, topic, answer));
        }))
    }
}
