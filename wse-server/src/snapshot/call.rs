//! One question to the application: what is the state of this topic for this user?
use crate::ConnectionId;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::oneshot;
use wse_protocol::{Format, Topic};

/// What the application says: the bytes of one value, or why there is none.
pub(super) type Said = Result<(Format, Bytes), String>;

/// Asks for the state of a topic, at least as new as everything published before the call. Answer it from any thread, once;
/// dropped unanswered it has failed.
#[derive(Debug)]
pub struct SnapshotCall {
    connection: ConnectionId,
    user: Option<Arc<str>>,
    topic: Topic,
    answer: oneshot::Sender<Said>,
}

impl SnapshotCall {
    pub(super) fn new(connection: ConnectionId, user: Option<Arc<str>>, topic: Topic, answer: oneshot::Sender<Said>) -> Self {
        Self { connection, user, topic, answer }
    }

    /// The connection that asked first; others of the user may share the answer.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The user's id; none where the client is anonymous.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Whether somebody still waits.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    /// The state: the bytes of one value in `format`. The caller vouches for that.
    pub fn answer(self, format: Format, state: impl Into<Bytes>) {
        // Nobody may be left who waits for it.
        let _ = self.answer.send(Ok((format, state.into())));
    }

    /// There is none; `message` is one sentence for the client's developer.
    pub fn fail(self, message: impl Into<String>) {
        let _ = self.answer.send(Err(message.into()));
    }
}
