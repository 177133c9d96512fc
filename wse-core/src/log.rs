//! One topic's log: a ring of publications bounded by count, bytes and age, which numbers them and packs the payloads of old ones.
//!
//! Pure: `now` is the time since any fixed instant, the same one in every call.
use crate::Sequencer;
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc, time::Duration};
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

/// How much one read of a log gives: entries until there are as many, or until their cost has reached the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Entries at most.
    pub entries: usize,
    /// Bytes as [`Publication::cost`] counts them, after which no further entry follows: the last one may reach beyond.
    pub bytes: usize,
}

impl PageLimit {
    /// So many entries, of any size.
    #[must_use]
    pub fn entries(entries: usize) -> Self {
        Self { entries, bytes: usize::MAX }
    }

    /// Counts an entry of so many bytes; false, and nothing is counted, where the limit is reached.
    pub fn take(&mut self, bytes: usize) -> bool {
        let takes = !self.is_reached();
        if takes {
            self.entries -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        takes
    }

    /// Whether nothing more is taken.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.entries == 0 || self.bytes == 0
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
/// use wse_core::log::{LogLimits, PageLimit, TopicLog};
/// use wse_protocol::Epoch;
///
/// let log = TopicLog::new(Epoch::parse("e1").expect("not empty"), LogLimits::default());
/// assert_eq!(log.position().seq.number(), 0);
/// assert!(log.since(Duration::ZERO, &log.position(), PageLimit::entries(10)).expect("at the top").is_empty());
/// ```
#[derive(Debug)]
pub struct TopicLog {
    sequencer: Sequencer,
    limits: LogLimits,
    compress_after: Duration,
    /// The newest has the sequencer's top, each one before it one less.
    held: VecDeque<Held>,
    /// So many of the oldest are packed, or stay as they are.
    settled: usize,
    bytes: usize,
    counts: PackCounts,
}

/// What became of payloads that were old enough to be packed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PackCounts {
    /// Payloads packed.
    pub packed: u64,
    /// Bytes that it saved.
    pub saved: u64,
    /// Payloads left as they were: too small, or not smaller packed.
    pub skipped: u64,
}

impl std::ops::AddAssign for PackCounts {
    fn add_assign(&mut self, more: Self) {
        self.packed += more.packed;
        self.saved += more.saved;
        self.skipped += more.skipped;
    }
}

/// Bytes of payloads that one call packs, and the rest of the last: lz4 takes some 20 us for them.
const PACK_BYTES_PER_CALL: usize = 16 * 1024;

#[derive(Debug)]
struct Held {
    at: Duration,
    /// Its payload is packed where `plain` says how long it was.
    publication: Arc<Publication>,
    plain: Option<usize>,
}

impl Held {
    /// Packs the payload; true if that made it smaller.
    fn pack(&mut self) -> bool {
        let payload = &self.publication.payload;
        let packed = lz4_flex::block::compress(payload);
        let smaller = packed.len() < payload.len();
        if smaller {
            self.plain = Some(payload.len());
            let payload = Bytes::from(packed.into_boxed_slice());
            self.publication = Arc::new(Publication { payload, ..(*self.publication).clone() });
        }
        smaller
    }

    /// What it costs as it was pushed.
    fn plain_cost(&self) -> usize {
        let cost = self.publication.cost();
        self.plain.map_or(cost, |plain| cost - self.publication.payload.len() + plain)
    }

    /// As it was pushed.
    fn publication(&self) -> Arc<Publication> {
        let Some(size) = self.plain else { return self.publication.clone() };
        let plain = lz4_flex::block::decompress(&self.publication.payload, size);
        let payload = plain.expect("it was packed by us from as many bytes").into();
        Arc::new(Publication { payload, ..(*self.publication).clone() })
    }
}

impl TopicLog {
    /// An empty log of a new epoch.
    #[must_use]
    pub fn new(epoch: Epoch, limits: LogLimits) -> Self {
        let compress_after = Duration::from_millis(defaults::HISTORY_COMPRESS_AFTER_MS);
        let (sequencer, counts) = (Sequencer::new(epoch), PackCounts::default());
        Self { sequencer, limits, compress_after, held: VecDeque::new(), settled: 0, bytes: 0, counts }
    }

