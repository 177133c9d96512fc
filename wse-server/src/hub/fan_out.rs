//! A run of a topic to everybody in it: judged once for each filter, encoded once for each variant, shared by all.
use super::{
    Hub, Outlet,
    record::{Class, State, Subscriber},
};
use crate::{connection::Connection, host::ConnectionId, policy::TopicPolicy};
use std::{
    sync::Arc,
    sync::atomic::Ordering::Relaxed,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use wse_core::{
    Chunk, Moment, Numbered, Run, Variant, Wire,
    filter::{Filter, Payload, Scratch},
    session::Delivered,
};
use wse_protocol::{Epoch, Format, Position, Publication, Seq, Topic, UnixMillis, transcode};
use wse_pubsub::Run as LogRun;

/// Bytes of messages that are encoded and handed to all connections before these write.
const PIECE_BYTES: usize = 128 * 1024;

/// A topic's subscriber that fell behind, and after which message.
type Fallen = (ConnectionId, Topic, Seq);

/// Messages of a topic on their way to one class of subscribers.
pub(super) struct Piece<'a> {
    pub(super) topic: &'a Topic,
    pub(super) epoch: &'a Epoch,
    pub(super) messages: Vec<Numbered<'a>>,
    /// When it is handed over.
    pub(super) at: Moment,
    /// They have expired, all of them: their places are told and not they.
    pub(super) expired: bool,
}

/// The frames of a piece, by variant, made when the first subscriber needs them.
#[derive(Default)]
pub(super) struct Runs([Option<Arc<Run>>; Variant::COUNT]);

impl Hub {
    pub(super) fn deliver(&self, run: &LogRun, outlet: &mut dyn Outlet) {
        let at = moment();
        let news: Vec<(Seq, &Publication)> = {
            let records = self.topics.borrow();
            // Entries of an interest that was given back and taken up again may still be under way: they are no news.
            let Some(record) = records.get(&run.topic) else { return };
            let passed = record.position.as_ref().filter(|position| position.epoch == run.epoch).map(|position| position.seq);
            run.iter().filter(|(seq, _)| passed.is_none_or(|passed| *seq > passed)).collect()
        };
        let mut rest = &news[..];
        while !rest.is_empty() {
            let (count, expired) = piece(rest, at.unix);
            let (next, after) = rest.split_at(count);
            let fallen = self.deliver_piece(&run.topic, &run.epoch, next, expired, at, outlet);
            fallen.into_iter().for_each(|(id, topic, seq)| self.fall_behind(id, &topic, seq));
            // What the connections have of one piece is written before the next, so that a burst is no backlog.
            outlet.flush(at.now);
            rest = after;
        }
    }

    fn deliver_piece(
        &self,
        topic: &Topic,
        epoch: &Epoch,
        messages: &[(Seq, &Publication)],
        expired: bool,
        at: Moment,
        outlet: &mut dyn Outlet,
    ) -> Vec<Fallen> {
        let mut records = self.topics.borrow_mut();
        let (Some(record), Some((last, _))) = (records.get_mut(topic), messages.last()) else { return Vec::new() };
        record.position = Some(Position { epoch: epoch.clone(), seq: *last });
        if let Some(pin) = record.pin.upgrade() {
            pin.borrow_mut().push(messages);
        }
        let passes = self.judge(&record.classes, messages);
        let (mut fallen, mut wire, mut delivered, mut quiet) = (Vec::new(), self.wire.borrow_mut(), 0, false);
        for (class, passes) in record.classes.iter_mut().zip(passes) {
            let piece = Piece { topic, epoch, messages: number(&mut class.previous, messages, passes.as_deref()), at, expired };
            quiet |= passes.is_some_and(|passes| class.judged(&passes, at.now));
            if piece.messages.is_empty() {
                continue;
            }
            let (mut runs, policy) = (Runs::default(), &record.policy);
            for (id, subscriber) in &mut class.members {
                let Some(chunk) = self.part_of(&mut wire, &piece, &mut runs, policy, subscriber) else { continue };
                delivered += chunk.messages();
                if !outlet.write(&subscriber.connection, &chunk, at.now) {
                    let behind = hand_over(&subscriber.connection, &piece, policy, chunk);
                    fallen.extend(behind.into_iter().map(|(topic, seq)| (*id, topic, seq)));
                }
            }
        }
        if quiet {
            self.quiet.borrow_mut().enter(at.now, topic, record);
        }
        self.counters.deliveries.fetch_add(delivered, Relaxed);
        self.counters.expired.fetch_add(if expired { messages.len() as u64 } else { 0 }, Relaxed);
        fallen
    }

    /// Which messages pass each class's filter; `None`: all of them.
    fn judge(&self, classes: &[Class], messages: &[(Seq, &Publication)]) -> Vec<Option<Vec<bool>>> {
        let mut passes: Vec<_> = classes.iter().map(|class| class.filter.as_ref().map(|_| Vec::with_capacity(messages.len()))).collect();
        if passes.iter().all(Option::is_none) {
            return passes;
        }
        let mut scratch = self.scratch.borrow_mut();
        for (_, publication) in messages {
            let filters = classes.iter().map(|class| class.filter.as_deref());
            judge_one(&mut scratch, publication, filters.zip(&mut passes));
        }
        passes
    }

