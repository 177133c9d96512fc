//! The scripts and their arguments: everything that must be one atomic step on the server.
use super::{RedisConfig, keys::Keys, link::Node, record};
use crate::{
    DirectLimits, NewEntry, PresenceLimits,
    random::{new_epoch, new_epoch_within, random_u64},
};
use redis::{RedisError, Script, ScriptInvocation, aio::MultiplexedConnection};
use std::time::Duration;
use wse_core::log::{LogLimits, PageLimit};
use wse_protocol::{Epoch, Followed, Pattern, Position, Topic};

/// The scripts, sent by their hash, and whole where the server does not know them.
#[derive(Debug)]
pub(crate) struct Scripts {
    publish: Script,
    read: Script,
    members: Script,
    positions: Script,
    keys: Keys,
    history: LogLimits,
    meta_age: u64,
    direct: DirectLimits,
    presence: PresenceLimits,
    retry_age: u64,
    /// A call repeats itself until the publish timeout.
    call_age: u64,
    births: usize,
}

/// What holds for one topic's log.
struct Limits {
    log: LogLimits,
    meta_age: u64,
    /// Where its first message makes it: what stands for the time before it.
    unborn: Option<Epoch>,
}

/// What `read.lua` answers: epoch, top, first seq that can be had, entries.
pub(crate) type RawRead = (String, u64, u64, Vec<(u64, Vec<u8>)>);
/// What `members.lua` answers: epoch and top of the births log, names.
pub(crate) type RawMembers = (String, u64, Vec<String>);

/// Bytes per answer after which no further entry is added: the server does nothing else meanwhile.
const REPLY_BYTES: usize = 1 << 20;

impl Scripts {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let script = |own| Script::new(&[include_str!("open.lua"), own].concat());
        Self {
            publish: script(include_str!("publish.lua")),
            read: script(include_str!("read.lua")),
            members: script(include_str!("members.lua")),
            positions: script(include_str!("positions.lua")),
            keys: Keys::new(&config.namespace),
            history: config.history,
            meta_age: millis(config.meta_age.max(config.history.age)),
            direct: config.direct,
            presence: config.presence,
            retry_age: millis(config.retry_age),
            call_age: millis(config.publish_timeout.saturating_mul(2)),
            births: config.births.max(1),
        }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What makes a repetition of one call the same call.
    pub(crate) fn new_call(&self, topic: &Topic) -> String {
        self.keys.call(topic.as_str(), random_u64())
    }

    /// Stores messages of one topic; returns each receipt's text.
    pub(crate) async fn publish(&self, node: &Node, topic: &Topic, run: &[NewEntry], call: &str) -> Result<Vec<String>, RedisError> {
        let (keys, name) = (&self.keys, topic.as_str());
        let mut script = self.publish.key(keys.meta(name));
        script.key(keys.log(name)).key(keys.bell(name)).key(call);
        let Limits { log, meta_age, unborn } = self.limits(topic, &node.fence);
        script.arg(&node.fence).arg(new_epoch_within(unborn.as_ref()).as_str()).arg(name);
        script.arg(millis(log.age)).arg(meta_age).arg(log.messages).arg(log.bytes);
        self.name_namespace(&mut script, topic);
        // Retry keys tell a repetition by themselves.
        let unkeyed = run.iter().any(|entry| entry.retry_key.is_none());
        script.arg(if unkeyed { self.call_age } else { 0 }).arg(self.retry_age);
        for NewEntry { publication, retry_key, .. } in run {
            script.key(retry_key.as_ref().map_or_else(|| call.to_owned(), |key| keys.once(name, key)));
            script.arg(publication.cost()).arg(&*publication.id).arg(record::encode(publication));
        }
        script.invoke_async(&mut node.connection.clone()).await
    }

