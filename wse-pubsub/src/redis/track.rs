//! One log with interest, a topic's or a pattern's births: which entry comes next, and whether the log must be read for it. Pure.
use super::{reader::Read, record};
use crate::{Consumer, HistoryGap, handover::Place};
use bytes::Bytes;
use std::time::Duration;
use wse_core::{Pushed, ReorderBuffer, ReorderLimits};
use wse_protocol::{Epoch, Followed, Position, Publication, Seq, Topic};

/// What is kept of a log's bells while the log is read; what is above is read again. A hole needs no patience: bells of one
/// connection come in order, so it is read at once.
const AHEAD: ReorderLimits = ReorderLimits { items: 4096, bytes: 256 * 1024, wait: Duration::ZERO };

/// What has been handed over of a log, and what was rung while the log is being read.
#[derive(Debug)]
pub(crate) struct Track {
    /// Whose log.
    pub(crate) of: Followed,
    /// Whether nothing is to be handed over now.
    pub(crate) held: bool,
    /// Who wants it.
    pub(crate) interests: Vec<Interest>,
    /// Whether the server has confirmed the subscription on the present connection.
    pub(crate) listening: bool,
    /// The last entry handed over; `None` until the first subscribe has read it.
    position: Option<Position>,
    /// Whether somebody reads the log, or is about to.
    filling: bool,
    /// Rung meanwhile.
    ahead: Option<Box<Ahead>>,
    /// Something may have been missed since the read began.
    missed: bool,
}

/// What was rung of one epoch, and cannot be handed over yet.
#[derive(Debug)]
struct Ahead {
    epoch: Epoch,
    entries: ReorderBuffer<Rung>,
}

/// A consumer that wants a log's entries.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) consumer: Consumer,
    /// Where the log's last run stands in the consumer's queue.
    pub(crate) place: Place,
    /// What it was told when it came, and is not for it.
    before: Option<Before>,
    /// It follows a pattern and has not been told what there is: nothing comes before that.
    untold: bool,
    /// Subscribes without their unsubscribe.
    count: usize,
}

/// Where a log stood when a consumer came to one that was followed already.
#[derive(Debug)]
struct Before {
    /// What the consumer was told.
    position: Position,
    /// How far the others were: another epoch's rest of theirs is no news.
    theirs: Position,
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct Rung {
    pub(crate) position: Position,
    pub(crate) content: Content,
}

/// What an entry says.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Of a topic's log.
    Message(Publication),
    /// Of a births log: the topic, and where it begins.
    Birth(Topic, Position),
}

/// What to hand over.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// The next entry.
    Entry(Rung),
    /// The log goes on after this position.
    Reset(Position, HistoryGap),
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Rest,
    /// Read the log after `position` and call `handle_read`.
    Read,
}

impl Interest {
    /// Whether this is news to it.
    pub(crate) fn wants(&self, told: &Told) -> bool {
        let (Told::Entry(Rung { position, .. }) | Told::Reset(position, _)) = told;
        let news = |Before { position: told, theirs }: &Before| {
            if position.epoch == told.epoch { position.seq > told.seq } else { position.epoch != theirs.epoch }
        };
        !self.untold && self.before.as_ref().is_none_or(news)
    }
}

impl Content {
    /// Reads a record; `None` if it is something else.
    pub(crate) fn decode(of: &Followed, record: Bytes) -> Option<Self> {
        match of {
            Followed::Topic(_) => record::decode(record).map(Self::Message),
            Followed::Pattern(_) => record::decode_birth(record).map(|(topic, start)| Self::Birth(topic, start)),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Message(publication) => publication.cost(),
            Self::Birth(topic, _) => 128 + topic.as_str().len(),
        }
    }
}

impl Track {
    /// Nothing is known yet.
    pub(crate) fn new(of: Followed) -> Self {
        Self { of, held: false, interests: Vec::new(), listening: false, position: None, filling: false, ahead: None, missed: false }
    }

