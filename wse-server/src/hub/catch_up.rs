//! How a connection that is behind catches up: read a page of the log, hand it over, and go live when the page reaches what was
//! buffered meanwhile.
use super::{
    Hub,
    fan_out::{self, Piece, Runs},
    filters::HeldFilter,
    join::Joined,
    record::{Buffer, State, Subscriber},
};
use crate::{connection::Connection, host::ConnectionId, shard::Shard};
use std::{
    mem,
    rc::Rc,
    sync::Arc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use wse_core::{Chunk, SlowPolicy, filter::Filter, session::Outcome};
use wse_protocol::{Position, Publication, Seq, Topic};
use wse_pubsub::{BusError, Entry, History, HistoryGap, PageLimit};

/// Entries read from a log at a time.
const PAGE: usize = 256;
/// How long a log that could not be read is left alone.
const READ_AGAIN: Duration = Duration::from_millis(250);

impl Hub {
    /// As much of a log as the connection has room for: the rest would have to be read again.
    pub(super) async fn read(&self, topic: &Topic, after: &Position, room: usize) -> Result<History, BusError> {
        if let Some(pinned) = self.pinned(topic, after, PAGE) {
            return Ok(pinned);
        }
        // Never closed, so there always is a permit sooner or later.
        let _permit = self.reads.acquire().await;
        match self.bus.history(topic, after, PageLimit { entries: PAGE, bytes: room.max(1) }).await {
            Err(error @ BusError::Corrupt { .. }) => {
                tracing::error!(%error, "a log will never be readable");
                Ok(History::Gap { top: after.clone(), reason: HistoryGap::Trimmed })
            }
            other => other,
        }
    }

    /// Frames of a page, of at most `room` bytes but at least one entry; and the last message that they cover.
    #[expect(clippy::too_many_arguments, reason = "what a page is made of")]
    pub(super) fn page(
        &self,
        subscriber: &Subscriber,
        policy: SlowPolicy,
        filter: Option<&Filter>,
        topic: &Topic,
        after: &Position,
        entries: &[Entry],
        room: usize,
    ) -> (Vec<Chunk>, Seq) {
        let mut cost = 0;
        let fits = |entry: &&Entry| {
            let first = cost == 0;
            cost += entry.publication.cost();
            first || cost <= room
        };
        let taken: Vec<(Seq, &Publication)> =
            entries.iter().take_while(fits).map(|entry| (entry.position.seq, &*entry.publication)).collect();
        let last = taken.last().map_or(after.seq, |(seq, _)| *seq);
        let mut passes = filter.map(|_| Vec::with_capacity(taken.len()));
        if filter.is_some() {
            for (_, publication) in &taken {
                fan_out::judge_one(&mut self.scratch.borrow_mut(), publication, std::iter::once((filter, &mut passes)));
            }
        }
        let messages = fan_out::number(&mut after.seq.clone(), &taken, passes.as_deref());
        let (mut frames, passed) = (Vec::new(), messages.last().map_or(after.seq, |message| message.seq));
        let (mut wire, variant) = (self.wire.borrow_mut(), subscriber.variant(&crate::TopicPolicy { slow: policy, ..Default::default() }));
        let at = fan_out::moment();
        for messages in messages.chunk_by(|one, next| one.publication.has_expired(at.unix) == next.publication.has_expired(at.unix)) {
            let expired = messages.first().is_some_and(|first| first.publication.has_expired(at.unix));
            let piece = Piece { topic, epoch: &after.epoch, messages: messages.to_vec(), at, expired };
            frames.push(Runs::default().get(&mut wire, variant, &piece).whole());
            self.counters.expired.fetch_add(if expired { messages.len() as u64 } else { 0 }, Relaxed);
        }
        if filter.is_some() && passed < last {
            // What follows begins where the page ends; without a word the client would take the end that did not pass for lost.
            frames.push(Arc::new(wire.beacon(variant.format, topic, &last_of(after, last), passed)).whole());
        }
        (frames, last)
    }

    /// The log was read up to `from`. With `now_at` that is all that there was: what is buffered follows, and the subscriber is live,
    /// unless the buffer did not hold; then, as without it, it catches up.
    pub(super) fn settle(&self, subscriber: &mut Subscriber, topic: &Topic, from: Position, now_at: Option<Position>) -> Vec<Chunk> {
        let behind = State::Behind { after: from.clone(), buffer: None };
        let rest = match mem::replace(&mut subscriber.state, behind) {
            State::Behind { buffer: Some(buffer), .. } if now_at.is_some() => buffer.after(from.seq),
            _ => None,
        };
        let rest = match rest {
            Some(rest) => rest,
            None => {
                let mut waiting = subscriber.connection.behind.borrow_mut();
                if !waiting.contains(topic) {
                    waiting.push(topic.clone());
                }
                return Vec::new();
            }
        };
        subscriber.told = now_at.map_or(from.seq, |position| position.seq);
        subscriber.state = State::Live(from.seq);
        subscriber.pin = None;
        rest
    }

    /// Hands over what was read; the answer has been given.
    pub(super) fn replay(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, topic: &Topic, joined: Joined) {
        let mut session = connection.session();
        for chunk in joined.frames {
            self.counters.deliveries.fetch_add(chunk.messages(), Relaxed);
            session.replay(topic, joined.policy, chunk);
        }
        if let Some(waiting) = joined.waiting {
            Self::spawn_snapshot(shard, connection, topic, waiting);
        }
    }

    /// Fetches topics that fell behind from their logs, as long as the connection has room.
    pub(crate) async fn fetch(&self, shard: &Rc<Shard>, connection: &Rc<Connection>) {
        while connection.session().has_ample_room() && !connection.is_closing() {
            let Some(topic) = connection.behind.borrow_mut().pop() else { return };
            let Some(after) = self.begin_reading(connection.id, &topic) else { continue };
            let room = connection.session().room();
            let page = self.read(&topic, &after, room).await;
            let failed = page.is_err();
            self.catch_up(shard, connection, &topic, &after, page);
            if failed {
                tokio::time::sleep(READ_AGAIN).await;
                // Others first: it may be this log alone.
                let mut behind = connection.behind.borrow_mut();
                if let Some(last) = behind.pop() {
                    behind.insert(0, last);
                }
            }
            connection.wake();
            // The driver writes what it has; room is what is left then.
            tokio::task::yield_now().await;
        }
    }

    /// From here on entries are buffered, to follow what is read.
    fn begin_reading(&self, id: ConnectionId, topic: &Topic) -> Option<Position> {
        let mut records = self.topics.borrow_mut();
        let record = records.get_mut(topic)?;
        let epoch = record.position.as_ref()?.epoch.clone();
        match &mut record.subscriber(id)?.state {
            State::Behind { after, buffer } => {
                *buffer = Some(Buffer::default());
                *after = after.clone().within(&epoch);
                Some(after.clone())
            }
            State::Live(_) | State::Waiting { .. } => None,
        }
    }

    fn catch_up(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, topic: &Topic, after: &Position, page: Result<History, BusError>) {
        let mut records = self.topics.borrow_mut();
        let known = records.get_mut(topic).and_then(|record| Some((record.position.clone()?, record)));
        let Some((now_at, record)) = known else { return };
        let policy = record.policy.slow;
        let filter = record.member(connection.id).and_then(|(class, _)| class.filter.as_ref().map(HeldFilter::shared));
        let Some(subscriber) = record.subscriber(connection.id) else { return };
        // It may have joined anew meanwhile.
        if !matches!(&subscriber.state, State::Behind { after: still, .. } if still == after) {
            return;
        }
        let (room, now) = (connection.session().room(), Instant::now());
        let (mut frames, last) = match page {
            Ok(History::Entries { entries, top }) if entries.first().is_none_or(|first| first.position.epoch == after.epoch) => {
                let (frames, last) = self.page(subscriber, policy, filter.as_deref(), topic, after, &entries, room);
                (frames, Some((last, last >= top)))
            }
            Ok(History::Entries { .. }) => (Vec::new(), None),
            Ok(History::Gap { .. }) => (Vec::new(), None),
            Err(error) => {
                tracing::debug!(%error, %topic, "a log could not be read; again soon");
                (Vec::new(), Some((after.seq, false)))
            }
        };
        let mut waiting = None;
        match last {
            Some((last, whole)) => frames.extend(self.settle(subscriber, topic, last_of(after, last), whole.then_some(now_at))),
            None => {
                self.counters.resyncs.fetch_add(1, Relaxed);
                let reason = if now_at.epoch == after.epoch { HistoryGap::Trimmed } else { HistoryGap::Epoch };
                let too_often = subscriber.lost(now);
                waiting = self.go_on(record, connection.id, topic, &now_at, reason);
                if too_often {
                    connection.session().give_up(now);
                }
            }
        }
        drop(records);
        self.replay(shard, connection, topic, Joined { outcome: Outcome::Live(after.clone()), frames, policy, waiting });
    }
}

pub(super) fn last_of(position: &Position, seq: Seq) -> Position {
    Position { epoch: position.epoch.clone(), seq }
}
