//! What waits, by priority: five levels under one bound of count and bytes.
use std::collections::VecDeque;
use wse_protocol::Priority;

const LEVELS: usize = 5;

/// The bounds of a [`PriorityQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Items, of all levels together.
    pub items: usize,
    /// Bytes, as the sizes given to `push` count them. One item always fits into an empty queue, however large.
    pub bytes: usize,
}

/// An item that the queue gave up, or did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped<T> {
    /// Its priority.
    pub priority: Priority,
    /// The item.
    pub item: T,
}

/// First in, first out within a priority; the highest priority first.
///
/// When it is full, the lowest level gives up its newest for a higher one. An item that is itself the newest of the lowest is
/// not taken. An item that would not fit even then displaces nothing, but for `Critical`: that is not refused while anything
/// lower waits. Every drop is returned.
///
/// ```
/// use wse_core::{PriorityQueue, QueueLimits};
/// use wse_protocol::Priority::{Critical, Low};
///
/// let mut queue = PriorityQueue::new(QueueLimits { items: 2, bytes: 1000 });
/// queue.push(Low, 10, "older");
/// queue.push(Low, 10, "newer");
/// assert_eq!(queue.push(Critical, 10, "alarm")[0].item, "newer");
/// assert_eq!(queue.pop(), Some((Critical, "alarm")));
/// ```
#[derive(Debug)]
pub struct PriorityQueue<T> {
    limits: QueueLimits,
    /// From `Background` to `Critical`.
    levels: [Level<T>; LEVELS],
    items: usize,
    bytes: usize,
    dropped: [u64; LEVELS],
}

#[derive(Debug)]
struct Level<T> {
    waiting: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> PriorityQueue<T> {
    /// An empty queue; it allocates nothing before the first push.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        let levels = std::array::from_fn(|_| Level { waiting: VecDeque::new(), bytes: 0 });
        Self { limits, levels, items: 0, bytes: 0, dropped: [0; LEVELS] }
    }

    /// Queues an item of `size` bytes; returns what was given up for it, newest first, or the item itself at the end.
    pub fn push(&mut self, priority: Priority, size: usize, item: T) -> Vec<Dropped<T>> {
        let mut dropped = Vec::new();
        if priority == Priority::Critical || self.could_fit(priority, size) {
            while !self.fits(self.items, self.bytes, size) {
                let Some(lower) = self.drop_below(priority) else { break };
                dropped.push(lower);
            }
        }
        if self.fits(self.items, self.bytes, size) {
            self.put(priority, size, item);
        } else {
            self.dropped[priority as usize] += 1;
            dropped.push(Dropped { priority, item });
        }
        dropped
    }

    /// Takes the oldest of the highest priority.
    pub fn pop(&mut self) -> Option<(Priority, T)> {
        Priority::ALL.into_iter().rev().find_map(|priority| {
            let level = &mut self.levels[priority as usize];
            let (size, item) = level.waiting.pop_front()?;
            self.forget(priority, size);
            Some((priority, item))
        })
    }

