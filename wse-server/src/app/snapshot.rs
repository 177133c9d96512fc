//! States of topics from a Rust service.
use super::{App, written};
use crate::{ConnectionId, Sharing, SnapshotCall, TopicScope};
use bytes::Bytes;
use futures_util::FutureExt;
use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc};
use wse_protocol::{Format, IntoPayload, Topic, WireError};

/// Whose state of which topic is wanted.
#[derive(Debug, Clone)]
pub struct SnapshotRequest {
    /// The connection that asked first; others of the user may share the answer.
    pub connection: ConnectionId,
    /// The user, where an authenticator or a token said so.
    pub user: Option<Arc<str>>,
    /// The topic.
    pub topic: Topic,
}

const FAILED: &str = "the snapshot failed; the service's log says why";

type State = Pin<Box<dyn Future<Output = Result<(Format, Bytes), WireError>> + Send>>;
pub(super) type Provider = Arc<dyn Fn(SnapshotRequest) -> State + Send + Sync>;

impl App {
    /// Gives the state of the topics of `scope` (`orders:*`, a name, `*`) to those who subscribe, before any message of the topic. What
    /// it returns has to be at least as new as everything published before the call: publish after the commit. Connections of one user
    /// that ask at the same time share a call, with `Sharing::Everyone` all connections do. An error goes to the client with its text.
    ///
    /// # Errors
    /// `INVALID_TOPIC` or `RESERVED_TOPIC` for a scope that is none.
    pub fn snapshot<F, R, T>(mut self, scope: &str, sharing: Sharing, provider: F) -> Result<Self, WireError>
    where
        F: Fn(SnapshotRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, WireError>> + Send + 'static,
        T: IntoPayload,
    {
        let scope = TopicScope::parse(scope)?;
        self.engine.register_snapshot(scope.clone(), sharing);
        let provider = move |request| {
            let call = provider(request);
            Box::pin(async move { written(call.await?, FAILED) }) as State
        };
        self.snapshots.push((scope, Arc::new(provider)));
        Ok(self)
    }

    /// Answers a call with what the first provider says whose scope holds.
    pub(super) fn answer(&self, call: SnapshotCall, runtime: &tokio::runtime::Handle) {
        let provider = self.snapshots.iter().find(|(scope, _)| scope.holds(call.topic())).map(|(_, provider)| provider.clone());
        let Some(provider) = provider else { return call.fail("this service has no snapshot of the topic") };
        let request = SnapshotRequest { connection: call.connection(), user: call.user().map(Into::into), topic: call.topic().clone() };
        runtime.spawn(async move {
            match AssertUnwindSafe(provider(request)).catch_unwind().await {
                Ok(Ok((format, state))) => call.answer(format, state),
                Ok(Err(error)) => call.fail(error.message),
                Err(_) => call.fail(FAILED),
            }
        });
    }
}
