//! `subscription_update` ([P-24]): what became of each topic asked for.
use crate::{Format, Position, WireError, encode};
use serde::{Deserialize, Serialize};

/// What became of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Subscribed; nothing was missed.
    Live,
    /// Subscribed; what was missed follows.
    Recovered,
    /// No longer subscribed.
    Unsubscribed,
    /// Not subscribed: see code and message.
    Refused,
    /// Subscribed; what was missed is unknown. Also what a status that this version does not know is read as ([P-50]).
    #[serde(other)]
    Resync,
}

/// One entry of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicStatus {
    /// The topic or pattern as the client named it.
    #[serde(rename = "tp")]
    pub topic: String,
    /// What became of it.
    pub status: Status,
    /// The position after which messages follow.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// How many missed messages follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<u64>,
    /// Why what was missed is unknown: `epoch`, `history`, `fork`; of a pattern also `births`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A snapshot of the topic follows, before any of its messages ([P-56]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// The error code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The sentence of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of a pattern: the topics that it stands for, or that were born ([P-39]). Absent where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicStatus>,
}

impl TopicStatus {
    /// An entry with nothing but its status.
    #[must_use]
    pub fn new(topic: impl Into<String>, status: Status) -> Self {
        Self {
            topic: topic.into(),
            status,
            position: None,
            recovered: None,
            reason: None,
            snapshot: false,
            code: None,
            message: None,
            topics: Vec::new(),
        }
    }

    /// Subscribed from `position` on, nothing missed.
    #[must_use]
    pub fn live(topic: impl Into<String>, position: Position) -> Self {
        Self { position: Some(position), ..Self::new(topic, Status::Live) }
    }

    /// Subscribed from `position` on, the client's own; `count` missed messages come first.
    #[must_use]
    pub fn recovered(topic: impl Into<String>, position: Position, count: u64) -> Self {
        Self { position: Some(position), recovered: Some(count), ..Self::new(topic, Status::Recovered) }
    }

    /// Subscribed from `position` on; what was missed is unknown.
    #[must_use]
    pub fn resync(topic: impl Into<String>, position: Position, reason: &str) -> Self {
        Self { position: Some(position), reason: Some(reason.into()), ..Self::new(topic, Status::Resync) }
    }

    /// The same, with a snapshot to follow.
    #[must_use]
    pub fn with_snapshot(self) -> Self {
        Self { snapshot: true, ..self }
    }

    /// The entry of a pattern, with those of its topics.
    #[must_use]
    pub fn with_topics(self, topics: Vec<Self>) -> Self {
        Self { topics, ..self }
    }

    /// Not subscribed.
    #[must_use]
    pub fn refused(topic: impl Into<String>, error: &WireError) -> Self {
        Self { code: Some(error.code.as_str().into()), message: Some(error.message.clone()), ..Self::new(topic, Status::Refused) }
    }
}

/// The answer to a subscription, or word of a topic that can no longer be followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionUpdate {
    /// One entry for each topic.
    pub topics: Vec<TopicStatus>,
}

impl SubscriptionUpdate {
    /// `t` on the wire.
    pub const KIND: &'static str = "subscription_update";

    /// Appends the frame's body.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>, cid: Option<&str>) {
        encode::protocol_message(out, format, Self::KIND, cid, self);
    }
}
