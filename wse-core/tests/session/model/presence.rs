//! A client's word on its presence: what is to come of it, and the driver that stores it.
use super::{
    Taken, World,
    client::Owed,
    ops::{Handled, Message, TopicName},
};
use simd_json::json;
use wse_core::session::PresenceChange;
use wse_crypto::presence::{key_id, user_id};
use wse_protocol::{
    ErrorCode, Topic, WireError,
    messages::{PresenceAction, PresenceRequest},
};

impl World {
    /// What is to come to the driver ([P-60], [P-61]), or the error that the peer is owed.
    pub(super) fn judge(&self, request: PresenceRequest) -> Result<Taken, Owed> {
        let refused = |code: ErrorCode| Owed::Error(code.as_str().into(), request.cid.clone());
        let named = Topic::parse(&request.topic).and_then(|topic| topic.members_log().map(|_| topic));
        let topic = named.map_err(|error| refused(error.code))?;
        let leaves = request.action == PresenceAction::Leave;
        let member = match (self.session.user(), request.key.as_deref()) {
            (Some(user), _) => user_id(user),
            (None, None) if !leaves => return Err(refused(ErrorCode::InvalidMessage)),
            (None, key) => key_id(key.unwrap_or_default()),
        };
        let data = if leaves { Vec::new() } else { request.json().into_bytes() };
        if data.len() > self.config.presence_data_bytes {
            return Err(refused(ErrorCode::PresenceDataTooLarge));
        }
        let (action, cid) = (request.action, request.cid);
        Ok(Taken::Presence(Box::new(PresenceChange { action, topic, member: member.into(), data: data.into(), cid })))
    }

    /// It is stored, or the topic is full; whoever watches hears of it. Gives what the peer is owed for it.
    pub(super) fn store(&mut self, change: &PresenceChange, how: Handled) -> Option<Owed> {
        if matches!(how, Handled::Fail) {
            self.session.presence_changed(self.now, change, Err(WireError::new(ErrorCode::PresenceFull, "full")));
            return Some(Owed::Error(ErrorCode::PresenceFull.as_str().into(), change.cid.clone()));
        }
        self.session.presence_changed(self.now, change, Ok(()));
        if change.topic.as_str() == TopicName::Recover.as_str() {
            let told = Message { value: 0, size: 0, key: None, priority: 0, ttl: None };
            self.hub.publish(&mut self.session, self.now, TopicName::Members, &[told]);
        }
        change.cid.is_some().then(|| Owed::Reply(json!({"id": change.member.as_str()}), change.cid.clone()))
    }
}
