//! One topic's log: a ring of publications bounded by count, bytes and age, which numbers them.
//!
//! Pure: `now` is the time since any fixed instant, the same one in every call.
use crate::Sequencer;
use std::{collections::VecDeque, time::Duration};
use wse_protocol::{Epoch, Position, Publication, Seq, defaults};

/// How much a log holds. Whatever is reached first trims the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Entries; default 16,384.
    pub messages: usize,
    /// Bytes as [`Publication::cost`] counts them; default 16 MiB. An entry larger than this is numbered but not held.
    pub bytes: usize,
    /// Age of the oldest entry; default 300 s.
    pub age: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            messages: defaults::HISTORY_MESSAGES as usize,
            bytes: defaults::HISTORY_BYTES as usize,
            age: Duration::from_millis(defaults::HISTORY_AGE_MS),
        }
    }
}

/// Why entries after a position cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogGap {
    /// The position is of another epoch.
    Epoch,
    /// Entries after it were trimmed.
    Trimmed,
    /// It is above the top.
    Fork,
}

/// Entries of one topic with the positions that they were given.
///
/// ```
/// use std::time::Duration;
/// use wse_core::log::{LogLimits, TopicLog};
/// use wse_protocol::Epoch;
///
/// let log = TopicLog::new(Epoch::parse("e1").expect("not empty"), LogLimits::default());
/// assert_eq!(log.position().seq.number(), 0);
/// assert!(log.since(Duration::ZERO, &log.position(), 10).expect("at the top").is_empty());
/// ```
#[derive(Debug)]
pub struct TopicLog {
    sequencer: Sequencer,
    limits: LogLimits,
    /// The newest has the sequencer's top, each one before it one less.
    held: VecDeque<Held>,
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    at: Duration,
    publication: Publication,
}

impl TopicLog {
    /// An empty log of a new epoch.
    #[must_use]
    pub fn new(epoch: Epoch, limits: LogLimits) -> Self {
        Self { sequencer: Sequencer::new(epoch), limits, held: VecDeque::new(), bytes: 0 }
    }

    /// Stores a publication and numbers it; trims what is past the limits.
    pub fn push(&mut self, now: Duration, publication: Publication) -> Seq {
        let seq = self.sequencer.number();
        self.bytes += publication.cost();
        self.held.push_back(Held { at: now, publication });
        while self.held.len() > self.limits.messages || self.bytes > self.limits.bytes {
            self.trim_oldest();
        }
        self.trim_aged(now);
        seq
    }

    /// At most `limit` entries after `position`, oldest first, none missing between.
    ///
    /// # Errors
    /// The [`LogGap`] that says why there is no such run.
    pub fn since(&self, now: Duration, position: &Position, limit: usize) -> Result<Vec<(Seq, Publication)>, LogGap> {
        let wanted = usize::try_from(self.sequencer.after(position)?).unwrap_or(usize::MAX);
        let fresh = self.held.len() - self.aged(now);
        if wanted > fresh {
            return Err(LogGap::Trimmed);
        }
        let run = self.held.iter().skip(self.held.len() - wanted).take(limit);
        let mut seq = position.seq;
        Ok(run
            .map(|held| {
                seq = seq.next();
                (seq, held.publication.clone())
            })
            .collect())
    }

    /// Drops the oldest entry; returns the bytes that it held, 0 if there was none.
    pub fn trim_oldest(&mut self) -> usize {
        let freed = self.held.pop_front().map_or(0, |held| held.publication.cost());
        self.bytes -= freed;
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
        freed
    }

    /// Drops entries older than the age limit.
    pub fn trim_aged(&mut self, now: Duration) {
        for _ in 0..self.aged(now) {
            self.trim_oldest();
        }
    }

