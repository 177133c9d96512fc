//! One topic in the hub: where it stands, and who is in it, by filter class.
use super::filters::{Filters, HeldFilter};
use super::pin::Pin;
use crate::{connection::Connection, host::ConnectionId, policy::TopicPolicy};
use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;
use wse_core::{Chunk, Run, Variant, filter::Filter};
use wse_protocol::{Position, Seq, Topic};
use wse_pubsub::HistoryGap;

/// A topic that somebody follows, or is about to.
#[derive(Debug)]
pub(super) struct Record {
    /// The position of the last entry that reached the hub, or where the interest began.
    pub(super) position: Option<Position>,
    pub(super) policy: Arc<TopicPolicy>,
    /// Subscribers by what of the topic they have; few.
    pub(super) classes: Vec<Class>,
    /// Subscribers, and requests that wait for the bus.
    pub(super) users: usize,
    /// What is held of it for those who wait for its state.
    pub(super) pin: Weak<RefCell<Pin>>,
    /// Whether it is among the topics of which something is to be told soon.
    pub(super) is_quiet: bool,
    /// Set once the bus knows of the interest; one request asks, the others wait for it.
    pub(super) interest: Rc<OnceCell<()>>,
}

/// Subscribers with one filter, or none: they share every frame of their wire variant.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) filter: Option<HeldFilter>,
    /// The last message that passed, or where the class began.
    pub(super) previous: Seq,
    /// Since when there is something that did not pass, after the last message or beacon.
    pub(super) quiet_since: Option<Instant>,
    pub(super) members: HashMap<ConnectionId, Subscriber>,
}

/// A connection in a topic.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) connection: Rc<Connection>,
    pub(super) state: State,
    /// Keeps what follows the state that it waits for, or was brought, until it has caught up.
    pub(super) pin: Option<Rc<RefCell<Pin>>>,
    /// The position that its last beacon or answer told.
    pub(super) told: Seq,
    /// Asked for by name.
    pub(super) by_name: bool,
    /// Stands for by a pattern.
    pub(super) by_pattern: bool,
    /// Times that it lost messages lately: a third within the window is one too many.
    resyncs: (u8, Option<Instant>),
}

#[derive(Debug)]
pub(super) enum State {
    /// Gets what is above this.
    Live(Seq),
    /// Gets nothing before the topic's state, which is at least as new as this; the ticket tells who brings it.
    Waiting { after: Position, ticket: u64 },
    /// Gets nothing that comes: the log is to be read after this position.
    Behind { after: Position, buffer: Option<Buffer> },
}

/// What came while the log was being read.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) runs: Vec<Arc<Run>>,
    bytes: usize,
    /// More came than may be buffered, or the topic went on elsewhere: it is in the log.
    pub(super) broken: Option<HistoryGap>,
}

/// Messages lost so often within this time make a connection one that cannot follow.
const RESYNC_WINDOW: Duration = Duration::from_secs(60);
const RESYNCS: u8 = 3;

impl Record {
    pub(super) fn new(policy: Arc<TopicPolicy>) -> Self {
        Self { position: None, policy, classes: Vec::new(), users: 0, pin: Weak::new(), is_quiet: false, interest: Rc::default() }
    }

    pub(super) fn has_passed(&self, position: &Position) -> bool {
        self.position.as_ref().is_some_and(|ours| ours.epoch == position.epoch && ours.seq >= position.seq)
    }

    pub(super) fn member(&self, id: ConnectionId) -> Option<(&Class, &Subscriber)> {
        self.classes.iter().find_map(|class| Some((class, class.members.get(&id)?)))
    }

    pub(super) fn subscriber(&mut self, id: ConnectionId) -> Option<&mut Subscriber> {
        self.classes.iter_mut().find_map(|class| class.members.get_mut(&id))
    }

    /// The last message of a filtered topic that a connection got, where it gets what comes.
    pub(super) fn passed(&self, id: ConnectionId) -> Option<Seq> {
        let (class, subscriber) = self.member(id)?;
        (class.filter.is_some() && matches!(subscriber.state, State::Live(_))).then_some(class.previous)
    }

    /// Takes a connection out; a class that nobody is left in goes too.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Subscriber> {
        let subscriber = self.classes.iter_mut().find_map(|class| class.members.remove(&id));
        self.classes.retain(|class| !class.members.is_empty());
        subscriber
    }

    /// Puts a connection into the class of a filter, which is made where there is none; returns the subscriber that it was before.
    /// `None` where the topic has its most filters: nothing has changed then.
    pub(super) fn enter(
        &mut self,
        topic: &Topic,
        filter: Option<Arc<Filter>>,
        filters: &Arc<Filters>,
        subscriber: Subscriber,
    ) -> Option<Option<Subscriber>> {
        let id = subscriber.connection.id;
        let class = self.class(topic, filter, filters, id)?;
        let earlier = self.classes.iter_mut().find_map(|class| class.members.remove(&id));
        self.classes.get_mut(class)?.members.insert(id, subscriber);
        self.classes.retain(|class| !class.members.is_empty());
        Some(earlier)
    }

    /// Moves a subscriber, as it is, into the class of another filter. `None` where the topic has its most filters: nothing has changed
    /// then.
    pub(super) fn refilter(&mut self, topic: &Topic, filter: Option<Arc<Filter>>, filters: &Arc<Filters>, id: ConnectionId) -> Option<()> {
        let class = self.class(topic, filter, filters, id)?;
        let mut subscriber = self.classes.iter_mut().find_map(|class| class.members.remove(&id))?;
        // What is buffered for it was judged by the filter that it had: the log has it.
        subscriber.breaks(HistoryGap::Trimmed);
        self.classes.get_mut(class)?.members.insert(id, subscriber);
        self.classes.retain(|class| !class.members.is_empty());
        Some(())
    }

    /// Where the class of a filter stands. `id` leaves the one that it is in.
    fn class(&mut self, topic: &Topic, filter: Option<Arc<Filter>>, filters: &Arc<Filters>, id: ConnectionId) -> Option<usize> {
        if let Some(known) = self.classes.iter().position(|class| class.has(filter.as_deref())) {
            return Some(known);
        }
        let alone = |class: &&Class| class.members.len() == 1 && class.members.contains_key(&id);
        let leaving = self.classes.iter().find(alone).and_then(|class| class.filter.as_ref());
        let held = match filter {
            Some(filter) => Some(filters.take(topic, filter, leaving)?),
            None => None,
        };
        let previous = self.position.as_ref().map_or(Seq::ZERO, |position| position.seq);
        self.classes.push(Class { filter: held, previous, quiet_since: None, members: HashMap::new() });
        Some(self.classes.len() - 1)
    }
}

