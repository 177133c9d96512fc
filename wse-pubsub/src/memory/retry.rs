//! The idempotency window: which receipt a retry key got, bounded by age and count.
use crate::Receipt;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use wse_protocol::Topic;

type Key = (Topic, Arc<str>);

/// Receipts by topic and retry key; the oldest goes first.
#[derive(Debug)]
pub(crate) struct RetryWindow {
    age: Duration,
    limit: usize,
    receipts: HashMap<Key, Receipt>,
    order: VecDeque<(Duration, Key)>,
}

impl RetryWindow {
    pub(crate) fn new(age: Duration, limit: usize) -> Self {
        Self { age, limit, receipts: HashMap::new(), order: VecDeque::new() }
    }

    /// The receipt that this key got within the window.
    pub(crate) fn find(&mut self, now: Duration, topic: &Topic, key: &str) -> Option<Receipt> {
        self.forget_old(now);
        self.receipts.get(&(topic.clone(), key.into())).cloned()
    }

    /// Remembers the receipt of a key that `find` did not know.
    pub(crate) fn insert(&mut self, now: Duration, topic: &Topic, key: &str, receipt: Receipt) {
        let key = (topic.clone(), Arc::from(key));
        self.order.push_back((now, key.clone()));
        self.receipts.insert(key, receipt);
        self.forget_old(now);
    }

    fn forget_old(&mut self, now: Duration) {
        let over = |(at, _): &(Duration, Key), held: usize| held > self.limit || *at + self.age <= now;
        while self.order.front().is_some_and(|first| over(first, self.order.len())) {
            if let Some((_, key)) = self.order.pop_front() {
                self.receipts.remove(&key);
            }
        }
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
}
