//! Publishing several messages in one call.
use super::{Engine, NewMessage};
use uuid::Uuid;
use wse_protocol::Topic;
use wse_pubsub::{BusError, NewEntry, Receipt};

/// What became of each message of a batch, in its order.
pub type Outcomes = Vec<Result<Receipt, BusError>>;

impl Engine {
    /// Stores several messages, in as few steps as the bus can, and hands them to every subscriber. Messages of one topic keep their
    /// order; one that cannot be stored fails those of its topic that come after it, and none of other topics.
    pub async fn publish_many(&self, messages: impl IntoIterator<Item = (Topic, NewMessage)>) -> Outcomes {
        self.0.bus.publish_many(Self::entries(messages)).await
    }

    /// `publish_many` from any thread, as [`Engine::publish_or_spawn`].
    pub fn publish_many_or_spawn(
        &self,
        messages: impl IntoIterator<Item = (Topic, NewMessage)>,
        done: impl FnOnce(Outcomes) + Send + 'static,
    ) -> Option<Outcomes> {
        let mut entries = Self::entries(messages);
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

    fn entries(messages: impl IntoIterator<Item = (Topic, NewMessage)>) -> Vec<NewEntry> {
        let (ts, mut id) = (super::now(), Uuid::now_v7());
        let entry = |(topic, message): (Topic, NewMessage)| {
            let (publication, key) = Self::publication(&topic, message, ts, id);
            id = id_after(id);
            NewEntry { topic, publication, retry_key: key.map(Into::into) }
        };
        messages.into_iter().map(entry).collect()
    }
}

/// The next id of a batch: its random tail counts on (RFC 9562, 6.2, method 2), so that ids stand in the order of their messages.
fn id_after(id: Uuid) -> Uuid {
    const TAIL: u128 = (1 << 62) - 1;
    let number = id.as_u128();
    Uuid::from_u128((number & !TAIL) | (number.wrapping_add(1) & TAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_batch_ascend_and_stay_of_their_kind_where_the_tail_is_at_its_end() {
        let id = Uuid::now_v7();
        let next = id_after(id);
        assert!(next != id && next.get_version_num() == 7 && next.get_variant() == uuid::Variant::RFC4122);
        let last = Uuid::from_u128(id.as_u128() | ((1 << 62) - 1));
        assert_eq!((id_after(last).get_version_num(), id_after(last).get_variant()), (7, uuid::Variant::RFC4122));
    }
}