    /// From which age payloads of 512 bytes or more are kept as lz4, where that is smaller; default 30 s, `Duration::MAX`: never.
    /// Costs 1.3 us per KiB once, and 0.4 us for each read of one.
    #[must_use]
    pub fn compress_after(mut self, age: Duration) -> Self {
        self.compress_after = age;
        self
    }

    /// Stores a publication and numbers it; trims what is past the limits, and packs some of what is old.
    pub fn push(&mut self, now: Duration, publication: impl Into<Arc<Publication>>) -> Seq {
        let seq = self.sequencer.number();
        let publication = publication.into();
        self.bytes += publication.cost();
        self.held.push_back(Held { at: now, publication, plain: None });
        while self.held.len() > self.limits.messages || self.bytes > self.limits.bytes {
            self.trim_oldest();
        }
        self.handle_timeout(now);
        seq
    }

    /// Entries after `position`, oldest first, none missing between, as many as `limit` allows.
    ///
    /// # Errors
    /// The [`LogGap`] that says why there is no such run.
    pub fn since(&self, now: Duration, position: &Position, mut limit: PageLimit) -> Result<Vec<(Seq, Arc<Publication>)>, LogGap> {
        let wanted = usize::try_from(self.sequencer.after(position)?).unwrap_or(usize::MAX);
        let fresh = self.held.len() - self.aged(now);
        if wanted > fresh {
            return Err(LogGap::Trimmed);
        }
        let run = self.held.iter().skip(self.held.len() - wanted);
        let mut seq = position.seq;
        Ok(run
            .take_while(|held| limit.take(held.plain_cost()))
            .map(|held| {
                seq = seq.next();
                (seq, held.publication())
            })
            .collect())
    }

    /// Drops the oldest entry; returns the bytes that it held, 0 if there was none.
    pub fn trim_oldest(&mut self) -> usize {
        let freed = self.held.pop_front().map_or(0, |held| held.publication.cost());
        self.bytes -= freed;
        self.settled = self.settled.saturating_sub(1);
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
        freed
    }

