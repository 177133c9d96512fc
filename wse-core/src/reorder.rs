//! Brings what came out of order into order, within bounds of count, bytes and time; then it asks for recovery.
use std::{collections::BTreeMap, time::Duration};
use wse_protocol::Seq;

/// The bounds of a [`ReorderBuffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReorderLimits {
    /// Entries held.
    pub items: usize,
    /// Bytes held, as the sizes given to `push` count them.
    pub bytes: usize,
    /// How long what is missing may take before it is asked for; zero: at once.
    pub wait: Duration,
}

/// What became of a pushed entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was the next: it and those that followed it were handed over.
    Ready,
    /// It waits for what is before it.
    Held,
    /// It has been handed over before, or waits already.
    Old,
    /// Ask for everything after the last entry handed over. The entry itself is held if there is room. Said once; again only
    /// after something was handed over or `start`ed.
    Recover,
    /// There is no room, and recovery was asked for: it will bring this one too.
    Dropped,
}

/// What a [`ReorderBuffer`] has done so far. Repetitions and requests for recovery are not counted: `push` and `handle_timeout` say them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ReorderCounts {
    /// Entries handed over that had waited.
    pub reordered: u64,
    /// Entries for which there was no room.
    pub dropped: u64,
}

/// Entries of one log, handed over in ascending `seq`, each once.
///
/// Before `start` and after `stop` it does not know which entry is the next and holds whatever comes: what is live is held
/// while the log is read, and handed over behind it. `now` is the time since any fixed instant.
///
/// ```
/// use std::time::Duration;
/// use wse_core::{Pushed, ReorderBuffer, ReorderLimits};
/// use wse_protocol::Seq;
///
/// let seq = |number| Seq::new(number).expect("small");
/// let (now, mut got) = (Duration::ZERO, Vec::new());
/// let mut buffer = ReorderBuffer::new(ReorderLimits { items: 100, bytes: 10_000, wait: Duration::from_secs(1) });
/// buffer.start(now, seq(1), |item| got.push(item));
/// assert_eq!(buffer.push(now, seq(2), 1, "second", |item| got.push(item)), Pushed::Held);
/// assert_eq!(buffer.push(now, seq(1), 1, "first", |item| got.push(item)), Pushed::Ready);
/// assert_eq!(got, ["first", "second"]);
/// ```
#[derive(Debug)]
pub struct ReorderBuffer<T> {
    limits: ReorderLimits,
    /// The entry to hand over next; none while it is not known.
    next: Option<Seq>,
    held: BTreeMap<Seq, (usize, T)>,
    bytes: usize,
    /// The highest that ever came: up to it, all that is not held is missing.
    top: Option<Seq>,
    /// Since when something is missing without progress.
    missing_since: Option<Duration>,
    asked: bool,
    counts: ReorderCounts,
}

impl<T> ReorderBuffer<T> {
    /// An empty buffer that does not know yet which entry is the next.
    #[must_use]
    pub fn new(limits: ReorderLimits) -> Self {
        let counts = ReorderCounts::default();
        Self { limits, next: None, held: BTreeMap::new(), bytes: 0, top: None, missing_since: None, asked: false, counts }
    }

    /// `next` is the entry to hand over next: those before it were had in another way, or cannot be had. What follows it without
    /// a hole goes to `ready`.
    pub fn start(&mut self, now: Duration, next: Seq, mut ready: impl FnMut(T)) {
        let held = self.held.split_off(&next);
        let late = std::mem::replace(&mut self.held, held);
        self.bytes -= late.values().map(|(size, _)| size).sum::<usize>();
        self.next = Some(next);
        self.hand_over(now, &mut ready);
    }

    /// From here on the next entry is not known: whatever comes is held until `start`.
    pub fn stop(&mut self) {
        self.next = None;
        self.missing_since = None;
    }

    /// Forgets all that is held and what was seen, as after `new`: another log begins.
    pub fn clear(&mut self) {
        *self = Self { counts: self.counts, ..Self::new(self.limits) };
    }

    /// An entry of `size` bytes has come. It, and what waited for it, goes to `ready` if it is the next.
    pub fn push(&mut self, now: Duration, seq: Seq, size: usize, item: T, mut ready: impl FnMut(T)) -> Pushed {
        if self.next.is_some_and(|next| seq < next) || self.held.contains_key(&seq) {
            return Pushed::Old;
        }
        self.top = self.top.max(Some(seq));
        if self.next == Some(seq) {
            ready(item);
            self.next = Some(seq.next());
            self.hand_over(now, &mut ready);
            return Pushed::Ready;
        }
        let fits = self.hold(seq, size, item);
        if self.next.is_some() {
            self.missing_since.get_or_insert(now);
        }
        let outcome = if fits { Pushed::Held } else { Pushed::Dropped };
        if (!fits || self.is_due(now)) && self.ask() { Pushed::Recover } else { outcome }
    }

    /// Whether recovery must be asked for because what is missing has taken too long; said once, as by `push`.
    pub fn handle_timeout(&mut self, now: Duration) -> bool {
        self.is_due(now) && self.ask()
    }

