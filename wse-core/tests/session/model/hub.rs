//! What stands behind a session: the logs of topics, and a hub that does with them for one connection what the engine's does for many.
use super::ops::{Message, TopicName};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};
use wse_core::{
    Chunk, CompressorConfig, Moment, Numbered, Prepared, SlowPolicy, Variant, Wire, WireConfig,
    filter::{Filter, Payload, Scratch},
    session::{Delivered, Outcome, Session, Wanted},
};
use wse_protocol::{
    Epoch, ErrorCode, Followed, Format, Pattern, Position, Priority, Publication, Seq, Topic, UnixMillis, WireError, messages::Beacon,
};

/// The bytes from which frames are compressed.
const COMPRESS_FROM: usize = 100;
/// Births and topics that a pattern may stand for on one connection.
const PATTERN_TOPICS: usize = 10;

pub(super) struct Hub {
    pub(super) logs: BTreeMap<TopicName, Log>,
    pub(super) members: BTreeMap<TopicName, Member>,
    /// What the connection asked for, and has no answer to.
    pub(super) waiting: VecDeque<Vec<Wanted>>,
    births: Births,
    follows: Option<Option<Arc<Filter>>>,
    wire: Wire,
    started: Instant,
}

/// A topic's log; that of an earlier epoch is forgotten.
#[derive(Default)]
pub(super) struct Log {
    epoch: u32,
    floor: u64,
    entries: Vec<Publication>,
    is_born: bool,
}

#[derive(Default)]
struct Births {
    epoch: u32,
    topics: Vec<TopicName>,
}

/// The connection in a topic.
pub(super) struct Member {
    pub(super) filter: Option<Arc<Filter>>,
    pub(super) state: State,
    by_name: bool,
    by_pattern: bool,
    /// The last message that passed.
    previous: u64,
    /// The last message that the session was handed, or that it left out.
    pub(super) handed: u64,
    told: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Live,
    /// The log is to be read after this message.
    Behind(u64),
}

/// A topic that the connection is to join.
struct Joining {
    name: TopicName,
    theirs: Option<Position>,
    filter: Option<Arc<Filter>>,
    by_pattern: bool,
}

/// The hub's answer: outcomes in the order asked, and what follows them.
#[derive(Default)]
struct Answer {
    at: BTreeMap<TopicName, Position>,
    replay: Vec<(TopicName, Chunk)>,
    room: usize,
}

pub(super) fn seq(number: u64) -> Seq {
    Seq::new(number).expect("small")
}

pub(super) fn topic(name: TopicName) -> Topic {
    Topic::parse_watched(name.as_str()).expect("a name")
}

pub(super) fn policy(name: TopicName) -> SlowPolicy {
    match name {
        TopicName::Recover | TopicName::BornRecover | TopicName::Members => SlowPolicy::Recover,
        TopicName::Latest | TopicName::BornLatest => SlowPolicy::Latest,
        TopicName::DropLow => SlowPolicy::DropLow,
        TopicName::Disconnect => SlowPolicy::Disconnect,
    }
}

pub(super) fn passes(filter: Option<&Filter>, publication: &Publication) -> bool {
    let mut scratch = Scratch::default();
    filter.is_none_or(|filter| filter.matches_parsed(&Payload::parse(&mut scratch, &publication.payload).expect("our own JSON")))
}

impl Log {
    pub(super) fn top(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch::parse(&format!("e{}", self.epoch)).expect("short")
    }

    fn position(&self, number: u64) -> Position {
        Position { epoch: self.epoch(), seq: seq(number) }
    }

