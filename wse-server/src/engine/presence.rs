//! Who is in a topic, as an application asks for it.
use super::{Engine, Inner};
use crate::{
    presence::{Evict, off},
    shard::Command,
};
use std::sync::Arc;
use wse_protocol::{Member, Topic, WireError};
use wse_pubsub::BusError;

/// Who is in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// How many they are.
    pub count: u64,
    /// Everybody, in no order.
    pub members: Vec<Member>,
}

/// Why it cannot be said who is in a topic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The configuration's fault: the topic's policy does not say `presence`. Or the caller's: its name is too long for that.
    #[error("{0}")]
    Topic(WireError),
    /// The bus's.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl Engine {
    /// Who is in a topic now, on all processes.
    ///
    /// # Errors
    /// [`PresenceError`].
    pub async fn presence(&self, topic: &Topic) -> Result<Presence, PresenceError> {
        self.judge_presence(topic)?;
        let state = self.0.bus.presence(topic, true).await?;
        Ok(Presence { count: state.count, members: state.members.unwrap_or_default() })
    }

    /// How many are in a topic now, on all processes; costs less than [`Engine::presence`].
    ///
    /// # Errors
    /// [`PresenceError`].
    pub async fn presence_count(&self, topic: &Topic) -> Result<u64, PresenceError> {
        self.judge_presence(topic)?;
        Ok(self.0.bus.presence(topic, false).await?.count)
    }

    /// Begins to tell the bus of members, if any topic may have some.
    pub(super) fn keep_members(&self) {
        // A handle would keep the shards, and with them the task itself, alive.
        let engine = Arc::downgrade(&self.0);
        let evict: Evict = Box::new(move |id, topic| {
            if let Some(inner) = engine.upgrade() {
                Self(inner).command(id, Command::Evict { id, topic: topic.clone() });
            }
        });
        let Inner { bus, presences, .. } = &*self.0;
        if presences.is_on() {
            self.runtime().spawn(presences.clone().run(bus.clone(), evict));
        }
    }

    fn judge_presence(&self, topic: &Topic) -> Result<(), PresenceError> {
        topic.members_log().map_err(PresenceError::Topic)?;
        let is_on = self.0.config.policies.of(topic).presence;
        if is_on { Ok(()) } else { Err(PresenceError::Topic(off(topic))) }
    }
}