    /// When what is missing has taken too long; `None` if nothing is, or it was asked for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.missing_since.filter(|_| !self.asked).map(|since| since.saturating_add(self.limits.wait))
    }

    /// Whether an entry below one that came is missing.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.next.is_some_and(|next| Some(next) <= self.top)
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

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it has seen so far.
    #[must_use]
    pub fn counts(&self) -> ReorderCounts {
        self.counts
    }

    fn hold(&mut self, seq: Seq, size: usize, item: T) -> bool {
        let fits = self.held.len() < self.limits.items && self.bytes.saturating_add(size) <= self.limits.bytes;
        if fits {
            self.held.insert(seq, (size, item));
            self.bytes += size;
        } else {
            self.counts.dropped += 1;
        }
        fits
    }

    /// Hands over the run that begins at `next`; the time of what is missing after it begins now.
    fn hand_over(&mut self, now: Duration, ready: &mut impl FnMut(T)) {
        while let Some(next) = self.next
            && let Some((size, item)) = self.held.remove(&next)
        {
            self.bytes -= size;
            self.counts.reordered += 1;
            ready(item);
            self.next = Some(next.next());
        }
        self.asked = false;
        self.missing_since = self.has_gap().then_some(now);
    }

    fn is_due(&self, now: Duration) -> bool {
        self.poll_timeout().is_some_and(|due| due <= now)
    }

    fn ask(&mut self) -> bool {
        let first = !self.asked;
        self.asked = true;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn seq(number: u64) -> Seq {
        Seq::new(number).expect("small")
    }

    fn buffer(items: usize, bytes: usize, wait: u64) -> ReorderBuffer<u64> {
        ReorderBuffer::new(ReorderLimits { items, bytes, wait: Duration::from_secs(wait) })
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_missing_is_asked_for_once_when_its_time_is_up() {
        let (mut buffer, mut got) = (buffer(10, 100, 5), Vec::new());
        buffer.start(at(0), seq(1), |item| got.push(item));
        assert_eq!(buffer.push(at(1), seq(3), 1, 3, |item| got.push(item)), Pushed::Held);
        assert_eq!(buffer.push(at(4), seq(4), 1, 4, |item| got.push(item)), Pushed::Held);
        assert_eq!((buffer.poll_timeout(), buffer.handle_timeout(at(5))), (Some(at(6)), false));
        assert!(buffer.handle_timeout(at(6)));
        assert!(!buffer.handle_timeout(at(7)) && buffer.poll_timeout().is_none());
        assert_eq!(buffer.push(at(7), seq(1), 1, 1, |item| got.push(item)), Pushed::Ready);
        assert_eq!(buffer.poll_timeout(), Some(at(12)), "2 is still missing: its time begins with the progress");
        assert_eq!(buffer.push(at(8), seq(2), 1, 2, |item| got.push(item)), Pushed::Ready);
        assert_eq!((got, buffer.poll_timeout(), buffer.bytes()), (vec![1, 2, 3, 4], None, 0));
    }

    #[test]
    fn one_that_found_no_room_is_known_to_be_missing() {
        let (mut buffer, mut got) = (buffer(1, 100, 5), Vec::new());
        buffer.start(at(0), seq(1), |item| got.push(item));
        assert_eq!(buffer.push(at(0), seq(2), 1, 2, |item| got.push(item)), Pushed::Held);
        assert_eq!(buffer.push(at(0), seq(3), 1, 3, |item| got.push(item)), Pushed::Recover);
        assert_eq!(buffer.push(at(0), seq(4), 1, 4, |item| got.push(item)), Pushed::Dropped);
        assert_eq!(buffer.push(at(1), seq(1), 1, 1, |item| got.push(item)), Pushed::Ready);
        assert_eq!((got, buffer.has_gap(), buffer.poll_timeout()), (vec![1, 2], true, Some(at(6))));
        assert_eq!(buffer.counts(), ReorderCounts { reordered: 1, dropped: 2 });
    }

    #[test]
    fn another_log_begins_empty() {
        let mut buffer = buffer(10, 100, 5);
        buffer.push(at(0), seq(9), 1, 9, |_| {});
        buffer.clear();
        buffer.start(at(0), seq(1), |_| panic!("9 was of the other log"));
        assert!(buffer.is_empty() && !buffer.has_gap() && buffer.bytes() == 0);
    }

    proptest! {
        /// Whatever order, repetition, bounds and restarts: what is handed over is contiguous, the bounds hold, and a gap is
        /// either being waited for or was asked for.
        #[test]
        fn what_is_handed_over_is_contiguous_and_no_gap_is_forgotten(
            items in 0usize..6, bytes in 0usize..60, wait in 0u64..4,
            steps in proptest::collection::vec((0u64..3, 0u64..30, 0usize..20, 0u8..10), 1..150),
        ) {
            let (mut buffer, mut got, mut now) = (buffer(items, bytes, wait), Vec::new(), at(0));
            let (mut next, mut floor, mut came, mut asked) = (None, 0, BTreeSet::new(), false);
            for (pause, number, size, kind) in steps {
                now += at(pause);
                match kind {
                    0 => {
                        buffer.stop();
                        next = None;
                    }
                    1 => {
                        // A log is not handed over twice.
                        let from = got.last().map_or(number, |last| number.max(last + 1)).max(floor);
                        (next, floor) = (Some(from), from);
                        buffer.start(now, seq(from), |item| got.push(item));
                    }
                    _ => {
                        let outcome = buffer.push(now, seq(number), size, number, |item| got.push(item));
                        came.insert(number);
                        asked |= outcome == Pushed::Recover;
                        prop_assert_eq!(outcome == Pushed::Ready, next == Some(number));
                    }
                }
                if next.is_some() {
                    let first = got.iter().position(|item| Some(*item) == next);
                    if let Some(first) = first {
                        let run = &got[first..];
                        prop_assert!(run.windows(2).all(|pair| pair[1] == pair[0] + 1));
                        next = run.last().map(|last| last + 1);
                    }
                    let gap = came.iter().any(|seq| Some(*seq) >= next);
                    prop_assert_eq!(buffer.has_gap(), gap);
                    prop_assert!(!gap || buffer.poll_timeout().is_some() || asked);
                }
                prop_assert!(got.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(buffer.len() <= items && buffer.bytes() <= bytes);
            }
        }
    }
}