    /// Reads where a log stands (a topic is born if there is none, but for the server's own) and the entries after `since`, as many as `limit` allows.
    pub(crate) async fn read(
        &self,
        connection: &mut MultiplexedConnection,
        fence: &str,
        of: &Followed,
        since: Option<&Position>,
        limit: PageLimit,
    ) -> Result<RawRead, RedisError> {
        let (epoch, seq) = since.map_or(("", 0), |since| (since.epoch.as_str(), since.seq.number()));
        let mut script = self.read.key(self.keys.meta(of.as_str()));
        script.key(self.keys.log(of.as_str())).arg(fence);
        let mut unborn = None;
        match of {
            Followed::Topic(topic) => {
                let Limits { log, meta_age, unborn: run } = self.limits(topic, fence);
                script.arg(new_epoch_within(run.as_ref()).as_str()).arg(topic.as_str());
                script.arg(millis(log.age)).arg(meta_age).arg(log.bytes);
                self.name_namespace(&mut script, topic);
                unborn = run;
            }
            // Births are bounded by count alone.
            Followed::Pattern(pattern) => {
                script.arg(new_epoch().as_str()).arg(pattern.as_str());
                script.arg(u64::MAX >> 12).arg(self.births_age()).arg(u64::MAX >> 12).arg(0);
            }
        }
        script.arg(epoch).arg(seq).arg(limit.entries).arg(limit.bytes.min(REPLY_BYTES));
        script.arg(unborn.as_ref().map_or("", Epoch::as_str));
        script.invoke_async(connection).await
    }

    /// Where a births log stands, and which topics its namespace has.
    pub(crate) async fn members(
        &self,
        connection: &mut MultiplexedConnection,
        fence: &str,
        pattern: &Pattern,
    ) -> Result<RawMembers, RedisError> {
        let (keys, name) = (&self.keys, pattern.as_str());
        let mut script = self.members.key(keys.meta(name));
        script.key(keys.log(name)).key(keys.topics(name)).arg(fence).arg(new_epoch().as_str()).arg(self.births_age());
        script.invoke_async(connection).await
    }

    /// Where each of some topics of a namespace stands.
    pub(crate) async fn positions(
        &self,
        connection: &mut MultiplexedConnection,
        fence: &str,
        pattern: &Pattern,
        topics: &[Topic],
    ) -> Result<Vec<(String, u64)>, RedisError> {
        let mut script = self.positions.key(self.keys.topics(pattern.as_str()));
        script.arg(fence).arg(new_epoch().as_str());
        for topic in topics {
            script.key(self.keys.meta(topic.as_str())).arg(topic.as_str());
        }
        script.invoke_async(connection).await
    }

    fn limits(&self, topic: &Topic, fence: &str) -> Limits {
        match topic.direct() {
            None if topic.is_own() => Limits { log: self.presence.log, meta_age: millis(self.presence.remembered()), unborn: None },
            None => Limits { log: self.history, meta_age: self.meta_age, unborn: None },
            Some(direct) => Limits { log: self.direct.of(direct), meta_age: millis(self.direct.remembered()), unborn: run_of(fence) },
        }
    }

    /// Names the keys of a topic's births log, and how many births it holds; 0 where no pattern stands for it.
    fn name_namespace(&self, script: &mut ScriptInvocation<'_>, topic: &Topic) {
        let Some(pattern) = Pattern::of(topic) else {
            script.arg(0);
            return;
        };
        let (keys, name) = (&self.keys, pattern.as_str());
        script.key(keys.meta(name)).key(keys.log(name)).key(keys.bell(name)).key(keys.topics(name));
        script.arg(self.births);
    }

    /// A namespace outlives the topics that it names.
    fn births_age(&self) -> u64 {
        self.meta_age + self.meta_age / 8
    }
}

/// What stands for a node's logs before their first messages: the first half of its `run_id`, so that they are of one life of its data.
fn run_of(fence: &str) -> Option<Epoch> {
    Epoch::parse(fence.get(..fence.len().min(20))?)
}

/// Redis takes no expiry of 0.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}