    /// The oldest of the highest priority.
    #[must_use]
    pub fn peek(&self) -> Option<(Priority, &T)> {
        let first = |priority: Priority| Some((priority, &self.levels[priority as usize].waiting.front()?.1));
        Priority::ALL.into_iter().rev().find_map(first)
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Items of this priority dropped so far.
    #[must_use]
    pub fn dropped(&self, priority: Priority) -> u64 {
        self.dropped[priority as usize]
    }

    fn fits(&self, items: usize, bytes: usize, size: usize) -> bool {
        items == 0 || (items < self.limits.items && bytes.saturating_add(size) <= self.limits.bytes)
    }

    /// Whether it would fit if everything below it were given up.
    fn could_fit(&self, priority: Priority, size: usize) -> bool {
        let stays = &self.levels[priority as usize..];
        let items = stays.iter().map(|level| level.waiting.len()).sum();
        self.fits(items, stays.iter().map(|level| level.bytes).sum(), size)
    }

    fn drop_below(&mut self, priority: Priority) -> Option<Dropped<T>> {
        Priority::ALL.into_iter().take_while(|lower| *lower < priority).find_map(|lower| {
            let (size, item) = self.levels[lower as usize].waiting.pop_back()?;
            self.forget(lower, size);
            self.dropped[lower as usize] += 1;
            Some(Dropped { priority: lower, item })
        })
    }

    fn put(&mut self, priority: Priority, size: usize, item: T) {
        let level = &mut self.levels[priority as usize];
        level.waiting.push_back((size, item));
        level.bytes += size;
        self.items += 1;
        self.bytes += size;
    }

    /// An item of this size has left the level.
    fn forget(&mut self, priority: Priority, size: usize) {
        let level = &mut self.levels[priority as usize];
        level.bytes -= size;
        if level.waiting.is_empty() {
            level.waiting = VecDeque::new();
        }
        self.items -= 1;
        self.bytes -= size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{Background, Critical, High, Low, Normal};
    use proptest::prelude::*;

    fn queue(items: usize, bytes: usize) -> PriorityQueue<u32> {
        PriorityQueue::new(QueueLimits { items, bytes })
    }

    fn names(dropped: &[Dropped<u32>]) -> Vec<u32> {
        dropped.iter().map(|one| one.item).collect()
    }

    fn drain(queue: &mut PriorityQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop().map(|(_, item)| item)).collect()
    }

    #[test]
    fn the_highest_goes_first_and_each_level_keeps_its_order() {
        let mut queue = queue(10, 1000);
        for (item, priority) in [Low, Critical, Normal, Low, High, Background, Critical].into_iter().enumerate() {
            assert!(queue.push(priority, 10, item as u32).is_empty());
        }
        assert_eq!(queue.peek(), Some((Critical, &1)));
        assert_eq!(drain(&mut queue), [1, 6, 4, 2, 0, 3, 5]);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn when_full_the_newest_of_the_lowest_gives_way_to_a_higher_one_only() {
        let mut queue = queue(3, 1000);
        for (item, priority) in [(1, Background), (2, Background), (3, Low)] {
            queue.push(priority, 1, item);
        }
        assert_eq!(names(&queue.push(Background, 1, 4)), [4], "the newest of the lowest is the one that comes");
        assert_eq!(names(&queue.push(Normal, 1, 5)), [2]);
        assert_eq!(names(&queue.push(Normal, 1, 6)), [1]);
        assert_eq!(names(&queue.push(Low, 1, 7)), [7]);
        assert_eq!(names(&queue.push(Critical, 1, 8)), [3]);
        assert_eq!(drain(&mut queue), [8, 5, 6]);
        assert_eq!((queue.dropped(Background), queue.dropped(Low), queue.dropped(Critical)), (3, 2, 0));
    }

    #[test]
    fn as_many_give_way_as_the_bytes_need() {
        let mut queue = queue(100, 100);
        for item in 0..5 {
            queue.push(Low, 20, item);
        }
        assert_eq!(names(&queue.push(High, 50, 9)), [4, 3, 2]);
        assert_eq!(queue.bytes(), 90);
    }

    #[test]
    fn what_could_never_fit_displaces_nothing_and_one_alone_always_fits() {
        let mut queue = queue(100, 100);
        assert!(queue.push(Normal, 5000, 0).is_empty(), "one alone");
        assert_eq!(names(&queue.push(High, 50, 1)), [0]);
        queue.push(Low, 50, 2);
        assert_eq!(names(&queue.push(High, 60, 3)), [3]);
        assert_eq!(drain(&mut queue), [1, 2]);
    }

    #[test]
    fn critical_is_refused_only_when_nothing_lower_waits() {
        let mut queue = queue(100, 100);
        queue.push(Critical, 60, 0);
        queue.push(High, 30, 1);
        assert_eq!(names(&queue.push(Critical, 50, 2)), [1, 2]);
        assert!(queue.push(Critical, 40, 3).is_empty());
        assert_eq!(drain(&mut queue), [0, 3]);
    }

    proptest! {
        /// Against the rules said plainly: bounds, order, nothing lost unsaid, who gives way.
        #[test]
        fn the_rules_hold_after_every_step(
            items in 1usize..8, bytes in 50usize..300,
            steps in proptest::collection::vec((0usize..5, 0usize..120, any::<bool>()), 1..200),
        ) {
            let mut queue = queue(items, bytes);
            // What waits, oldest first.
            let mut model: Vec<(Priority, usize, u32)> = Vec::new();
            for (number, (level, size, pops)) in steps.into_iter().enumerate() {
                let (number, priority) = (number as u32, Priority::ALL[level]);
                model.push((priority, size, number));
                let dropped = queue.push(priority, size, number);
                for gone in &dropped {
                    let lowest = model.iter().map(|one| one.0).min().expect("it holds the dropped one");
                    let newest = model.iter().filter(|one| one.0 == lowest).map(|one| one.2).max();
                    // One that could not fit in any way is dropped although lower ones wait.
                    prop_assert!(Some(gone.item) == newest || (gone.item == number && priority != Critical && dropped.len() == 1));
                    model.retain(|one| one.2 != gone.item);
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.bytes(), model.iter().map(|one| one.1).sum::<usize>());
                prop_assert!(queue.len() == 1 || (queue.len() <= items && queue.bytes() <= bytes));
                if pops {
                    let first = model.iter().max_by_key(|one| (one.0, std::cmp::Reverse(one.2))).copied();
                    prop_assert_eq!(queue.pop(), first.map(|one| (one.0, one.2)));
                    model.retain(|one| Some(one.2) != first.map(|first| first.2));
                }
            }
        }
    }
}
