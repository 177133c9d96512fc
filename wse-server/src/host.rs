//! Who stands behind an engine: the application's side of connections.
use crate::SnapshotCall;
use std::{fmt::Debug, sync::Arc};
use wse_crypto::token::Identity;
use wse_protocol::{CloseCode, SessionId, envelope::Envelope};

/// The number of a connection within its engine; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What an application is told. Calls come from the engine's thread and must return at once: hand the work over and answer
/// later through the engine.
pub trait Host: Send + Sync + Debug {
    /// Judge a credential; answer with `Engine::welcome` or `Engine::refuse`. `identity` is what the engine's own check of the
    /// token found, where it has one.
    fn authenticate(&self, connection: ConnectionId, token: Option<String>, identity: Option<Identity>);
    /// The client may send. `identity` comes here where only the engine checked the token; `session` is what the client can be sent
    /// messages by on whatever connection resumes it, where it asked for one.
    fn opened(&self, connection: ConnectionId, identity: Option<Identity>, session: Option<SessionId>);
    /// Messages for handlers, in order; answer each with `Engine::reply` or `Engine::fail` if it has a `cid`, and count it with
    /// `Engine::handled`. One that has an `origin` is answered in any case, or given up by `Engine::unhandled`; so is one that was
    /// answered after its connection's end.
    fn messages(&self, connection: ConnectionId, envelopes: Vec<Box<Envelope>>);
    /// The state of a topic is wanted, of those that `Engine::register_snapshot` named; answer the call, from any thread, within
    /// the engine's time. Dropped unanswered it has failed, which is what happens here by default.
    fn snapshot(&self, _call: SnapshotCall) {}
    /// The end of a connection, once; `opened` tells whether `opened` had come.
    fn closed(&self, connection: ConnectionId, code: CloseCode, reason: String, opened: bool);
    /// Frames wait in the connection's channel (see `Engine::open_channel`).
    fn outbound(&self, _connection: ConnectionId) {}
    /// A full channel has room again.
    fn writable(&self, _connection: ConnectionId) {}
}

/// A host as connections share it.
pub type SharedHost = Arc<dyn Host>;
