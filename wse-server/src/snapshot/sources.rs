//! Which topics have a snapshot, and who may share one.
use crate::TopicScope;
use std::sync::{PoisonError, RwLock};
use wse_protocol::Topic;

/// Who gets the same state of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// The connections of one user; one that is anonymous shares with nobody.
    User,
    /// Everybody who may subscribe.
    Everyone,
}

/// Scopes in the order of their registration; the first that holds counts.
#[derive(Debug, Default)]
pub(super) struct Sources(RwLock<Vec<(TopicScope, Sharing)>>);

impl Sources {
    pub(super) fn add(&self, scope: TopicScope, sharing: Sharing) {
        let mut sources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !sources.iter().any(|(known, _)| *known == scope) {
            sources.push((scope, sharing));
        }
    }

    pub(super) fn of(&self, topic: &Topic) -> Option<Sharing> {
        let sources = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sources.iter().find(|(scope, _)| scope.holds(topic)).map(|(_, sharing)| *sharing)
    }
}
