//! What a publisher hands to the bus: the content of a topic message, without its position.
use crate::{Format, Priority, UnixMillis};
use bytes::Bytes;
use std::sync::Arc;

/// A message of a topic before the bus gave it a position; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Message id, 1 to 64 bytes: a UUID v7, or what the publisher chose.
    pub id: Arc<str>,
    /// The event type: `t` on the wire, 1 to 256 bytes.
    pub event_type: Arc<str>,
    /// When it was published.
    pub ts: UnixMillis,
    /// From when on nobody is to get it any more; none where it does not expire. Judged by the clock of whoever delivers.
    pub expires: Option<UnixMillis>,
    /// The key of the thing it is about: `k`, 1 to 256 bytes.
    pub key: Option<Arc<str>>,
    /// Its priority.
    pub priority: Priority,
    /// How the payload is written.
    pub format: Format,
    /// The payload: the bytes of one value in `format`, opaque from here on ([P-35]).
    pub payload: Bytes,
}

impl Publication {
    /// Whether nobody is to get it any more.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Bytes that it holds, about: what bounds of logs and queues count.
    #[must_use]
    pub fn cost(&self) -> usize {
        const FIXED: usize = 96;
        FIXED + self.payload.len() + self.id.len() + self.event_type.len() + self.key.as_ref().map_or(0, |k| k.len())
    }
}
