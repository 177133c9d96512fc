//! The two scripts and their arguments: everything that must be one atomic step on the server.
use super::{RedisConfig, keys::Keys, link::Node, record};
use crate::random::{new_epoch, random_u64};
use redis::{RedisError, Script, aio::MultiplexedConnection};
use std::time::Duration;
use wse_protocol::{Position, Publication, Topic};

/// `publish.lua` and `read.lua`, sent by their hash, and whole where the server does not know it.
#[derive(Debug)]
pub(crate) struct Scripts {
    publish: Script,
    read: Script,
    keys: Keys,
    age: u64,
    meta_age: u64,
    retry_age: u64,
    /// A call repeats itself until the publish timeout.
    call_age: u64,
    messages: usize,
    bytes: usize,
}

/// What `read.lua` answers: epoch, top, first seq that can be had, entries.
pub(crate) type RawRead = (String, u64, u64, Vec<(u64, Vec<u8>)>);

/// Bytes per read after which no further batch of 16 entries is added.
const REPLY_BYTES: usize = 1 << 20;

impl Scripts {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let open = include_str!("open.lua");
        Self {
            publish: Script::new(&[open, include_str!("publish.lua")].concat()),
            read: Script::new(&[open, include_str!("read.lua")].concat()),
            keys: Keys::new(&config.namespace),
            age: millis(config.history.age),
            meta_age: millis(config.meta_age.max(config.history.age)),
            retry_age: millis(config.retry_age),
            call_age: millis(config.publish_timeout.saturating_mul(2)),
            messages: config.history.messages,
            bytes: config.history.bytes,
        }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What makes a repetition of this publish the same publish: its key, and the age of that in ms.
    pub(crate) fn identity(&self, topic: &Topic, retry_key: Option<&str>) -> (String, u64) {
        match retry_key {
            Some(key) => (self.keys.once(topic, key), self.retry_age),
            None => (self.keys.call(topic, random_u64()), self.call_age),
        }
    }

    /// Stores a message; returns the receipt's text.
    pub(crate) async fn publish(
        &self,
        node: &Node,
        topic: &Topic,
        publication: &Publication,
        (once, once_age): &(String, u64),
    ) -> Result<String, RedisError> {
        let mut call = self.publish.key(self.keys.meta(topic));
        call.key(self.keys.log(topic)).key(once).key(self.keys.bell(topic));
        call.arg(&node.fence).arg(new_epoch().as_str());
        call.arg(self.age).arg(self.meta_age).arg(self.messages).arg(self.bytes).arg(publication.cost());
        call.arg(once_age).arg(&*publication.id).arg(record::encode(publication));
        call.invoke_async(&mut node.connection.clone()).await
    }

    /// Reads where a topic stands and at most `limit` entries after `since`.
    pub(crate) async fn read(
        &self,
        connection: &mut MultiplexedConnection,
        fence: &str,
        topic: &Topic,
        since: Option<&Position>,
        limit: usize,
    ) -> Result<RawRead, RedisError> {
        let (epoch, seq) = since.map_or(("", 0), |since| (since.epoch.as_str(), since.seq.number()));
        let mut call = self.read.key(self.keys.meta(topic));
        call.key(self.keys.log(topic)).arg(fence).arg(new_epoch().as_str());
        call.arg(self.age).arg(self.meta_age).arg(self.bytes).arg(epoch).arg(seq).arg(limit).arg(REPLY_BYTES);
        call.invoke_async(connection).await
    }
}

/// Redis takes no expiry of 0.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}
