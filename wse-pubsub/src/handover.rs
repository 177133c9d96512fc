//! The hand-over from a bus to one consumer: a queue bounded by bytes, in which what waits of a topic is one run.
use crate::{BusEvent, Run};
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Release, SeqCst},
        },
    },
    task::{Context, Poll, Waker},
};
use tokio::sync::Notify;
use wse_protocol::{Position, Publication, Topic};

/// The bus's end. Dropping it, or `close`, ends the receiver once it has taken what is left.
#[derive(Debug)]
pub(crate) struct HandOver(Arc<Shared>);

/// A consumer's end of a bus: what happened in the topics and patterns of its interest.
///
/// What waits here is bounded by the bus's `handover_bytes` (default 4 MiB, plus at most one message). A look costs one lock,
/// however much is taken. Dropping it says that nobody wants events: they are discarded from then on.
#[derive(Debug)]
pub struct EventReceiver(Arc<Shared>);

/// Where in the queue the last run of a topic stands, if it has not been taken yet. One per topic and consumer.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Place(Option<u64>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    limit: usize,
    /// Bytes that wait, as `queue` counted them last; 0 once nobody takes or gives any more.
    backlog: AtomicUsize,
    ended: AtomicBool,
    /// Publishers that wait for room.
    waiting: AtomicUsize,
    drained: Notify,
    /// Notified whenever something was taken from any queue of the bus.
    taken: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<BusEvent>,
    /// The place of the first event: how many were taken before it.
    taken: u64,
    messages: usize,
    bytes: usize,
    closed: bool,
    deserted: bool,
    waker: Option<Waker>,
}

