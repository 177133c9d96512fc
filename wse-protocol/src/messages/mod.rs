//! The messages of category `WSE`: one file for each pair, each kind with its fields, `KIND` and decoding or encoding.
mod beacon;
mod client_hello;
mod error;
mod move_on;
mod ping;
mod presence;
mod reply;
mod server;
mod server_hello;
mod skip;
mod snapshot_request;
mod subscription;
mod subscription_update;

pub use beacon::Beacon;
pub use client_hello::{Agreed, Capabilities, ClientHello, Compression};
pub use error::ErrorMessage;
pub use move_on::Move;
pub use ping::{Ping, Pong};
pub use presence::{PresenceAction, PresenceRequest};
pub use reply::Reply;
pub use server::ServerMessage;
pub use server_hello::{ServerHello, ServerReady};
pub use skip::{Skip, SkipReason};
pub use snapshot_request::SnapshotRequest;
pub use subscription::{Action, Subscription};
pub use subscription_update::{Status, SubscriptionUpdate, TopicStatus};

use crate::{ErrorCode, Value, WireError, envelope::Category, envelope::Envelope};
use serde::de::DeserializeOwned;
use simd_json::prelude::*;
use std::collections::HashSet;

/// Reserved kinds ([P-15]): refused with `NOT_IMPLEMENTED`.
pub const RESERVED: [&str; 2] = ["token_refresh", "key_request"];

/// What a client may send.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientMessage {
    /// The first frame.
    Hello(ClientHello),
    /// Subscribe or unsubscribe.
    Subscription(Subscription),
    /// Asks for the state of topics.
    SnapshotRequest(SnapshotRequest),
    /// Enters a topic, changes what others see there, or leaves it.
    Presence(PresenceRequest),
    /// Asks for a `Pong`.
    Ping(Ping),
    /// Answers a `Ping`.
    Pong,
    /// An application message for a handler ([P-30]).
    Event(Box<Envelope>),
}

impl ClientMessage {
    /// Sorts a decoded envelope into its kind.
    ///
    /// # Errors
    /// `INVALID_MESSAGE`, `UNKNOWN_TYPE`, `NOT_IMPLEMENTED`, `NO_TOPICS`, with the message's reference.
    pub fn decode(envelope: Box<Envelope>) -> Result<Self, WireError> {
        if envelope.category == Category::Update {
            return Ok(Self::Event(envelope));
        }
        let reference = envelope.reference();
        if envelope.category == Category::Snapshot {
            return Err(WireError::new(ErrorCode::InvalidMessage, "category S is the server's").answering(reference));
        }
        let payload = envelope.payload.value();
        Self::decode_protocol(&envelope.event_type, payload, envelope.cid).map_err(|e| e.answering(reference))
    }

    fn decode_protocol(kind: &str, payload: Value, cid: Option<Box<str>>) -> Result<Self, WireError> {
        match kind {
            ClientHello::KIND => ClientHello::decode(payload).map(Self::Hello),
            Subscription::KIND => Subscription::decode(payload, cid).map(Self::Subscription),
            SnapshotRequest::KIND => SnapshotRequest::decode(payload, cid).map(Self::SnapshotRequest),
            PresenceRequest::KIND => PresenceRequest::decode(payload, cid).map(Self::Presence),
            Ping::KIND => Ping::decode(payload).map(Self::Ping),
            Pong::KIND => Ok(Self::Pong),
            _ if RESERVED.contains(&kind) => Err(WireError::new(ErrorCode::NotImplemented, format!("{kind} is reserved by the protocol"))),
            _ => Err(WireError::new(ErrorCode::UnknownType, format!("there is no protocol message {:?}", kind.get(..40).unwrap_or(kind)))),
        }
    }
}

/// Leaves each name where it came first ([P-23]): what a message costs is not multiplied by its repetitions.
fn once(names: &mut Vec<String>) {
    let mut seen = HashSet::with_capacity(names.len());
    names.retain(|name| seen.insert(name.clone()));
}

/// A payload as its fields, which are an object's (serde alone would take an array of them too), a null being as one that is absent; the
/// sentence of a failure names the message.
fn fields<T: DeserializeOwned>(kind: &str, mut payload: Value) -> Result<T, WireError> {
    let invalid = |what: String| WireError::new(ErrorCode::InvalidMessage, format!("{kind}: {what}"));
    let Some(object) = payload.as_object_mut() else { return Err(invalid("p is an object".into())) };
    object.retain(|_, value| !value.is_null());
    simd_json::serde::from_owned_value(payload).map_err(|e| invalid(e.to_string()))
}
