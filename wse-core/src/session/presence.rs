//! A client's presence in topics ([P-60]): what it asks for is judged here, carried out by the driver, and answered once it is stored.
use super::{Event, Session};
use bytes::Bytes;
use std::time::Instant;
use wse_crypto::presence::{key_id, user_id};
use wse_protocol::{
    ErrorCode, Format, MemberId, Topic, WireError,
    messages::{PresenceAction, PresenceRequest},
};

/// A change of what the client is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// What to do.
    pub action: PresenceAction,
    /// Where.
    pub topic: Topic,
    /// Whom the client is a connection of.
    pub member: MemberId,
    /// What others see: one value of JSON.
    pub data: Bytes,
    /// What the answer refers to.
    pub cid: Option<Box<str>>,
}

impl Session {
    /// The answer to `Event::Presence`: it is stored, or changes nothing.
    pub fn presence_changed(&mut self, now: Instant, change: &PresenceChange, outcome: Result<(), WireError>) {
        match (outcome, &change.cid) {
            (Ok(()), Some(cid)) => self.reply(cid, Format::Json, format!(r#"{{"id":"{}"}}"#, change.member).as_bytes()),
            (Ok(()), None) => {}
            (Err(error), cid) => self.fail_about(change.topic.as_str(), &error.answering(cid.clone())),
        }
        self.handled(now, 1);
    }

    pub(super) fn handle_presence(&mut self, request: PresenceRequest) {
        let cid = request.cid.clone();
        match self.judge_presence(&request) {
            Ok((topic, member, data)) => {
                self.inbound.handed_over();
                self.events.push_back(Event::Presence(Box::new(PresenceChange { action: request.action, topic, member, data, cid })));
            }
            Err(error) => self.fail_about(&request.topic, &error.answering(cid)),
        }
    }

    fn judge_presence(&self, request: &PresenceRequest) -> Result<(Topic, MemberId, Bytes), WireError> {
        let topic = Topic::parse(&request.topic)?;
        topic.members_log()?;
        let member = match (self.user(), &request.key) {
            (Some(user), _) => user_id(user),
            (None, Some(key)) => key_id(key),
            // It is in nothing that it could leave.
            (None, None) if request.action == PresenceAction::Leave => key_id(""),
            (None, None) => {
                let text = "an anonymous client enters a topic with a key: 122 random bits or more, the same for all that it enters";
                return Err(WireError::new(ErrorCode::InvalidMessage, text));
            }
        };
        let data = if request.action == PresenceAction::Leave { Bytes::new() } else { request.json().into() };
        let limit = self.config.presence_data_bytes;
        if data.len() > limit {
            let text = format!("data is {} bytes of JSON, and may be {limit}: put less into it, or raise presence_data_bytes", data.len());
            return Err(WireError::new(ErrorCode::PresenceDataTooLarge, text));
        }
        Ok((topic, member.into(), data))
    }
}
