//! `beacon` ([P-38]): where a log stands, for those whom no message told.
use crate::{Epoch, ErrorCode, Format, Position, Seq, WireError, encode, envelope::Envelope};

/// The top of a topic's log, and the last message of it for this subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    /// The topic.
    pub topic: Box<str>,
    /// The top of its log.
    pub position: Position,
    /// The last message that passed the subscription's filter; zero where none has.
    pub previous: Seq,
}

impl Beacon {
    /// `t` on the wire.
    pub const KIND: &'static str = "beacon";

    /// Appends the frame's body.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) {
        let mut writer = encode::protocol_start(out, format, Self::KIND, None);
        writer.text("tp", &self.topic);
        writer.position(&self.position, Some(self.previous));
        writer.finish();
    }

    pub(super) fn decode(envelope: &mut Envelope) -> Result<Self, WireError> {
        let (topic, epoch) = topic_and_epoch(envelope)?;
        let missing = || WireError::new(ErrorCode::InvalidMessage, "beacon: seq and ps are required");
        let (seq, previous) = envelope.seq.zip(envelope.previous).ok_or_else(missing)?;
        Ok(Self { topic, position: Position { epoch, seq }, previous })
    }
}

/// `tp` and `e` of a message that is about a log.
pub(super) fn topic_and_epoch(envelope: &mut Envelope) -> Result<(Box<str>, Epoch), WireError> {
    let missing = |kind: &str| WireError::new(ErrorCode::InvalidMessage, format!("{kind}: tp and e are required"));
    envelope.topic.take().zip(envelope.epoch.take()).ok_or_else(|| missing(&envelope.event_type))
}