    /// When the oldest entry reaches the age limit; `None` if nothing is held.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.held.front().map(|held| held.at + self.limits.age)
    }

    /// The position of the newest entry ever stored.
    #[must_use]
    pub fn position(&self) -> Position {
        self.sequencer.position()
    }

    /// Bytes held, as [`Publication::cost`] counts them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Entries held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn aged(&self, now: Duration) -> usize {
        self.held.iter().take_while(|held| held.at + self.limits.age <= now).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use wse_protocol::{Format, Priority, UnixMillis};

    fn publication(size: usize) -> Publication {
        Publication {
            id: "m".into(),
            event_type: "t".into(),
            ts: UnixMillis(0),
            key: None,
            priority: Priority::Normal,
            format: Format::Json,
            payload: Bytes::from(vec![b'1'; size]),
        }
    }

    fn log(messages: usize, bytes: usize, age: u64) -> TopicLog {
        let epoch = Epoch::parse("e").expect("not empty");
        TopicLog::new(epoch, LogLimits { messages, bytes, age: Duration::from_secs(age) })
    }

    fn at(seq: u64) -> Position {
        Position { epoch: Epoch::parse("e").expect("not empty"), seq: Seq::new(seq).expect("small") }
    }

    fn numbers(run: Result<Vec<(Seq, Publication)>, LogGap>) -> Result<Vec<u64>, LogGap> {
        run.map(|entries| entries.iter().map(|(seq, _)| seq.number()).collect())
    }

    #[test]
    fn numbers_begin_at_one_and_a_read_is_contiguous() {
        let mut log = log(10, 1 << 20, 60);
        assert_eq!((1..=3).map(|_| log.push(Duration::ZERO, publication(1)).number()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(numbers(log.since(Duration::ZERO, &at(0), 10)), Ok(vec![1, 2, 3]));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(1), 1)), Ok(vec![2]));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(3), 9)), Ok(vec![]));
    }

    #[test]
    fn each_gap_has_its_reason() {
        let mut log = log(2, 1 << 20, 60);
        for _ in 0..3 {
            log.push(Duration::ZERO, publication(1));
        }
        assert_eq!(numbers(log.since(Duration::ZERO, &at(0), 9)), Err(LogGap::Trimmed));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(1), 9)), Ok(vec![2, 3]));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(4), 9)), Err(LogGap::Fork));
        let other = Position { epoch: Epoch::parse("x").expect("not empty"), seq: Seq::ZERO };
        assert_eq!(numbers(log.since(Duration::ZERO, &other, 9)), Err(LogGap::Epoch));
    }

    #[test]
    fn an_aged_entry_is_gone_even_before_it_is_trimmed() {
        let mut log = log(9, 1 << 20, 60);
        log.push(Duration::ZERO, publication(1));
        log.push(Duration::from_secs(30), publication(1));
        assert_eq!(log.poll_timeout(), Some(Duration::from_secs(60)));
        assert_eq!(numbers(log.since(Duration::from_secs(60), &at(0), 9)), Err(LogGap::Trimmed));
        assert_eq!(numbers(log.since(Duration::from_secs(60), &at(1), 9)), Ok(vec![2]));
        log.trim_aged(Duration::from_secs(90));
        assert!(log.is_empty() && log.bytes() == 0);
        assert_eq!(log.position(), at(2));
    }

    #[test]
    fn an_entry_above_the_byte_limit_is_numbered_but_not_held() {
        let mut log = log(9, 500, 60);
        log.push(Duration::ZERO, publication(1));
        assert_eq!(log.push(Duration::ZERO, publication(1000)).number(), 2);
        assert_eq!((log.len(), log.bytes()), (0, 0));
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_passed_and_what_is_held_is_the_newest_run(
            pushes in proptest::collection::vec((0u64..5, 0usize..300), 1..200),
            messages in 1usize..20, bytes in 100usize..4000, age in 1u64..20,
        ) {
            let mut log = log(messages, bytes, age);
            let mut now = Duration::ZERO;
            for (number, (wait, size)) in pushes.into_iter().enumerate() {
                now += Duration::from_secs(wait);
                prop_assert_eq!(log.push(now, publication(size)).number(), number as u64 + 1);
                prop_assert!(log.len() <= messages && log.bytes() <= bytes);
                prop_assert!(log.poll_timeout().is_none_or(|due| due > now));
                let top = number as u64 + 1;
                for since in 0..=top {
                    let run = numbers(log.since(now, &at(since), usize::MAX));
                    let held = top - since <= log.len() as u64;
                    prop_assert_eq!(run, if held { Ok((since + 1..=top).collect()) } else { Err(LogGap::Trimmed) });
                }
            }
        }
    }
}