/// Both ends of a hand-over for each of `consumers` (1 to 64), each of which admits an event as long as less than `limit` bytes
/// wait in it; `taken` is notified whenever something was taken from any of them.
pub(crate) fn handovers(consumers: usize, limit: usize, taken: &Arc<Notify>) -> (Vec<HandOver>, Vec<EventReceiver>) {
    let handover = |_| {
        let (queue, backlog, waiting) = (Mutex::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let (ended, drained, taken) = (AtomicBool::new(false), Notify::new(), taken.clone());
        let shared = Arc::new(Shared { queue, limit, backlog, ended, waiting, drained, taken });
        (HandOver(shared.clone()), EventReceiver(shared))
    };
    (0..consumers.clamp(1, MOST_CONSUMERS)).map(handover).unzip()
}

/// Consumers of one bus: as many as a word has bits.
const MOST_CONSUMERS: usize = 64;

impl HandOver {
    /// Whether an event would be admitted now. Only the receiver makes room, so with one sender it stays true.
    pub(crate) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Appends an event, room or not: ask `has_room` first. True if the receiver must be woken, by `wake`.
    #[must_use]
    pub(crate) fn push(&self, event: BusEvent) -> bool {
        let mut queue = self.0.lock();
        let bytes = cost(&event);
        queue.admits() && self.0.count(&mut queue, 1, bytes, |queue| queue.events.push_back(event))
    }

    /// Appends a message to its topic's run, or begins one; otherwise as `push`.
    #[must_use]
    pub(crate) fn push_entry(&self, place: &mut Place, topic: &Topic, position: &Position, publication: Arc<Publication>) -> bool {
        self.push_run(place, topic, position, &[publication])
    }

    /// `push_entry` of consecutive messages, the first of which stands at `position`; at least one.
    #[must_use]
    pub(crate) fn push_run(&self, place: &mut Place, topic: &Topic, position: &Position, publications: &[Arc<Publication>]) -> bool {
        let mut queue = self.0.lock();
        let (bytes, messages) = (publications.iter().map(|publication| publication.cost()).sum(), publications.len());
        queue.admits() && self.0.count(&mut queue, messages, bytes, |queue| queue.append(place, topic, position, publications))
    }

    /// Bytes that are admitted now, about; the last message may reach beyond.
    pub(crate) fn room(&self) -> usize {
        if self.0.ended.load(SeqCst) { usize::MAX } else { self.0.limit.saturating_sub(self.0.backlog.load(SeqCst)) }
    }

    /// Wakes the receiver.
    pub(crate) fn wake(&self) {
        let waker = self.0.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits until there may be room; ask `has_room` again. Whoever used the room passes the turn on with `next_waiter`.
    /// Cancel safe.
    pub(crate) async fn wait_for_room(&self) {
        let waiting = Waiting::new(&self.0);
        while !self.has_room() {
            self.0.drained.notified().await;
        }
        drop(waiting);
    }

    /// Wakes the next that waits, if there still is room.
    pub(crate) fn next_waiter(&self) {
        if self.0.waiting.load(SeqCst) > 0 && self.has_room() {
            self.0.drained.notify_one();
        }
    }

    /// Ends the receiver after what it has not taken yet, and every wait for room.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.0.end();
        self.wake();
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        self.close();
    }
}

impl EventReceiver {
    /// Waits for events and moves them to the end of `out`: as many as hold `max` messages, and at least one. Returns how many
    /// events; 0 means that the bus is closed and nothing is left. Cancel safe: a dropped call has taken nothing.
    pub async fn recv_many(&mut self, out: &mut Vec<BusEvent>, max: usize) -> usize {
        poll_fn(|context| self.poll_recv_many(context, out, max)).await
    }

    /// `recv_many` for a loop of one's own: where nothing waits, the context's waker is woken once when something comes.
    pub fn poll_recv_many(&mut self, context: &mut Context<'_>, out: &mut Vec<BusEvent>, max: usize) -> Poll<usize> {
        let mut queue = self.0.lock();
        if queue.events.is_empty() && !queue.closed {
            queue.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.0.take(queue, out, max))
    }

    /// `recv_many` of what waits now: `Some(0)` where nothing does, `None` where nothing ever will. Registers no waker.
    pub fn try_recv_many(&mut self, out: &mut Vec<BusEvent>, max: usize) -> Option<usize> {
        let queue = self.0.lock();
        let over = queue.events.is_empty() && queue.closed;
        (!over).then(|| self.0.take(queue, out, max))
    }

    /// Bytes that wait, about.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.0.backlog.load(SeqCst)
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        let dropped = Queue { deserted: true, closed: queue.closed, ..Queue::default() };
        let events = std::mem::replace(&mut *queue, dropped);
        drop(queue);
        drop(events);
        self.0.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what `append` adds; true if the queue was empty before.
    fn count(&self, queue: &mut Queue, messages: usize, bytes: usize, append: impl FnOnce(&mut Queue)) -> bool {
        let first = queue.events.is_empty();
        append(queue);
        queue.messages += messages;
        queue.bytes += bytes;
        // Only who takes must be seen before those that wait are counted.
        self.backlog.store(queue.bytes, Release);
        first
    }

    fn take(&self, mut queue: MutexGuard<'_, Queue>, out: &mut Vec<BusEvent>, max: usize) -> usize {
        let before = out.len();
        if queue.messages <= max {
            queue.take_all(out);
        } else {
            queue.take_some(out, max);
        }
        self.backlog.store(queue.bytes, SeqCst);
        drop(queue);
        if self.waiting.load(SeqCst) > 0 {
            self.drained.notify_one();
        }
        self.taken.notify_one();
        out.len() - before
    }

    /// Nobody needs to wait any more.
    fn end(&self) {
        self.ended.store(true, SeqCst);
        self.drained.notify_waiters();
        self.drained.notify_one();
        self.taken.notify_one();
    }
}

impl Queue {
    fn admits(&self) -> bool {
        !self.closed && !self.deserted
    }

    fn append(&mut self, place: &mut Place, topic: &Topic, position: &Position, publications: &[Arc<Publication>]) {
        let waiting = place.0.and_then(|at| self.events.get_mut(usize::try_from(at.checked_sub(self.taken)?).ok()?));
        if let Some(BusEvent::Run(run)) = waiting {
            run.publications.extend_from_slice(publications);
            return;
        }
        place.0 = Some(self.taken + self.events.len() as u64);
        let (topic, epoch, first) = (topic.clone(), position.epoch.clone(), position.seq);
        self.events.push_back(BusEvent::Run(Run { topic, epoch, first, publications: publications.to_vec() }));
    }

    fn take_all(&mut self, out: &mut Vec<BusEvent>) {
        self.taken += self.events.len() as u64;
        out.extend(self.events.drain(..));
        (self.messages, self.bytes) = (0, 0);
    }

    fn take_some(&mut self, out: &mut Vec<BusEvent>, max: usize) {
        let (mut count, mut messages) = (0, 0);
        for event in &self.events {
            messages += event.messages();
            if count > 0 && messages > max {
                messages -= event.messages();
                break;
            }
            count += 1;
            self.bytes -= cost(event);
        }
        self.taken += count as u64;
        self.messages -= messages;
        out.extend(self.events.drain(..count));
    }
}

/// One publisher that waits.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, SeqCst);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

fn cost(event: &BusEvent) -> usize {
    match event {
        BusEvent::Run(run) => run.publications.iter().map(|publication| publication.cost()).sum(),
        BusEvent::Reset { .. } | BusEvent::Born { .. } | BusEvent::BirthsReset { .. } => 256,
    }
}
