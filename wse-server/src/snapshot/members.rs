//! The state of a log that tells who is in a topic: the bus has it.
use super::call::Said;
use std::sync::Arc;
use tokio::sync::oneshot;
use wse_protocol::{Format, Topic, Watched};
use wse_pubsub::Bus;

/// Asks the bus, in a task of the current runtime.
pub(super) fn ask(bus: Arc<dyn Bus>, watched: Watched, topic: Topic, answer: oneshot::Sender<Said>) {
    tokio::spawn(async move {
        let said = match bus.presence(&topic, watched == Watched::Members).await {
            Ok(state) => Ok((Format::Json, state.encode())),
            Err(error) => {
                tracing::warn!(%error, %topic, "who is in a topic could not be read");
                Err("the server's message bus did not answer; ask again".into())
            }
        };
        // Nobody may be left who waits for it.
        let _ = answer.send(said);
    });
}
