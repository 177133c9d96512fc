//! The idempotency window: which receipt a topic's retry key got.
use crate::Receipt;
use std::{sync::Arc, time::Duration};
use wse_core::{DedupCounts, DedupLimits, DedupWindow, Equivalent};
use wse_protocol::Topic;

/// Receipts by topic and retry key, bounded by age and count; the oldest goes first.
#[derive(Debug)]
pub(crate) struct RetryWindow(DedupWindow<(Topic, Arc<str>), Receipt>);

impl RetryWindow {
    pub(crate) fn new(age: Duration, keys: usize) -> Self {
        Self(DedupWindow::new(DedupLimits { keys, age }))
    }

    /// The receipt that this key got within the window.
    pub(crate) fn find(&mut self, now: Duration, topic: &Topic, key: &str) -> Option<Receipt> {
        self.0.find(now, &Borrowed(topic, key)).cloned()
    }

    /// Remembers the receipt of a key that `find` did not know.
    pub(crate) fn insert(&mut self, now: Duration, topic: &Topic, key: &str, receipt: Receipt) {
        self.0.insert(now, (topic.clone(), key.into()), receipt);
    }

    /// Repetitions found, and keys forgotten before their time.
    pub(crate) fn counts(&self) -> DedupCounts {
        self.0.counts()
    }
}

/// A key as callers have it; hashes as the owned pair does.
#[derive(Hash)]
struct Borrowed<'a>(&'a Topic, &'a str);

impl Equivalent<(Topic, Arc<str>)> for Borrowed<'_> {
    fn equivalent(&self, (topic, key): &(Topic, Arc<str>)) -> bool {
        self.0 == topic && self.1 == &**key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::new_epoch;
    use wse_protocol::{Position, Seq};

    #[test]
    fn a_key_is_known_until_it_is_too_old_or_one_of_too_many() {
        let topic = Topic::parse("t").expect("valid");
        let receipt = Receipt { id: "a".into(), position: Position { epoch: new_epoch(), seq: Seq::ZERO } };
        let mut window = RetryWindow::new(Duration::from_secs(10), 2);
        window.insert(Duration::ZERO, &topic, "a", receipt.clone());
        assert_eq!(window.find(Duration::from_secs(9), &topic, "a"), Some(receipt.clone()));
        assert_eq!(window.find(Duration::from_secs(10), &topic, "a"), None);
        for key in ["b", "c", "d"] {
            window.insert(Duration::from_secs(11), &topic, key, receipt.clone());
        }
        assert_eq!(window.find(Duration::from_secs(11), &topic, "b"), None);
        assert_eq!(window.find(Duration::from_secs(11), &topic, "c"), Some(receipt));
    }

    #[test]
    fn the_same_key_of_another_topic_is_another_key() {
        let [one, other] = ["one", "other"].map(|name| Topic::parse(name).expect("valid"));
        let receipt = Receipt { id: "a".into(), position: Position { epoch: new_epoch(), seq: Seq::ZERO } };
        let mut window = RetryWindow::new(Duration::from_secs(10), 2);
        window.insert(Duration::ZERO, &one, "a", receipt);
        assert_eq!(window.find(Duration::ZERO, &other, "a"), None);
    }
}