    /// What a subscriber gets of a piece now; none where it gets it later.
    fn part_of(
        &self,
        wire: &mut Wire,
        piece: &Piece<'_>,
        runs: &mut Runs,
        policy: &TopicPolicy,
        subscriber: &mut Subscriber,
    ) -> Option<Chunk> {
        let variant = subscriber.variant(policy);
        match &mut subscriber.state {
            State::Behind { buffer, .. } => {
                if let Some(buffer) = buffer {
                    buffer.push(runs.get(wire, variant, piece), self.buffer_bytes);
                }
                None
            }
            State::Waiting { .. } => None,
            State::Live(from) => {
                // Of a batch that begins before what the subscriber has already it gets its part one by one.
                let chunk = runs.get(wire, variant, piece).after(*from);
                chunk.or_else(|| runs.get(wire, variant.single(), piece).after(*from)).filter(|chunk| !chunk.is_empty())
            }
        }
    }

    /// A connection cannot follow a topic for now: its log is read when there is room.
    fn fall_behind(&self, id: ConnectionId, topic: &Topic, seq: Seq) {
        let mut records = self.topics.borrow_mut();
        let Some(record) = records.get_mut(topic) else { return };
        let Some(epoch) = record.position.as_ref().map(|position| position.epoch.clone()) else { return };
        if let Some(subscriber) = record.subscriber(id) {
            self.counters.fell_behind.fetch_add(1, Relaxed);
            subscriber.state = State::Behind { after: Position { epoch, seq }, buffer: None };
            let mut behind = subscriber.connection.behind.borrow_mut();
            if !behind.contains(topic) {
                behind.push(topic.clone());
            }
        }
    }
}

/// Leaves frames to a connection's session; returns the topics that fell behind for them, and after which message.
fn hand_over(connection: &Connection, piece: &Piece<'_>, policy: &TopicPolicy, chunk: Chunk) -> Vec<(Topic, Seq)> {
    let delivered = connection.session().deliver(piece.at.now, piece.topic, policy.slow, chunk);
    connection.wake();
    match delivered {
        Delivered::Behind(topics) => topics,
        Delivered::Queued | Delivered::Closed => Vec::new(),
    }
}

/// The messages that pass, each with the one before it that did where there is a filter.
pub(super) fn number<'a>(previous: &mut Seq, messages: &[(Seq, &'a Publication)], passes: Option<&[bool]>) -> Vec<Numbered<'a>> {
    let Some(passes) = passes else {
        if let Some((last, _)) = messages.last() {
            *previous = *last;
        }
        return messages.iter().map(|(seq, publication)| Numbered { seq: *seq, previous: None, publication }).collect();
    };
    let passing = messages.iter().zip(passes).filter(|(_, passes)| **passes);
    passing.map(|((seq, publication), _)| Numbered { seq: *seq, previous: Some(std::mem::replace(previous, *seq)), publication }).collect()
}

impl Runs {
    pub(super) fn get(&mut self, wire: &mut Wire, variant: Variant, piece: &Piece<'_>) -> &Arc<Run> {
        self.0[variant.index()].get_or_insert_with(|| {
            let Piece { topic, epoch, messages, at, expired } = piece;
            Arc::new(if *expired {
                wire.expired(variant.format, topic, epoch, messages)
            } else {
                wire.run(*at, variant, topic, epoch, messages)
            })
        })
    }
}

/// Judges one message by each filter.
pub(super) fn judge_one<'a>(
    scratch: &mut Scratch,
    publication: &Publication,
    filters: impl Iterator<Item = (Option<&'a Filter>, &'a mut Option<Vec<bool>>)>,
) {
    let mut json = Vec::new();
    let readable =
        publication.format == Format::Json || transcode(publication.format, Format::Json, &publication.payload, &mut json).is_ok();
    let bytes = if publication.format == Format::Json { &publication.payload[..] } else { &json };
    // What cannot be read passes no filter.
    let payload = readable.then(|| Payload::parse(scratch, bytes).ok()).flatten();
    for (filter, passes) in filters {
        if let (Some(filter), Some(passes)) = (filter, passes) {
            passes.push(payload.as_ref().is_some_and(|payload| filter.matches_parsed(payload)));
        }
    }
}

/// How many messages make a piece, at least one, and whether they have expired.
fn piece(messages: &[(Seq, &Publication)], now: UnixMillis) -> (usize, bool) {
    let (mut bytes, expired) = (0, messages.first().is_some_and(|(_, publication)| publication.has_expired(now)));
    let fits = |(_, publication): &&(Seq, &Publication)| {
        bytes += publication.cost();
        bytes <= PIECE_BYTES && publication.has_expired(now) == expired
    };
    (messages.iter().take_while(fits).count().max(1), expired)
}

/// Now, by the clock of sessions and by the one that messages expire by.
pub(super) fn moment() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment { now: Instant::now(), unix: UnixMillis(since.as_millis() as u64) }
}