    /// Counts one interest; true if it is the first of all.
    pub(crate) fn add_interest(&mut self, consumer: Consumer) -> bool {
        let (first, untold) = (self.interests.is_empty(), matches!(self.of, Followed::Pattern(_)));
        match self.interests.iter_mut().find(|interest| interest.consumer == consumer) {
            Some(interest) => interest.count += 1,
            None => self.interests.push(Interest { consumer, place: Place::default(), before: None, untold, count: 1 }),
        }
        first
    }

    /// Gives back one interest; true if none is left.
    pub(crate) fn remove_interest(&mut self, consumer: Consumer) -> bool {
        if let Some(interest) = self.interests.iter_mut().find(|interest| interest.consumer == consumer) {
            interest.count -= 1;
            self.interests.retain(|interest| interest.count > 0);
        }
        self.interests.is_empty()
    }

    /// Consumers that have just come are told where the log stands: nothing is handed over until `join`.
    pub(crate) fn hold(&mut self) {
        self.held = self.position.is_some() && self.interests.iter().any(|interest| interest.untold);
    }

    /// Consumers were told what there is up to `position`.
    pub(crate) fn join(&mut self, consumers: &[Consumer], position: &Position, out: &mut Vec<Told>) -> Step {
        self.held = false;
        let theirs = self.position.clone();
        for interest in self.interests.iter_mut().filter(|interest| interest.untold && consumers.contains(&interest.consumer)) {
            interest.untold = false;
            interest.before = theirs.clone().map(|theirs| Before { position: position.clone(), theirs });
        }
        if theirs.is_none() { self.establish(position.clone(), out) } else { self.suspect() }
    }

    /// The last entry handed over.
    pub(crate) fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The first subscribe has read where the topic stands: entries after it are wanted.
    pub(crate) fn establish(&mut self, position: Position, out: &mut Vec<Told>) -> Step {
        self.position = Some(position);
        self.settle(out)
    }

    /// The topic was rung. Without `room` the message is left in the log.
    pub(crate) fn handle_bell(&mut self, entry: Rung, room: bool, out: &mut Vec<Told>) -> Step {
        let Some(position) = self.position.as_mut().filter(|_| !self.filling) else {
            self.keep(entry);
            return Step::Rest;
        };
        let same = entry.position.epoch == position.epoch;
        if same && entry.position.seq <= position.seq {
            return Step::Rest;
        }
        if same && room && entry.position.seq == position.seq.next() {
            position.seq = entry.position.seq;
            out.push(Told::Entry(entry));
            return Step::Rest;
        }
        self.keep(entry);
        self.suspect()
    }

    /// Something may have been missed: the log must be read.
    pub(crate) fn suspect(&mut self) -> Step {
        self.missed = true;
        if self.position.is_none() || self.filling {
            return Step::Rest;
        }
        self.filling = true;
        Step::Read
    }

    /// About to read after `position`: what is missed from here on needs another read.
    pub(crate) fn begin_read(&mut self) -> Option<Position> {
        self.missed = false;
        self.position.clone()
    }

    /// The log was read after `since`.
    pub(crate) fn handle_read(&mut self, since: &Position, read: Read, out: &mut Vec<Told>) -> Step {
        self.filling = false;
        let Some(position) = self.position.as_mut() else { return Step::Rest };
        if position != since {
            return self.suspect();
        }
        if let Some(reason) = read.gap(since) {
            *position = read.resume_at();
            out.push(Told::Reset(position.clone(), reason));
        }
        for (seq, content) in read.entries {
            if seq == position.seq.next() {
                position.seq = seq;
                out.push(Told::Entry(Rung { position: position.clone(), content }));
            }
        }
        if position.seq < read.top.seq {
            return self.suspect();
        }
        self.settle(out)
    }

