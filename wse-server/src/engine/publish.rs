//! Publishing several messages in one call.
use super::{Engine, NewMessage};
use wse_protocol::Topic;
use wse_pubsub::{BusError, NewEntry, Receipt};

/// What became of each message of a batch, in its order.
pub type Outcomes = Vec<Result<Receipt, BusError>>;

impl Engine {
    /// Stores several messages, in as few steps as the bus can, and hands them to every subscriber. Messages of one topic keep their
    /// order; one that cannot be stored fails those of its topic that come after it, and none of other topics.
    pub async fn publish_many(&self, messages: impl IntoIterator<Item = (Topic, NewMessage)>) -> Outcomes {
        self.0.bus.publish_many(self.entries(messages)).await
    }

    /// `publish_many` from any thread, as [`Engine::publish_or_spawn`].
    pub fn publish_many_or_spawn(
        &self,
        messages: impl IntoIterator<Item = (Topic, NewMessage)>,
        done: impl FnOnce(Outcomes) + Send + 'static,
    ) -> Option<Outcomes> {
        let mut entries = self.entries(messages);
        let mut outcomes = self.0.bus.try_publish_many(&mut entries);
        if entries.is_empty() {
            return Some(outcomes);
        }
        let bus = self.0.bus.clone();
        self.0.shards[0].runtime.spawn(async move {
            outcomes.extend(bus.publish_many(entries).await);
            done(outcomes);
        });
        None
    }

    fn entries(&self, messages: impl IntoIterator<Item = (Topic, NewMessage)>) -> Vec<NewEntry> {
        let ts = super::now();
        let entry = |(topic, message): (Topic, NewMessage)| {
            let (publication, key) = self.publication(&topic, message, ts);
            NewEntry { topic, publication, retry_key: key.map(Into::into) }
        };
        messages.into_iter().map(entry).collect()
    }
}
