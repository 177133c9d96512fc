//! Which types of messages may be handled twice.
use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

/// Types whose handlers may run again for a message of which it is not known whether they have run; others are told
/// `OUTCOME_UNKNOWN`. Clones share it, and it may grow while the engine runs. Bounded by what the application names.
#[derive(Debug, Clone, Default)]
pub struct IdempotentTypes(Arc<RwLock<HashSet<Box<str>>>>);

impl IdempotentTypes {
    /// Adds a type.
    pub fn insert(&self, event_type: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(event_type.into());
    }

    /// Whether a type is among them.
    #[must_use]
    pub fn contains(&self, event_type: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(event_type)
    }
}
