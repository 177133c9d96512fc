//! Who is in which topic by this process's connections ([P-60] to [P-62]): shards tell it, and one task tells the bus.
mod flush;

pub(crate) use flush::Evict;

use crate::{EngineConfig, connection::Connection, counters::Counters, host::ConnectionId, policy::Policies, shard::Shard};
use std::{
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};
use wse_core::{
    presence::{Hold, Registry, RegistryConfig},
    session::PresenceChange,
};
use wse_protocol::{ErrorCode, Topic, UnixMillis, WireError, messages::PresenceAction};

/// How long the end of a process waits for what its members have last said to be stored.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// Who waits for a change to be stored.
type Waiting = oneshot::Sender<Result<(), WireError>>;

/// The members that one engine has connections of, shared by its shards.
#[derive(Debug)]
pub(crate) struct Presences {
    registry: Mutex<Registry<Waiting>>,
    /// There may be something to store, or another time to wake at.
    changed: Notify,
    policies: Policies,
    counters: Arc<Counters>,
}

impl Presences {
    pub(crate) fn new(config: &EngineConfig, counters: Arc<Counters>) -> Arc<Self> {
        let (topics, presence) = (config.session.presence_topics, config.presence);
        let registry = RegistryConfig { topics, grace: presence.grace, interval: presence.interval };
        let (registry, policies) = (Mutex::new(Registry::new(registry)), config.policies.clone());
        Arc::new(Self { registry, changed: Notify::new(), policies, counters })
    }

    /// Whether any topic may have members.
    pub(crate) fn is_on(&self) -> bool {
        self.policies.have_presence()
    }

    /// A connection has ended: its client has left what it was in, or may come back.
    pub(crate) fn closed(&self, connection: ConnectionId, for_good: bool) {
        if self.is_on() {
            self.act(|registry| registry.closed(Instant::now(), connection.0, for_good));
        }
    }

    /// The process ends in good order: what has left is told to have left. Others stay as long as their process is taken to live, so
    /// that clients that were sent elsewhere are not seen to leave.
    pub(crate) async fn settle(&self) {
        self.act(Registry::hurry);
        let settled = async {
            while !self.registry().is_settled() {
                sleep(LOOK).await;
            }
        };
        if self.is_on() && timeout(SETTLES_WITHIN, settled).await.is_err() {
            tracing::warn!("not all that members of topics have last said could be stored");
        }
    }

    /// Refused here, or waits in the registry.
    fn enter(&self, connection: &Connection, change: &PresenceChange, answer: Waiting) -> Result<(), WireError> {
        let user = connection.session().user().map(Arc::from);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let hold = Hold { user, data: change.data.clone(), at: UnixMillis(since.as_millis() as u64) };
        self.act(|registry| registry.enter(connection.id.0, &change.topic, &change.member, hold, answer))?;
        self.counters.presence_changes.fetch_add(1, Relaxed);
        Ok(())
    }

    fn leave(&self, connection: ConnectionId, topic: &Topic, answer: Waiting) {
        if let Some(answer) = self.act(|registry| registry.leave(connection.0, topic, answer)) {
            // The receiver is held by our caller.
            let _ = answer.send(Ok(()));
        }
    }

    /// Changes the registry, and has the task look at it.
    fn act<T>(&self, act: impl FnOnce(&mut Registry<Waiting>) -> T) -> T {
        let mut registry = self.registry();
        let done = act(&mut registry);
        self.counters.presence_members.store(registry.members(), Relaxed);
        drop(registry);
        self.changed.notify_one();
        done
    }

    fn registry(&self) -> MutexGuard<'_, Registry<Waiting>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out what a client asks for, and answers it once that is stored.
pub(crate) fn change(shard: &Rc<Shard>, connection: &Rc<Connection>, change: PresenceChange) {
    let (answer, stored) = oneshot::channel();
    let begun = match change.action {
        _ if !shard.presences.policies.of(&change.topic).presence => Err(off(&change.topic)),
        PresenceAction::Leave => {
            shard.presences.leave(connection.id, &change.topic, answer);
            Ok(())
        }
        PresenceAction::Enter | PresenceAction::Update => shard.presences.enter(connection, &change, answer),
    };
    if let Err(error) = begun {
        connection.session().presence_changed(Instant::now(), &change, Err(error));
        return connection.wake();
    }
    let connection = connection.clone();
    tokio::task::spawn_local(async move {
        // Without an answer the engine ends.
        if let Ok(outcome) = stored.await {
            connection.session().presence_changed(Instant::now(), &change, outcome);
            connection.wake();
        }
    });
}

/// Nobody is in a topic whose operator did not ask for it.
pub(crate) fn off(topic: &Topic) -> WireError {
    let text = format!("topic {:?} has no presence; its policy on the server has to say presence", topic.as_str());
    WireError::new(ErrorCode::PresenceOff, text)
}

fn full(topic: &Topic) -> WireError {
    let text = format!("topic {:?} has as many members as it may have; watch it, or raise presence_members", topic.as_str());
    WireError::new(ErrorCode::PresenceFull, text)
}

/// Tells a client that its place in a topic is gone. If it has asked for it again since, that has an answer of its own.
pub(crate) fn evict(shard: &Shard, id: ConnectionId, topic: &Topic) {
    if shard.presences.registry().has_entered(id.0, topic) {
        return;
    }
    shard.counters.presence_evictions.fetch_add(1, Relaxed);
    let text =
        format!("this client's place in topic {:?} went to others while its server was not heard of; enter again later", topic.as_str());
    shard.with(id, |session| session.fail_about(topic.as_str(), &WireError::new(ErrorCode::PresenceFull, text)));
}