    /// Hands over what was rung and follows; the rest needs a read.
    fn settle(&mut self, out: &mut Vec<Told>) -> Step {
        let Some(position) = self.position.as_mut() else { return Step::Rest };
        if let Some(mut ahead) = self.ahead.take() {
            let same = ahead.epoch == position.epoch;
            if same {
                ahead.entries.start(Duration::ZERO, position.seq.next(), |entry| {
                    position.seq = entry.position.seq;
                    out.push(Told::Entry(entry));
                });
            }
            self.missed |= !same || ahead.entries.has_gap();
        }
        if self.missed { self.suspect() } else { Step::Rest }
    }

    /// Holds an entry until `settle`; one without room, or of another epoch than those held, is left in the log.
    fn keep(&mut self, entry: Rung) {
        let Position { epoch, seq } = entry.position.clone();
        let ahead = self.ahead.get_or_insert_with(|| Box::new(Ahead { epoch: epoch.clone(), entries: ReorderBuffer::new(AHEAD) }));
        let cost = entry.content.cost();
        let left = ahead.epoch != epoch
            || matches!(ahead.entries.push(Duration::ZERO, seq, cost, entry, |_| ()), Pushed::Recover | Pushed::Dropped);
        self.missed |= left;
    }
}

impl Read {
    /// Why the entries after `since` are not all there.
    pub(crate) fn gap(&self, since: &Position) -> Option<HistoryGap> {
        if since.epoch != self.top.epoch {
            Some(HistoryGap::Epoch)
        } else if since.seq > self.top.seq {
            Some(HistoryGap::Fork)
        } else {
            (self.first > since.seq.next() && since.seq < self.top.seq).then_some(HistoryGap::Trimmed)
        }
    }

