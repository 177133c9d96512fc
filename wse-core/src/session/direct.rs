//! What the server itself has for this connection: messages to its user, and to its session.
use super::{Event, Outcome, Session, Wanted, subscriptions};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use wse_crypto::session::SessionKey;
use wse_protocol::{
    Direct, ErrorCode, Followed, Position, SessionId, Topic, WireError,
    messages::{SubscriptionUpdate, TopicStatus},
};

/// The session that a client gets that asks for this one: the same, where it is this user's.
pub(super) fn session(asked: &str, secret: u128, user: Option<&str>) -> SessionKey {
    SessionKey::resume(asked, user).unwrap_or_else(|| SessionKey::new(secret, user))
}

/// The topics of a connection's own. A user whose id is too long for a name has none.
pub(super) fn topics(user: Option<&str>, session: Option<&SessionKey>) -> Box<[Topic]> {
    let user = user.and_then(|id| Topic::of_user(id).ok());
    let session = session.map(|session| Topic::of_session(&SessionId(session.id())));
    user.into_iter().chain(session).collect()
}

impl Session {
    /// The session that messages can be sent to ([P-66]); none where the client asked for none.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        let named = self.subscriptions.owned().iter().find(|topic| topic.direct() == Some(Direct::Session));
        named.and_then(|topic| SessionId::parse(topic.as_str().split_once(':')?.1))
    }

    /// The hub's answer to `Event::Direct`, before any frame of these topics.
    pub fn directed(&mut self, outcomes: Vec<(Topic, Outcome)>) {
        let topics = outcomes.into_iter().map(|(topic, outcome)| subscriptions::status(topic.as_str().into(), outcome)).collect();
        self.push_with(|format, out| SubscriptionUpdate { topics }.encode(format, out, None));
    }

    /// Has the hub bring what is for this connection, from the client's own positions; those of others are refused.
    pub(super) fn begin_direct(&mut self, positions: &HashMap<String, Position>, away: Option<Duration>) {
        let own: Vec<Topic> = self.subscriptions.owned().to_vec();
        let names: HashSet<&str> = own.iter().map(Topic::as_str).collect();
        let is_strange = |name: &str| name.starts_with('@') && !names.contains(name) && Topic::parse_watched(name).is_err();
        let strange = positions.keys().filter(|name| is_strange(name)).take(self.subscriptions.most_named());
        let topics: Vec<_> = strange.map(|name| TopicStatus::refused(name.clone(), &not_yours())).collect();
        if !topics.is_empty() {
            self.push_with(|format, out| SubscriptionUpdate { topics }.encode(format, out, None));
        }
        let wanted = |topic: Topic| Wanted {
            position: positions.get(topic.as_str()).cloned(),
            followed: Followed::Topic(topic),
            known: HashMap::new(),
            filter: None,
        };
        let wanted: Vec<_> = own.into_iter().map(wanted).collect();
        if !wanted.is_empty() {
            self.events.push_back(Event::Direct { wanted, away });
        }
    }
}

fn not_yours() -> WireError {
    WireError::new(ErrorCode::ReservedTopic, "messages to a user or session reach that user alone; this is another one's")
}
