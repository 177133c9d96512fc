//! The hand-over from a bus to the hub: one queue, bounded by bytes.
use crate::BusEvent;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The bus's end. Dropping it, or `close`, ends the receiver once it has taken what is left.
#[derive(Debug)]
pub(crate) struct HandOver(Arc<Shared>);

/// The hub's end of a bus: what happened in the topics of interest, in order.
///
/// What waits here is bounded by the bus's `handover_bytes` (default 4 MiB, plus at most one message). Dropping it says that
/// nobody wants events: they are discarded from then on.
#[derive(Debug)]
pub struct EventReceiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    limit: usize,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<BusEvent>,
    bytes: usize,
    closed: bool,
    deserted: bool,
}

/// Both ends of a hand-over that admits an event as long as less than `limit` bytes wait.
pub(crate) fn handover(limit: usize) -> (HandOver, EventReceiver) {
    let shared = Arc::new(Shared { queue: Mutex::default(), limit, filled: Notify::new(), drained: Notify::new() });
    (HandOver(shared.clone()), EventReceiver(shared))
}

impl HandOver {
    /// Whether an event would be admitted now. Only the receiver makes room, so with one sender it stays true.
    pub(crate) fn has_room(&self) -> bool {
        let queue = self.0.lock();
        queue.deserted || queue.closed || queue.bytes < self.0.limit
    }

    /// Appends an event, room or not: ask `has_room` first.
    pub(crate) fn push(&self, event: BusEvent) {
        let mut queue = self.0.lock();
        if queue.deserted || queue.closed {
            return;
        }
        queue.bytes += cost(&event);
        queue.events.push_back(event);
        if queue.events.len() == 1 {
            self.0.filled.notify_one();
        }
    }

    /// Waits until there may be room; ask `has_room` again. Whoever used the room passes the turn on with `next_waiter`.
    /// Cancel safe.
    pub(crate) async fn wait_for_room(&self) {
        while !self.has_room() {
            self.0.drained.notified().await;
        }
    }

    /// Wakes the next that waits, if there still is room.
    pub(crate) fn next_waiter(&self) {
        if self.has_room() {
            self.0.drained.notify_one();
        }
    }

    /// Ends the receiver after what it has not taken yet, and every wait for room.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.0.filled.notify_one();
        self.0.drained.notify_one();
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        self.close();
    }
}

impl EventReceiver {
    /// Waits for events and moves at most `max` of them to the end of `out`, oldest first; returns how many. 0 means that
    /// the bus is closed and nothing is left. Cancel safe: a dropped call has taken nothing.
    pub async fn recv_many(&mut self, out: &mut Vec<BusEvent>, max: usize) -> usize {
        loop {
            if let Some(taken) = self.0.take(out, max.max(1)) {
                return taken;
            }
            self.0.filled.notified().await;
        }
    }

    /// Bytes that wait, about.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.0.lock().bytes
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        *queue = Queue { deserted: true, closed: queue.closed, ..Queue::default() };
        drop(queue);
        self.0.drained.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` while there is nothing but more may come.
    fn take(&self, out: &mut Vec<BusEvent>, max: usize) -> Option<usize> {
        let mut queue = self.lock();
        let count = queue.events.len().min(max);
        if count == 0 {
            return queue.closed.then_some(0);
        }
        let freed: usize = queue.events.iter().take(count).map(cost).sum();
        out.extend(queue.events.drain(..count));
        queue.bytes -= freed;
        if !queue.events.is_empty() {
            self.filled.notify_one();
        }
        drop(queue);
        self.drained.notify_one();
        Some(count)
    }
}

fn cost(event: &BusEvent) -> usize {
    match event {
        BusEvent::Entry(entry) => entry.publication.cost(),
        BusEvent::Reset { .. } => 128,
    }
}