    pub(super) fn entry(&self, number: u64) -> Option<&Publication> {
        self.entries.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    fn append(&mut self, name: TopicName, message: &Message, unix: UnixMillis) {
        let (number, odd) = (self.top() + 1, message.value % 2 == 1);
        let filler = "x".repeat(usize::from(message.size));
        self.entries.push(Publication {
            id: format!("{}-{}-{number}", name.as_str(), self.epoch).into(),
            event_type: "t".into(),
            ts: unix,
            expires: message.ttl.map(|ttl| UnixMillis(unix.0 + u64::from(ttl))),
            key: message.key.map(|key| (key % 4).to_string().into()),
            priority: Priority::ALL[usize::from(message.priority) % Priority::ALL.len()],
            format: Format::Json,
            payload: format!(r#"{{"n":{},"odd":{odd},"x":"{filler}"}}"#, message.value).into(),
        });
    }
}

impl Hub {
    pub(super) fn new(started: Instant) -> Self {
        let logs = TopicName::ALL.into_iter().map(|name| (name, Log { is_born: !name.is_born(), ..Log::default() })).collect();
        let compression = CompressorConfig { from_bytes: COMPRESS_FROM, ..CompressorConfig::default() };
        let wire = Wire::new(WireConfig { compression, ..WireConfig::default() });
        Self { logs, members: BTreeMap::new(), waiting: VecDeque::new(), births: Births::default(), follows: None, wire, started }
    }

    /// This moment by the clock that messages expire by.
    pub(super) fn at(&self, now: Instant) -> Moment {
        let since = now.saturating_duration_since(self.started);
        Moment { now, unix: UnixMillis(1_000_000 + u64::try_from(since.as_millis()).expect("not for so long")) }
    }

    pub(super) fn pack(&mut self, variant: Variant, frame: Prepared) -> Prepared {
        if variant.compressed && frame.payload().len() >= COMPRESS_FROM { self.wire.own(variant, &frame.payload()) } else { frame }
    }

    pub(super) fn publish(&mut self, session: &mut Session, now: Instant, name: TopicName, messages: &[Message]) {
        self.bear(session, now, name);
        let (from, at) = (self.log(name).top(), self.at(now));
        messages.iter().for_each(|message| self.log(name).append(name, message, at.unix));
        let (variant, log) = (variant(session, name), &self.logs[&name]);
        let Some(member) = self.members.get_mut(&name).filter(|member| member.state == State::Live) else { return };
        member.handed = log.top();
        let run = run(&mut self.wire, at, variant, name, log, from..log.top(), member.filter.as_deref(), &mut member.previous);
        if !run.is_empty()
            && let Delivered::Behind(topics) = session.deliver(now, &topic(name), policy(name), run)
        {
            topics.iter().for_each(|(topic, after)| self.fall_behind(topic, *after));
        }
    }

    fn fall_behind(&mut self, topic: &Topic, after: Seq) {
        let name = TopicName::parse(topic.as_str()).expect("a topic that was delivered");
        assert_eq!(policy(name), SlowPolicy::Recover, "{name:?} is not fetched from its log");
        let member = self.members.get_mut(&name).expect("a topic that the connection is in");
        (member.state, member.handed) = (State::Behind(after.number()), after.number());
    }

    /// The first message of a topic that a pattern stands for.
    fn bear(&mut self, session: &mut Session, now: Instant, name: TopicName) {
        if std::mem::replace(&mut self.log(name).is_born, true) {
            return;
        }
        self.births.topics.push(name);
        let Some(filter) = self.follows.clone() else { return };
        let start = self.log(name).position(0);
        let mut answer = Answer { room: session.room(), ..Answer::default() };
        let joining = Joining { name, theirs: Some(start), filter, by_pattern: true };
        let stays = self.enter(session, &joining);
        let outcome = self.finish(session, now, &joining, stays, &mut answer);
        let born = Outcome::Pattern(Box::new(Outcome::Live(self.births.position())), vec![(topic(name), outcome)]);
        session.inform(now, "n:*", born);
        answer.hand_over(session);
    }

    pub(super) fn births_lost(&mut self, session: &mut Session, now: Instant) {
        self.births.epoch += 1;
        if self.follows.is_some() {
            session.inform(now, "n:*", Outcome::Resync(self.births.position(), "epoch"));
        }
    }

    pub(super) fn restart(&mut self, session: &mut Session, now: Instant, name: TopicName) {
        let log = self.log(name);
        *log = Log { epoch: log.epoch + 1, is_born: log.is_born, ..Log::default() };
        self.resync(session, now, name, "epoch");
    }

    pub(super) fn trim(&mut self, name: TopicName, share: u8) {
        let log = self.log(name);
        log.floor = log.floor.max(log.top() * u64::from(share) / 255);
    }

    /// The connection has lost what was between: it goes on from the top.
    fn resync(&mut self, session: &mut Session, now: Instant, name: TopicName, reason: &'static str) {
        let at = self.logs[&name].position(self.logs[&name].top());
        let Some(member) = self.members.get_mut(&name) else { return };
        (member.state, member.told, member.handed) = (State::Live, at.seq.number(), at.seq.number());
        member.previous = if reason == "epoch" { 0 } else { member.previous };
        session.leave(&topic(name));
        session.inform(now, name.as_str(), Outcome::Resync(at, reason));
    }

    /// What the connection asked for and has.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let named = self.members.iter().filter(|(_, member)| member.by_name).map(|(name, _)| name.as_str());
        named.chain(self.follows.is_some().then_some("n:*"))
    }

    pub(super) fn beacon(&mut self, session: &mut Session, name: TopicName) {
        let (log, variant) = (&self.logs[&name], session.variant());
        let Some(member) = self.members.get_mut(&name).filter(|member| member.state == State::Live) else { return };
        let previous = if member.filter.is_some() { member.previous } else { log.top() };
        let beacon = Beacon { topic: name.as_str().into(), position: log.position(log.top()), previous: seq(previous) };
        let mut body = Vec::new();
        beacon.encode(variant.format, &mut body);
        if session.beacon(&topic(name), Prepared::new(variant.format, &body)) {
            member.told = log.top();
        }
    }

    pub(super) fn tell_positions(&mut self, session: &mut Session) {
        for name in TopicName::ALL {
            if self.members.get(&name).is_some_and(|member| member.told != self.logs[&name].top()) {
                self.beacon(session, name);
            }
        }
    }

    /// Answers what was asked first.
    pub(super) fn answer(&mut self, session: &mut Session, now: Instant) {
        let Some(wanted) = self.waiting.pop_front() else { return };
        let plans: Vec<_> = wanted.into_iter().map(|wanted| self.plan(wanted)).collect();
        let stays: Vec<Vec<bool>> =
            plans.iter().map(|(_, joinings)| joinings.iter().map(|joining| self.enter(session, joining)).collect()).collect();
        let mut answer = Answer { room: session.room(), ..Answer::default() };
        let mut outcomes = Vec::new();
        for ((own, joinings), stays) in plans.iter().zip(stays) {
            let each = joinings.iter().zip(stays).map(|(joining, stays)| {
                let known = answer.at.get(&joining.name).cloned();
                let outcome = known.map_or_else(|| self.finish(session, now, joining, stays, &mut answer), Outcome::Live);
                (topic(joining.name), outcome)
            });
            let mut each: Vec<_> = each.collect();
            outcomes.push(match own {
                Some(own) => Outcome::Pattern(Box::new(own.clone()), each),
                None => each.pop().expect("one topic").1,
            });
        }
        session.subscribed(now, outcomes);
        answer.hand_over(session);
    }

    /// The bus does not answer: what was asked first changes nothing.
    pub(super) fn refuse(&mut self, session: &mut Session, now: Instant) {
        let Some(wanted) = self.waiting.pop_front() else { return };
        let refused = || Outcome::Refused(WireError::new(ErrorCode::Unavailable, "the bus did not answer"));
        session.subscribed(now, wanted.iter().map(|_| refused()).collect());
    }

    fn plan(&mut self, wanted: Wanted) -> (Option<Outcome>, Vec<Joining>) {
        match &wanted.followed {
            Followed::Topic(topic) => {
                let name = TopicName::parse(topic.as_str());
                let Some(name) = name else {
                    // Any other name that a changed frame may bear: a topic of its own is not kept for it.
                    return (Some(Outcome::Refused(WireError::new(ErrorCode::Unavailable, "no such topic here"))), Vec::new());
                };
                (None, vec![Joining { name, theirs: wanted.position, filter: wanted.filter, by_pattern: false }])
            }
            Followed::Pattern(pattern) => self.plan_pattern(pattern, &wanted),
        }
    }

    fn plan_pattern(&mut self, pattern: &Pattern, wanted: &Wanted) -> (Option<Outcome>, Vec<Joining>) {
        if pattern.as_str() != "n:*" {
            return (Some(Outcome::Refused(WireError::new(ErrorCode::TooManyTopics, "no such namespace here"))), Vec::new());
        }
        self.follows = Some(wanted.filter.clone());
        let at = self.births.position();
        let (own, known) = match &wanted.position {
            Some(theirs) if theirs.epoch != at.epoch => (Outcome::Resync(at, "epoch"), usize::MAX),
            Some(theirs) if theirs.seq > at.seq => (Outcome::Resync(at, "fork"), usize::MAX),
            Some(theirs) if theirs.seq < at.seq => {
                let count = at.seq.number() - theirs.seq.number();
                (Outcome::Recovered(at, count), usize::try_from(theirs.seq.number()).unwrap_or(usize::MAX))
            }
            _ => (Outcome::Live(at), usize::MAX),
        };
        let joining = |(index, name): (usize, &TopicName)| {
            let newborn = (index >= known).then(|| Position { epoch: self.logs[name].epoch(), seq: Seq::ZERO });
            let theirs = wanted.known.get(&topic(*name)).cloned().or(newborn);
            Joining { name: *name, theirs, filter: wanted.filter.clone(), by_pattern: true }
        };
        let joinings: Vec<_> = self.births.topics.iter().enumerate().map(joining).collect();
        assert!(joinings.len() <= PATTERN_TOPICS);
        (Some(own), joinings)
    }

    /// Puts the connection into a topic; true where it is there already and stays as it was.
    fn enter(&mut self, session: &mut Session, joining: &Joining) -> bool {
        let mut marks = (!joining.by_pattern, joining.by_pattern);
        if let Some(present) = self.members.get_mut(&joining.name) {
            marks = (marks.0 || present.by_name, marks.1 || present.by_pattern);
            let same = present.filter == joining.filter && joining.theirs.is_none();
            if same || (joining.by_pattern && present.by_name) {
                (present.by_name, present.by_pattern) = marks;
                return true;
            }
            session.leave(&topic(joining.name));
        }
        let (top, filter) = (self.log(joining.name).top(), joining.filter.clone());
        let member = Member { filter, state: State::Live, by_name: marks.0, by_pattern: marks.1, previous: top, handed: top, told: top };
        self.members.insert(joining.name, member);
        false
    }

    fn finish(&mut self, session: &Session, now: Instant, joining: &Joining, stays: bool, answer: &mut Answer) -> Outcome {
        let (name, log, variant, moment) = (joining.name, &self.logs[&joining.name], variant(session, joining.name), self.at(now));
        let member = self.members.get_mut(&name).expect("it was entered");
        let top = log.position(log.top());
        let (outcome, after) = match &joining.theirs {
            _ if stays => {
                let at = if let State::Behind(after) = member.state { after } else { log.top() };
                let before = session.waits_after(&topic(name)).map_or(at, |before| before.number().min(at));
                (Outcome::Live(log.position(before)), None)
            }
            None => (Outcome::Live(top), None),
            Some(theirs) if theirs.epoch != top.epoch => (Outcome::Resync(top, "epoch"), None),
            Some(theirs) if theirs.seq > top.seq => (Outcome::Resync(top, "fork"), None),
            Some(theirs) if *theirs == top => (Outcome::Live(top), None),
            Some(theirs) if theirs.seq.number() < log.floor => (Outcome::Resync(top, "history"), None),
            Some(theirs) => (Outcome::Recovered(theirs.clone(), top.seq.number() - theirs.seq.number()), Some(theirs.seq.number())),
        };
        if let Some(after) = after {
            let (frames, last) = page(&mut self.wire, moment, variant, name, log, after, member.filter.as_deref(), answer.room);
            member.handed = last;
            member.state = if last < log.top() { State::Behind(last) } else { State::Live };
            answer.room = answer.room.saturating_sub(frames.iter().map(Chunk::len).sum());
            answer.replay.extend(frames.into_iter().map(|chunk| (name, chunk)));
        }
        if let Outcome::Live(at) | Outcome::Recovered(at, _) | Outcome::Resync(at, _) = &outcome {
            answer.at.insert(name, at.clone());
        }
        outcome
    }

    /// Reads on in the log of one topic that fell behind; false where there is none, or no room.
    pub(super) fn fetch(&mut self, session: &mut Session, now: Instant) -> bool {
        let behind =
            |(name, member): (&TopicName, &Member)| if let State::Behind(after) = member.state { Some((*name, after)) } else { None };
        let Some((name, after)) = self.members.iter().find_map(behind) else { return false };
        if !session.has_ample_room() || session.is_closing() {
            return false;
        }
        let log = &self.logs[&name];
        if after < log.floor {
            self.resync(session, now, name, "history");
            return true;
        }
        let (variant, room, at) = (variant(session, name), session.room(), self.at(now));
        let member = self.members.get_mut(&name).expect("it was found");
        let (frames, last) = page(&mut self.wire, at, variant, name, log, after, member.filter.as_deref(), room);
        member.handed = last;
        member.state = if last < log.top() { State::Behind(last) } else { State::Live };
        frames.into_iter().for_each(|chunk| session.replay(&topic(name), policy(name), chunk));
        true
    }

    pub(super) fn unsubscribe(&mut self, session: &mut Session, names: &[Followed]) {
        for name in names {
            match name {
                Followed::Topic(topic) => {
                    let name = TopicName::parse(topic.as_str());
                    name.into_iter().for_each(|name| self.unmark(session, name, |member| member.by_name = false));
                }
                Followed::Pattern(pattern) if pattern.as_str() == "n:*" => {
                    self.follows = None;
                    let born = TopicName::ALL.into_iter().filter(|name| name.is_born());
                    born.for_each(|name| self.unmark(session, name, |member| member.by_pattern = false));
                }
                Followed::Pattern(_) => {}
            }
        }
    }

    fn unmark(&mut self, session: &mut Session, name: TopicName, unmark: impl Fn(&mut Member)) {
        let Some(member) = self.members.get_mut(&name) else { return };
        unmark(member);
        if !member.by_name && !member.by_pattern {
            self.members.remove(&name);
            session.leave(&topic(name));
        }
    }

    fn log(&mut self, name: TopicName) -> &mut Log {
        self.logs.get_mut(&name).expect("every topic has one")
    }
}

impl Births {
    fn position(&self) -> Position {
        Position { epoch: Epoch::parse(&format!("b{}", self.epoch)).expect("short"), seq: seq(self.topics.len() as u64) }
    }
}

impl Answer {
    fn hand_over(self, session: &mut Session) {
        self.replay.into_iter().for_each(|(name, chunk)| session.replay(&topic(name), policy(name), chunk));
    }
}

/// What may be left out one by one is not batched.
fn variant(session: &Session, name: TopicName) -> Variant {
    match policy(name) {
        SlowPolicy::Latest | SlowPolicy::DropLow => session.variant().single(),
        _ => session.variant(),
    }
}

/// The frames of those messages of a range (the first not in it) that pass; all of them have expired, or none.
#[expect(clippy::too_many_arguments, reason = "what a frame is made of")]
fn run(
    wire: &mut Wire,
    at: Moment,
    variant: Variant,
    name: TopicName,
    log: &Log,
    range: std::ops::Range<u64>,
    filter: Option<&Filter>,
    previous: &mut u64,
) -> Chunk {
    let mut messages = Vec::new();
    for number in range.start + 1..=range.end {
        let publication = log.entry(number).expect("it was published");
        if passes(filter, publication) {
            let before = std::mem::replace(previous, number);
            messages.push(Numbered { seq: seq(number), previous: filter.map(|_| seq(before)), publication });
        }
    }
    let (topic, epoch) = (topic(name), log.epoch());
    let expired = messages.first().is_some_and(|message| message.publication.has_expired(at.unix));
    Arc::new(if expired {
        wire.expired(variant.format, &topic, &epoch, &messages)
    } else {
        wire.run(at, variant, &topic, &epoch, &messages)
    })
    .whole()
}

/// Frames of a page of a log, of about `room` bytes, and the last message that they cover.
#[expect(clippy::too_many_arguments, reason = "what a frame is made of")]
fn page(
    wire: &mut Wire,
    at: Moment,
    variant: Variant,
    name: TopicName,
    log: &Log,
    after: u64,
    filter: Option<&Filter>,
    room: usize,
) -> (Vec<Chunk>, u64) {
    let (mut last, mut cost) = (after, 0);
    while let Some(publication) = log.entry(last + 1) {
        cost += publication.cost();
        if cost > room && last > after {
            break;
        }
        last += 1;
    }
    let (mut previous, mut frames, mut from) = (after, Vec::new(), after);
    while from < last {
        let expired = |number: u64| log.entry(number).is_some_and(|publication| publication.has_expired(at.unix));
        let to = (from + 1..last).find(|number| expired(*number) != expired(number + 1)).unwrap_or(last);
        let chunk = run(wire, at, variant, name, log, from..to, filter, &mut previous);
        if !chunk.is_empty() {
            frames.push(chunk);
        }
        from = to;
    }
    if filter.is_some() && previous < last {
        frames.push(Arc::new(wire.beacon(variant.format, &topic(name), &log.position(last), seq(previous))).whole());
    }
    (frames, last)
}
