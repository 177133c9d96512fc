//! The names of a topic's keys and of its channel: one hash slot per topic.
use wse_protocol::Topic;

/// Names under one namespace.
#[derive(Debug)]
pub(crate) struct Keys {
    /// `<namespace>:{`, the namespace without braces.
    prefix: String,
}

const BELL: &str = "}:bell";

impl Keys {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { prefix: format!("{}:{{", escaped(namespace)) }
    }

    pub(crate) fn meta(&self, topic: &Topic) -> String {
        self.name(topic, "}:meta")
    }

    pub(crate) fn log(&self, topic: &Topic) -> String {
        self.name(topic, "}:log")
    }

    /// Where the receipt of a publish with this retry key is.
    pub(crate) fn once(&self, topic: &Topic, retry_key: &str) -> String {
        self.name(topic, "}:once:") + retry_key
    }

    /// Where the receipt of one call's publish is, for its own retries.
    pub(crate) fn call(&self, topic: &Topic, number: u64) -> String {
        format!("{}{number:x}", self.name(topic, "}:call:"))
    }

    /// The channel that is rung for each message.
    pub(crate) fn bell(&self, topic: &Topic) -> String {
        self.name(topic, BELL)
    }

    /// The topic whose bell this channel is.
    pub(crate) fn topic_of_bell(&self, channel: &str) -> Option<String> {
        let topic = channel.strip_prefix(&self.prefix)?.strip_suffix(BELL)?;
        Some(topic.replace("%7D", "}").replace("%7B", "{").replace("%25", "%"))
    }

    /// A channel of one process, to prove its subscription connection with.
    pub(crate) fn canary(&self, process: u64) -> String {
        format!("{}canary-{process:016x}}}:canary", self.prefix)
    }

    fn name(&self, topic: &Topic, suffix: &str) -> String {
        format!("{}{}{suffix}", self.prefix, escaped(topic.as_str()))
    }
}

/// Without braces, since the first pair of them names the hash slot; different for different names.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('{', "%7B").replace('}', "%7D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topics_keys_share_the_part_in_braces_whatever_its_name() {
        let keys = Keys::new("a{b");
        for name in ["prices", "}", "{x}", "%7B", "}:bell", "a%{}b"] {
            let topic = Topic::parse(name).expect("valid");
            let slot = |key: String| key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag.to_owned());
            let tag = slot(keys.meta(&topic));
            assert!(tag.as_ref().is_some_and(|tag| !tag.is_empty()));
            assert!([keys.log(&topic), keys.once(&topic, "k}"), keys.bell(&topic)].into_iter().all(|key| slot(key) == tag));
            assert_eq!(keys.topic_of_bell(&keys.bell(&topic)).as_deref(), Some(name));
        }
    }
}