impl Class {
    /// The filter was put to a run of messages; true if the last did not pass, so that the class is to be told where the topic stands.
    pub(super) fn judged(&mut self, passes: &[bool], now: Instant) -> bool {
        let kept = passes.last() == Some(&false);
        let since = if passes.contains(&true) { now } else { self.quiet_since.unwrap_or(now) };
        self.quiet_since = kept.then_some(since);
        kept
    }

    /// Whether its filter is this one.
    pub(super) fn has(&self, filter: Option<&Filter>) -> bool {
        self.filter.as_deref() == filter
    }
}

impl Subscriber {
    pub(super) fn new(connection: Rc<Connection>, after: Position) -> Self {
        let state = State::Behind { after, buffer: Some(Buffer::default()) };
        Self { connection, state, pin: None, told: Seq::ZERO, by_name: false, by_pattern: false, resyncs: (0, None) }
    }

    /// The variant that it gets frames in: what may be left out one by one is not batched.
    pub(super) fn variant(&self, policy: &TopicPolicy) -> Variant {
        let variant = self.connection.variant();
        match policy.slow {
            wse_core::SlowPolicy::Latest | wse_core::SlowPolicy::DropLow => variant.single(),
            _ => variant,
        }
    }

    /// The last message that was handed over or did not pass its filter, where the topic is at `now_at`.
    pub(super) fn examined(&self, now_at: &Position) -> Position {
        match &self.state {
            State::Waiting { after, .. } | State::Behind { after, .. } => after.clone(),
            State::Live(_) => now_at.clone(),
        }
    }

    /// Whether it reads its log now and so will find for itself what was lost.
    pub(super) fn breaks(&mut self, reason: HistoryGap) -> bool {
        match &mut self.state {
            State::Behind { buffer: Some(buffer), .. } => {
                buffer.broken = Some(reason);
                true
            }
            _ => false,
        }
    }

    /// It lost messages; true if that happens too often.
    pub(super) fn lost(&mut self, now: Instant) -> bool {
        let (count, since) = &mut self.resyncs;
        if since.is_none_or(|since| now.saturating_duration_since(since) > RESYNC_WINDOW) {
            (*count, *since) = (0, Some(now));
        }
        *count += 1;
        *count >= RESYNCS
    }
}

impl Buffer {
    /// The frames after `seq`; none where the buffer did not hold, or a batch lies on both sides of it: its messages after `seq` are
    /// to be read from the log.
    pub(super) fn after(&self, seq: Seq) -> Option<Vec<Chunk>> {
        if self.broken.is_some() {
            return None;
        }
        let mut chunks = self.runs.iter().map(|run| run.after(seq)).collect::<Option<Vec<_>>>()?;
        chunks.retain(|chunk| !chunk.is_empty());
        Some(chunks)
    }

    pub(super) fn push(&mut self, run: &Arc<Run>, limit: usize) {
        self.bytes += run.whole().len();
        if self.bytes > limit {
            self.broken = Some(HistoryGap::Trimmed);
            self.runs = Vec::new();
        }
        if self.broken.is_none() {
            self.runs.push(run.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wse_core::{Moment, Numbered, Wire, WireConfig};
    use wse_protocol::{Epoch, Format, Priority, Publication, Topic, UnixMillis};

    fn seq(number: u64) -> Seq {
        Seq::new(number).expect("small")
    }

    #[test]
    fn a_buffer_with_a_batch_on_both_sides_of_what_was_read_does_not_do() {
        let (topic, epoch) = (Topic::parse("t").expect("a name"), Epoch::parse("e").expect("short"));
        let publication = Publication {
            id: "m".into(),
            event_type: "t".into(),
            ts: UnixMillis(0),
            expires: None,
            key: None,
            priority: Priority::Normal,
            format: Format::Json,
            payload: "1".into(),
        };
        let messages: Vec<_> = (9..=12).map(|n| Numbered { seq: seq(n), previous: None, publication: &publication }).collect();
        let at = Moment { now: Instant::now(), unix: UnixMillis(0) };
        let run = Wire::new(WireConfig::default()).run(at, Variant { batched: true, ..Variant::default() }, &topic, &epoch, &messages);
        let mut buffer = Buffer::default();
        buffer.push(&Arc::new(run), 10_000);
        let count = |after| Some(buffer.after(seq(after))?.iter().map(Chunk::messages).sum::<u64>());
        assert_eq!((count(8), count(10), count(12)), (Some(4), None, Some(0)));
    }
}