    /// Before the first entry that can be had.
    fn resume_at(&self) -> Position {
        let seq = Seq::new(self.first.number().saturating_sub(1)).unwrap_or_default();
        Position { epoch: self.top.epoch.clone(), seq }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wse_protocol::{Epoch, Format, Priority, Publication, UnixMillis};

    fn at(epoch: &str, seq: u64) -> Position {
        Position { epoch: Epoch::parse(epoch).expect("not empty"), seq: Seq::new(seq).expect("small") }
    }

    fn message() -> Content {
        let (id, event_type) = ("m".into(), "t".into());
        let (key, priority, payload) = (None, Priority::Normal, Bytes::from_static(b"1"));
        Content::Message(Publication { id, event_type, ts: UnixMillis(0), key, priority, format: Format::Json, payload })
    }

    fn entry(epoch: &str, seq: u64) -> Rung {
        Rung { position: at(epoch, seq), content: message() }
    }

    /// What the server would answer: the log holds `first..=top`.
    fn read(epoch: &str, first: u64, top: u64, since: &Position) -> Read {
        let follows = since.epoch.as_str() == epoch && (first..=top + 1).contains(&(since.seq.number() + 1));
        let seqs = if follows { since.seq.number() + 1..top + 1 } else { 0..0 };
        let first = if follows { since.seq.number() + 1 } else { first };
        let entries = seqs.map(|seq| (at(epoch, seq).seq, message())).collect();
        Read { top: at(epoch, top), first: at(epoch, first).seq, entries }
    }

    fn shown(events: &[Told]) -> Vec<String> {
        let show = |event: &Told| match event {
            Told::Entry(entry) => format!("{}{}", entry.position.epoch.as_str(), entry.position.seq.number()),
            Told::Reset(position, reason) => format!("{}>{}{}", reason.as_str(), position.epoch.as_str(), position.seq.number()),
        };
        events.iter().map(show).collect()
    }

    fn established(seq: u64) -> Track {
        let mut track = Track::new(Followed::Topic(Topic::parse("t").expect("valid")));
        assert_eq!(track.establish(at("a", seq), &mut Vec::new()), Step::Rest);
        track
    }

    #[test]
    fn contiguous_bells_need_no_read_and_old_ones_are_dropped() {
        let (mut track, mut out) = (established(3), Vec::new());
        for seq in [3, 4, 4, 5] {
            assert_eq!(track.handle_bell(entry("a", seq), true, &mut out), Step::Rest);
        }
        assert_eq!(shown(&out), ["a4", "a5"]);
    }

    #[test]
    fn a_lost_bell_is_read_and_what_was_rung_meanwhile_follows() {
        let (mut track, mut out) = (established(3), Vec::new());
        assert_eq!(track.handle_bell(entry("a", 6), true, &mut out), Step::Read);
        let since = track.begin_read().expect("established");
        assert_eq!(track.handle_bell(entry("a", 7), true, &mut out), Step::Rest);
        assert_eq!(track.handle_read(&since, read("a", 1, 6, &since), &mut out), Step::Rest);
        assert_eq!(shown(&out), ["a4", "a5", "a6", "a7"]);
    }

    #[test]
    fn what_was_rung_before_the_position_was_known_is_not_lost() {
        let (mut track, mut out) = (Track::new(Followed::Topic(Topic::parse("t").expect("valid"))), Vec::new());
        for seq in 4..=6 {
            assert_eq!(track.handle_bell(entry("a", seq), true, &mut out), Step::Rest);
        }
        assert_eq!(track.establish(at("a", 4), &mut out), Step::Rest);
        assert_eq!(shown(&out), ["a5", "a6"]);
    }

    #[test]
    fn what_was_rung_twice_during_a_read_follows_once_and_what_had_no_room_is_read_again() {
        let (mut track, mut out) = (established(3), Vec::new());
        track.suspect();
        let since = track.begin_read().expect("established");
        for seq in [4, 5, 5, 4] {
            assert_eq!(track.handle_bell(entry("a", seq), true, &mut out), Step::Rest);
        }
        assert_eq!(track.handle_read(&since, read("a", 1, 3, &since), &mut out), Step::Rest);
        assert_eq!(shown(&out), ["a4", "a5"]);
        track.suspect();
        let since = track.begin_read().expect("established");
        for seq in 6..6 + AHEAD.items as u64 {
            track.handle_bell(entry("a", seq), true, &mut out);
        }
        out.clear();
        assert_eq!(track.handle_read(&since, read("a", 1, 5, &since), &mut out), Step::Read);
        let held = out.len() as u64;
        assert!(held > 1000 && held < AHEAD.items as u64, "the bound of bytes holds {held} of them");
        let since = track.begin_read().expect("established");
        assert_eq!(track.handle_read(&since, read("a", 1, 5 + AHEAD.items as u64, &since), &mut out), Step::Rest);
        assert!(out.len() == AHEAD.items && shown(&out).iter().zip(6..).all(|(told, seq)| *told == format!("a{seq}")));
    }

    #[test]
    fn what_was_rung_of_a_new_epoch_follows_its_reset() {
        let (mut track, mut out) = (established(5), Vec::new());
        assert_eq!(track.handle_bell(entry("b", 2), true, &mut out), Step::Read);
        let since = track.begin_read().expect("established");
        assert_eq!(track.handle_bell(entry("b", 3), true, &mut out), Step::Rest);
        let mut step = track.handle_read(&since, read("b", 1, 2, &since), &mut out);
        while step == Step::Read {
            let since = track.begin_read().expect("established");
            step = track.handle_read(&since, read("b", 1, 3, &since), &mut out);
        }
        assert_eq!(shown(&out), ["epoch>b0", "b1", "b2", "b3"]);
    }

    #[test]
    fn without_room_a_message_is_read_later() {
        let (mut track, mut out) = (established(3), Vec::new());
        assert_eq!(track.handle_bell(entry("a", 4), false, &mut out), Step::Read);
        let since = track.begin_read().expect("established");
        assert_eq!(track.handle_read(&since, read("a", 1, 4, &since), &mut out), Step::Rest);
        assert_eq!(shown(&out), ["a4"]);
    }

    #[test]
    fn a_new_epoch_or_a_trimmed_or_shorter_log_is_told_once() {
        for (epoch, first, top, told) in [("b", 1, 2, "epoch>b0"), ("a", 9, 10, "history>a8"), ("a", 3, 2, "fork>a2")] {
            let (mut track, mut out) = (established(5), Vec::new());
            let mut step = track.suspect();
            while step == Step::Read {
                let since = track.begin_read().expect("established");
                step = track.handle_read(&since, read(epoch, first, top, &since), &mut out);
            }
            let mut wanted = vec![told.to_owned()];
            wanted.extend((first..=top).map(|seq| format!("{epoch}{seq}")));
            assert_eq!(shown(&out), wanted);
        }
    }

    #[test]
    fn a_bell_missed_during_the_read_makes_another_read() {
        let (mut track, mut out) = (established(3), Vec::new());
        track.suspect();
        let since = track.begin_read().expect("established");
        track.suspect();
        assert_eq!(track.handle_read(&since, read("a", 1, 3, &since), &mut out), Step::Read);
    }

    fn wanted(track: &Track, out: &[Told], consumer: u16) -> Vec<String> {
        let interest = track.interests.iter().find(|interest| interest.consumer == Consumer(consumer)).expect("it has interest");
        shown(&out.iter().filter(|told| interest.wants(told)).cloned().collect::<Vec<_>>())
    }

    /// Followed by consumer 0 up to a3.
    fn followed() -> Track {
        let mut track = Track::new(Followed::parse("n:*").expect("a pattern"));
        track.add_interest(Consumer(0));
        track.hold();
        assert!(!track.held, "nobody else is there to be held");
        assert_eq!(track.join(&[Consumer(0)], &at("a", 3), &mut Vec::new()), Step::Rest);
        track
    }

    /// Followed by consumer 0 up to a3; consumer 1 comes, and is told that the log stands at `told`.
    fn joined(told: Position, out: &mut Vec<Told>) -> Track {
        let mut track = followed();
        track.add_interest(Consumer(1));
        assert!(!track.interests[1].wants(&Told::Entry(entry("a", 4))), "nothing comes before it is told");
        track.hold();
        assert!(track.held, "nothing is handed over meanwhile");
        assert_eq!(track.join(&[Consumer(1)], &told, out), Step::Read);
        assert!(!track.held);
        track
    }

    #[test]
    fn one_that_comes_later_gets_what_is_above_its_list_and_the_others_everything() {
        let mut out = Vec::new();
        let mut track = joined(at("a", 5), &mut out);
        let since = track.begin_read().expect("established");
        track.handle_read(&since, read("a", 1, 7, &since), &mut out);
        assert_eq!(wanted(&track, &out, 0), ["a4", "a5", "a6", "a7"]);
        assert_eq!(wanted(&track, &out, 1), ["a6", "a7"]);
    }

    #[test]
    fn one_that_was_told_of_a_newer_epoch_hears_nothing_of_the_old_one() {
        let mut out = vec![Told::Entry(entry("a", 4))];
        let mut track = joined(at("b", 1), &mut out);
        let mut step = Step::Read;
        while step == Step::Read {
            let since = track.begin_read().expect("established");
            step = track.handle_read(&since, read("b", 1, 2, &since), &mut out);
        }
        assert_eq!(wanted(&track, &out, 0), ["a4", "epoch>b0", "b1", "b2"]);
        assert_eq!(wanted(&track, &out, 1), ["b2"]);
    }

    #[test]
    fn a_second_interest_of_the_same_consumer_holds_nothing() {
        let mut track = followed();
        track.add_interest(Consumer(0));
        track.hold();
        assert!(!track.held);
        track.join(&[Consumer(0)], &at("a", 5), &mut Vec::new());
        assert_eq!(wanted(&track, &[Told::Entry(entry("a", 4))], 0), ["a4"]);
        assert!(!track.remove_interest(Consumer(0)) && track.remove_interest(Consumer(0)));
    }
}
