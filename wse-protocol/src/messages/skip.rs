//! `skip` ([P-43]): messages of a topic that will not come, on purpose.
use super::beacon::topic_and_epoch;
use crate::{Epoch, Format, Seq, Value, WireError, encode, envelope::Envelope};
use serde::{Deserialize, Serialize};

/// Why they will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// A newer message of the same key took their place.
    Latest,
    /// The connection was slow and they were the least urgent.
    DropLow,
    /// They had expired.
    Ttl,
    /// A reason that this version does not know ([P-50]). Never sent.
    #[serde(other)]
    Other,
}

/// A hole in what a client gets, told before the next frame of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The topic.
    pub topic: Box<str>,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The message before `from` that passed the subscription's filter; absent means `from` less one.
    pub previous: Option<Seq>,
    /// The first that will not come.
    pub from: Seq,
    /// The last; not below `from`.
    pub to: Seq,
    /// Why.
    pub reason: SkipReason,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    from: Seq,
    to: Seq,
    reason: SkipReason,
}

impl Skip {
    /// `t` on the wire.
    pub const KIND: &'static str = "skip";

    /// Appends the frame's body.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) {
        let mut writer = encode::protocol_start(out, format, Self::KIND, None);
        writer.text("tp", &self.topic);
        writer.text("e", self.epoch.as_str());
        if let Some(previous) = self.previous {
            writer.integer("ps", previous.number());
        }
        writer.payload(&Payload { from: self.from, to: self.to, reason: self.reason });
    }

    pub(super) fn decode(envelope: &mut Envelope, payload: Value) -> Result<Self, WireError> {
        let (topic, epoch) = topic_and_epoch(envelope)?;
        let Payload { from, to, reason } = super::fields(Self::KIND, payload)?;
        Ok(Self { topic, epoch, previous: envelope.previous, from, to, reason })
    }
}
