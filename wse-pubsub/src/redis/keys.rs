//! The names of a log's keys and of its channel, by the name of its topic or pattern: one hash slot per log.

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

    /// A log's epoch, number and fence; of a topic, or of a pattern's births.
    pub(crate) fn meta(&self, name: &str) -> String {
        self.name(name, "}:meta")
    }

    /// A log's stream.
    pub(crate) fn log(&self, name: &str) -> String {
        self.name(name, "}:log")
    }

    /// The channel that is rung for a log's new entries.
    pub(crate) fn bell(&self, name: &str) -> String {
        self.name(name, BELL)
    }

    /// The topics that a pattern stands for.
    pub(crate) fn topics(&self, pattern: &str) -> String {
        self.name(pattern, "}:topics")
    }

    /// What others see of a topic's members, by the log that tells of it.
    pub(crate) fn shown(&self, log: &str) -> String {
        self.name(log, "}:shown")
    }

    /// What others do not see.
    pub(crate) fn more(&self, log: &str) -> String {
        self.name(log, "}:more")
    }

    /// The members that an incarnation holds.
    pub(crate) fn held_by(&self, log: &str, incarnation: &str) -> String {
        self.name(log, "}:by:") + incarnation
    }

    /// Where the receipt of a publish with this retry key is.
    pub(crate) fn once(&self, topic: &str, retry_key: &str) -> String {
        self.name(topic, "}:once:") + retry_key
    }

    /// Where the receipts of one call are, for its own retries.
    pub(crate) fn call(&self, topic: &str, number: u64) -> String {
        format!("{}{number:x}", self.name(topic, "}:call:"))
    }

    /// The topic or pattern whose bell this channel is.
    pub(crate) fn name_of_bell(&self, channel: &str) -> Option<String> {
        let name = channel.strip_prefix(&self.prefix)?.strip_suffix(BELL)?;
        Some(name.replace("%7D", "}").replace("%7B", "{").replace("%25", "%"))
    }

    /// A channel of one process, to prove its subscription connection with.
    pub(crate) fn canary(&self, process: u64) -> String {
        format!("{}canary-{process:016x}}}:canary", self.prefix)
    }

    /// What keys begin with that belong to no topic; a group's share one slot.
    pub(crate) fn own(&self, group: &str) -> String {
        format!("{}{group}}}:", self.prefix)
    }

    fn name(&self, name: &str, suffix: &str) -> String {
        format!("{}{}{suffix}", self.prefix, escaped(name))
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
    fn a_logs_keys_share_the_part_in_braces_whatever_its_name() {
        let keys = Keys::new("a{b");
        for name in ["prices", "}", "{x}", "%7B", "}:bell", "a%{}b", "n:*"] {
            let slot = |key: String| key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag.to_owned());
            let tag = slot(keys.meta(name));
            assert!(tag.as_ref().is_some_and(|tag| !tag.is_empty()));
            assert!([keys.log(name), keys.once(name, "k}"), keys.topics(name), keys.bell(name)].into_iter().all(|key| slot(key) == tag));
            assert_eq!(keys.name_of_bell(&keys.bell(name)).as_deref(), Some(name));
        }
    }
}
