//! `subscription` ([P-23]): a client subscribes or unsubscribes.
use crate::{ErrorCode, Position, Value, WireError};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What to do with the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Begin.
    Subscribe,
    /// End.
    Unsubscribe,
}

/// One change of a client's subscriptions. Names are as sent: each is judged by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// What to do.
    pub action: Action,
    /// With which topics; at least one, and each once.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The highest position that the client has examined, by topic.
    #[serde(default)]
    pub positions: HashMap<String, Position>,
    /// The filters of topics and patterns, as sent.
    #[serde(default)]
    pub filters: HashMap<String, Value>,
    /// Correlation id for the answer.
    #[serde(skip)]
    pub cid: Option<Box<str>>,
}

impl Subscription {
    /// `t` on the wire.
    pub const KIND: &'static str = "subscription";

    pub(super) fn decode(payload: Value, cid: Option<Box<str>>) -> Result<Self, WireError> {
        let mut read: Self = super::fields(Self::KIND, payload)?;
        if read.topics.is_empty() {
            return Err(WireError::new(ErrorCode::NoTopics, "subscription: name at least one topic in p.topics"));
        }
        super::once(&mut read.topics);
        Ok(Self { cid, ..read })
    }

    /// Names more topics; a name that stands there already counts once.
    pub fn add(&mut self, topics: Vec<String>) {
        self.topics.extend(topics);
        super::once(&mut self.topics);
    }
}
