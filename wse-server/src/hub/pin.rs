//! Messages of a topic that are held while a snapshot of it is made and read, so that a short log cannot run away under it.
use crate::counters::Counters;
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use wse_protocol::{Position, Publication, Seq, Topic};
use wse_pubsub::{Entry, History};

/// What came of one topic after a position; let go with the last subscriber that needs it. Bounded with all pins of the engine
/// together: above that it holds nothing, and the log is all there is.
#[derive(Debug)]
pub(super) struct Pin {
    start: Position,
    held: VecDeque<Arc<Publication>>,
    bytes: usize,
    is_broken: bool,
    limit: usize,
    counters: Arc<Counters>,
}

impl Pin {
    pub(super) fn new(start: Position, limit: usize, counters: Arc<Counters>) -> Self {
        Self { start, held: VecDeque::new(), bytes: 0, is_broken: false, limit, counters }
    }

    /// Whether it holds all that came since its start.
    pub(super) fn holds(&self) -> bool {
        !self.is_broken
    }

    /// The next messages of the topic came.
    pub(super) fn push(&mut self, messages: &[(Seq, &Publication)]) {
        if self.is_broken {
            return;
        }
        let bytes: usize = messages.iter().map(|(_, publication)| publication.cost()).sum();
        self.bytes += bytes;
        let all = self.counters.snapshot_pinned_bytes.fetch_add(bytes, Relaxed) + bytes;
        if all > self.limit {
            self.counters.snapshot_pins_broken.fetch_add(1, Relaxed);
            self.is_broken = true;
            self.let_go();
        } else {
            self.held.extend(messages.iter().map(|(_, publication)| Arc::new((*publication).clone())));
        }
    }

    /// At most `limit` messages after `after`, if it holds all of these.
    pub(super) fn since(&self, topic: &Topic, after: &Position, limit: usize) -> Option<History> {
        let skipped =
            after.seq.number().checked_sub(self.start.seq.number()).filter(|_| self.holds() && after.epoch == self.start.epoch)?;
        let skipped = usize::try_from(skipped).ok().filter(|skipped| *skipped <= self.held.len())?;
        let mut seq = after.seq;
        let entry = |publication: &Arc<Publication>| {
            seq = seq.next();
            let position = Position { epoch: after.epoch.clone(), seq };
            Entry { topic: topic.clone(), position, publication: publication.clone() }
        };
        let entries = self.held.iter().skip(skipped).take(limit).map(entry).collect();
        let top = Seq::new(self.start.seq.number() + self.held.len() as u64)?;
        Some(History::Entries { entries, top })
    }

    fn let_go(&mut self) {
        self.held = VecDeque::new();
        self.counters.snapshot_pinned_bytes.fetch_sub(std::mem::take(&mut self.bytes), Relaxed);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wse_protocol::{Epoch, Format, Priority, UnixMillis};

    fn publication(n: usize) -> Publication {
        Publication {
            id: n.to_string().into(),
            event_type: "t".into(),
            ts: UnixMillis(0),
            expires: None,
            key: None,
            priority: Priority::Normal,
            format: Format::Json,
            payload: "1".into(),
        }
    }

    fn at(seq: u64) -> Position {
        Position { epoch: Epoch::parse("e").expect("short"), seq: Seq::new(seq).expect("small") }
    }

    fn pinned(limit: usize, counters: &Arc<Counters>) -> Pin {
        let mut pin = Pin::new(at(5), limit, counters.clone());
        let all: Vec<_> = (6..=9).map(publication).collect();
        let messages: Vec<_> = (6..).zip(&all).map(|(n, publication)| (Seq::new(n).expect("small"), publication)).collect();
        messages.chunks(2).for_each(|messages| pin.push(messages));
        pin
    }

    fn numbers(history: Option<History>) -> Option<(Vec<u64>, u64)> {
        match history? {
            History::Entries { entries, top } => Some((entries.iter().map(|entry| entry.position.seq.number()).collect(), top.number())),
            History::Gap { .. } => None,
        }
    }

    #[test]
    fn it_reads_like_a_log_from_its_start_on() {
        let (counters, topic) = (Arc::default(), Topic::parse("t").expect("a name"));
        let pin = pinned(10_000, &counters);
        assert_eq!(numbers(pin.since(&topic, &at(5), 9)), Some((vec![6, 7, 8, 9], 9)));
        assert_eq!(numbers(pin.since(&topic, &at(7), 1)), Some((vec![8], 9)));
        assert_eq!(numbers(pin.since(&topic, &at(9), 9)), Some((vec![], 9)));
        assert_eq!(numbers(pin.since(&topic, &at(4), 9)), None, "before its start");
        assert_eq!(numbers(pin.since(&topic, &at(10), 9)), None, "above what came");
    }

    #[test]
    fn above_its_bound_it_holds_nothing_and_what_it_held_is_given_back() {
        let (counters, topic) = (Arc::default(), Topic::parse("t").expect("a name"));
        let whole = pinned(10_000, &counters);
        let bytes = counters.snapshot_pinned_bytes.load(Relaxed);
        assert!(bytes >= 4 * 96);
        let broken = pinned(bytes + 300, &counters);
        assert_eq!((broken.holds(), numbers(broken.since(&topic, &at(5), 9))), (false, None));
        assert_eq!((counters.snapshot_pinned_bytes.load(Relaxed), counters.snapshot_pins_broken.load(Relaxed)), (bytes, 1));
        drop(whole);
        assert_eq!(counters.snapshot_pinned_bytes.load(Relaxed), 0);
    }
}
