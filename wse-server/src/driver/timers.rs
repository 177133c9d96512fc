//! When which place of the slab is due: a heap, entered lazily, so that a connection that is busy moves nothing in it.
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

/// Deadlines of places. Each place has one entry that counts, and at most a few that do not any more.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

/// What a place remembers of its entry.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Armed(Option<Instant>);

/// How much later than due a place may be called. Many deadlines within it cost one wake-up.
const SLACK: Duration = Duration::from_millis(5);

impl Timers {
    /// A place is due at `due`: an entry is made only if it has none as early.
    pub(super) fn arm(&mut self, place: usize, armed: &mut Armed, due: Option<Instant>) {
        let Some(due) = due else { return };
        if armed.0.is_none_or(|entered| due < entered) {
            armed.0 = Some(due);
            self.heap.push(Reverse((due, place)));
        }
    }

    /// When `pop` gives something.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due + SLACK)
    }

    /// The next place whose entry has come, and the entry's time; ask [`Armed::take`] whether it still counts.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let Reverse((due, place)) = *self.heap.peek()?;
        (due <= now).then(|| self.heap.pop());
        (due <= now).then_some((place, due))
    }
}

impl Armed {
    /// Whether this entry is the one that counts; then there is none any more.
    pub(super) fn take(&mut self, entry: Instant) -> bool {
        let counts = self.0 == Some(entry);
        if counts {
            self.0 = None;
        }
        counts
    }
}