    /// Drops entries older than the age limit, and packs some of what is old; call it again while `poll_timeout` is not after `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        for _ in 0..self.aged(now) {
            self.trim_oldest();
        }
        let mut left = PACK_BYTES_PER_CALL;
        while left > 0 && self.pack_at().is_some_and(|due| due <= now) {
            left = left.saturating_sub(self.pack_next());
        }
    }

    /// When the oldest entry reaches the age limit, or the next one is to be packed; `None` if there is nothing to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let aged = self.held.front().map(|held| held.at.saturating_add(self.limits.age));
        aged.into_iter().chain(self.pack_at()).min()
    }

    /// The position of the newest entry ever stored.
    #[must_use]
    pub fn position(&self) -> Position {
        self.sequencer.position()
    }

    /// What became of payloads that were old enough to be packed, since the last call.
    pub fn take_pack_counts(&mut self) -> PackCounts {
        std::mem::take(&mut self.counts)
    }

    /// Bytes held, as [`Publication::cost`] counts them, packed payloads as they are.
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
        self.held.iter().take_while(|held| held.at.saturating_add(self.limits.age) <= now).count()
    }

    fn pack_at(&self) -> Option<Duration> {
        self.held.get(self.settled)?.at.checked_add(self.compress_after)
    }

    /// Packs the oldest that is not settled; returns the bytes that this took to read.
    fn pack_next(&mut self) -> usize {
        let Some(held) = self.held.get_mut(self.settled) else { return 0 };
        self.settled += 1;
        let before = held.publication.payload.len();
        let worth = before >= defaults::HISTORY_COMPRESS_FROM_BYTES as usize;
        if worth && held.pack() {
            let saved = before - held.publication.payload.len();
            self.bytes -= saved;
            self.counts.packed += 1;
            self.counts.saved += saved as u64;
        } else {
            self.counts.skipped += 1;
        }
        if worth { before } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wse_protocol::{Format, Priority, UnixMillis};

    fn publication(size: usize) -> Publication {
        Publication {
            id: "m".into(),
            event_type: "t".into(),
            ts: UnixMillis(0),
            expires: None,
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

    fn numbers(run: Result<Vec<(Seq, Arc<Publication>)>, LogGap>) -> Result<Vec<u64>, LogGap> {
        run.map(|entries| entries.iter().map(|(seq, _)| seq.number()).collect())
    }

    #[test]
    fn numbers_begin_at_one_and_a_read_is_contiguous() {
        let mut log = log(10, 1 << 20, 60);
        assert_eq!((1..=3).map(|_| log.push(Duration::ZERO, publication(1)).number()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(numbers(log.since(Duration::ZERO, &at(0), PageLimit::entries(10))), Ok(vec![1, 2, 3]));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(1), PageLimit::entries(1))), Ok(vec![2]));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(3), PageLimit::entries(9))), Ok(vec![]));
        let bytes = |bytes| PageLimit { bytes, ..PageLimit::entries(9) };
        assert_eq!(numbers(log.since(Duration::ZERO, &at(0), bytes(1))), Ok(vec![1]));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(0), bytes(publication(1).cost() + 1))), Ok(vec![1, 2]));
    }

    #[test]
    fn each_gap_has_its_reason() {
        let mut log = log(2, 1 << 20, 60);
        for _ in 0..3 {
            log.push(Duration::ZERO, publication(1));
        }
        assert_eq!(numbers(log.since(Duration::ZERO, &at(0), PageLimit::entries(9))), Err(LogGap::Trimmed));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(1), PageLimit::entries(9))), Ok(vec![2, 3]));
        assert_eq!(numbers(log.since(Duration::ZERO, &at(4), PageLimit::entries(9))), Err(LogGap::Fork));
        let other = Position { epoch: Epoch::parse("x").expect("not empty"), seq: Seq::ZERO };
        assert_eq!(numbers(log.since(Duration::ZERO, &other, PageLimit::entries(9))), Err(LogGap::Epoch));
    }

    #[test]
    fn an_aged_entry_is_gone_even_before_it_is_trimmed() {
        let mut log = log(9, 1 << 20, 60);
        log.push(Duration::ZERO, publication(1));
        log.push(Duration::from_secs(30), publication(1));
        assert_eq!(log.poll_timeout(), Some(Duration::from_secs(60)));
        assert_eq!(numbers(log.since(Duration::from_secs(60), &at(0), PageLimit::entries(9))), Err(LogGap::Trimmed));
        assert_eq!(numbers(log.since(Duration::from_secs(60), &at(1), PageLimit::entries(9))), Ok(vec![2]));
        log.handle_timeout(Duration::from_secs(90));
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

    fn with_payload(payload: impl Into<Bytes>) -> Publication {
        Publication { payload: payload.into(), ..publication(0) }
    }

    fn plain(log: &TopicLog, now: Duration) -> Vec<Publication> {
        log.since(now, &at(0), PageLimit::entries(usize::MAX))
            .expect("nothing is trimmed")
            .into_iter()
            .map(|(_, publication)| (*publication).clone())
            .collect()
    }

    #[test]
    fn old_payloads_are_packed_and_a_replay_is_the_same_to_the_byte() {
        let mut log = log(1000, 1 << 30, 300);
        let text = |number: usize| format!("[{}]", vec![format!(r#"{{"symbol":"S{number}","price":1.25}}"#); 40].join(","));
        let all: Vec<_> = (0..100).map(|number| with_payload(text(number))).collect();
        for one in &all {
            log.push(Duration::ZERO, one.clone());
        }
        let before = log.bytes();
        log.handle_timeout(Duration::from_secs(29));
        assert_eq!((log.bytes(), log.poll_timeout()), (before, Some(Duration::from_secs(30))));
        let now = Duration::from_secs(30);
        while log.poll_timeout() <= Some(now) {
            log.handle_timeout(now);
        }
        assert!(log.bytes() * 4 < before, "{} of {before}", log.bytes());
        assert_eq!(log.take_pack_counts(), PackCounts { packed: 100, saved: (before - log.bytes()) as u64, skipped: 0 });
        assert_eq!(plain(&log, now), all);
        log.handle_timeout(Duration::from_secs(300));
        assert_eq!((log.len(), log.bytes()), (0, 0), "what is dropped is counted as it was held");
    }

    #[test]
    fn what_is_small_or_does_not_shrink_stays_as_it_is() {
        let mut log = log(1000, 1 << 30, 300);
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..4000).map(|_| noise()).collect();
        let all = [with_payload(vec![b'1'; 511]), with_payload(noise), with_payload(vec![b'1'; 512])];
        for one in &all {
            log.push(Duration::ZERO, one.clone());
        }
        log.handle_timeout(Duration::from_secs(30));
        let counts = log.take_pack_counts();
        assert_eq!((counts.packed, counts.skipped, log.take_pack_counts()), (1, 2, PackCounts::default()));
        assert_eq!(plain(&log, Duration::from_secs(30)), all);
    }

    #[test]
    fn a_log_that_shall_pack_nothing_does_not() {
        let mut log = log(1000, 1 << 30, 300).compress_after(Duration::MAX);
        log.push(Duration::from_secs(1), publication(5000));
        log.handle_timeout(Duration::from_secs(299));
        assert_eq!((log.take_pack_counts(), log.poll_timeout()), (PackCounts::default(), Some(Duration::from_secs(301))));
    }

    #[test]
    fn one_call_packs_a_bounded_amount() {
        let mut log = log(1000, 1 << 30, 300);
        for _ in 0..100 {
            log.push(Duration::ZERO, publication(4096));
        }
        log.handle_timeout(Duration::from_secs(30));
        assert_eq!(log.take_pack_counts().packed, 4);
        assert_eq!(log.poll_timeout(), Some(Duration::from_secs(30)), "there is more to do");
    }

    proptest! {
        #[test]
        fn packing_changes_neither_what_is_read_nor_the_sum_of_bytes(
            pushes in proptest::collection::vec((0u64..40, 0usize..3000, any::<u8>()), 1..80), messages in 1usize..30, bytes in 1000usize..30_000,
        ) {
            let (mut log, mut never) = (log(messages, bytes, 300), log(messages, usize::MAX, 300).compress_after(Duration::MAX));
            let mut now = Duration::ZERO;
            for (wait, size, byte) in pushes {
                now += Duration::from_secs(wait);
                let one = with_payload(vec![byte; size]);
                log.push(now, one.clone());
                never.push(now, one);
                let held = log.held.iter().map(|held| held.publication.cost()).sum::<usize>();
                prop_assert!(log.bytes() == held && held <= bytes && log.settled <= log.len());
                let top = log.position().seq.number();
                let from = at(top - log.len() as u64);
                prop_assert_eq!(log.since(now, &from, PageLimit::entries(usize::MAX)), never.since(now, &from, PageLimit::entries(usize::MAX)));
            }
        }

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
                    let run = numbers(log.since(now, &at(since), PageLimit::entries(usize::MAX)));
                    let held = top - since <= log.len() as u64;
                    prop_assert_eq!(run, if held { Ok((since + 1..=top).collect()) } else { Err(LogGap::Trimmed) });
                }
            }
        }
    }
}
