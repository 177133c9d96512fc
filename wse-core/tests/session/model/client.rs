//! The peer: it reads every frame, keeps its positions by [P-34], and checks that each is what it is owed.
use super::{
    hub::{Hub, passes, policy},
    ops::TopicName,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wse_core::{InflateLimits, Inflater, SlowPolicy, Variant};
use wse_protocol::{
    Epoch, Format, Pattern, Position, Priority, Seq, Tagged, UnixMillis, Value, WireError,
    envelope::Envelope,
    frame_body,
    messages::{
        Action, Beacon, ClientHello, ErrorMessage, ServerMessage, Skip, SkipReason, Status, Subscription, SubscriptionUpdate, TopicStatus,
    },
};

const PATTERN: &str = "n:*";

/// What an answer at once is to be.
#[derive(Debug, PartialEq)]
pub(super) enum Owed {
    Pong(Value),
    Error(String, Option<Box<str>>),
    Reply(Value, Option<Box<str>>),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) streams: BTreeMap<TopicName, Stream>,
    pub(super) pattern: Option<Position>,
    /// Answers at once, in the order in which they were earned.
    pub(super) owed: VecDeque<Owed>,
    /// Requests that the session took and did not answer.
    pub(super) asked: VecDeque<Subscription>,
    /// The connection is ending: what was owed may be left out.
    pub(super) ending: bool,
    is_ready: bool,
    /// What is asked for before the connection is ready.
    first: Vec<String>,
    variant: Option<Variant>,
    inflater: Inflater,
}

/// A topic that the client follows.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) position: Position,
    pub(super) by_name: bool,
    pub(super) by_pattern: bool,
    /// Where it began, or began anew.
    start: u64,
    received: BTreeSet<u64>,
    skips: Vec<(u64, u64, SkipReason)>,
}

impl Client {
    pub(super) fn new(first: Vec<String>) -> Self {
        let inflater = Inflater::new(InflateLimits { bytes: 1 << 24, ..InflateLimits::default() });
        let (streams, owed, asked) = (BTreeMap::new(), VecDeque::new(), VecDeque::new());
        Self { streams, pattern: None, owed, asked, ending: false, is_ready: false, first, variant: None, inflater }
    }

    /// Whether the two hellos agreed on MessagePack, and on compression.
    pub(super) fn agreed(&self) -> Variant {
        self.variant.unwrap_or_default()
    }

    /// The session took the hello: what it asks for is answered first.
    pub(super) fn expect_hello(&mut self, hello: ClientHello) {
        for topic in hello.topics {
            if !self.first.contains(&topic) {
                self.first.push(topic);
            }
        }
    }

    /// A whole frame.
    pub(super) fn receive(&mut self, hub: &Hub, now: UnixMillis, is_text: bool, payload: &[u8]) {
        match self.decode(is_text, payload).unwrap_or_else(|error| panic!("{error}: {}", payload.escape_ascii())) {
            ServerMessage::Event(envelope) => self.message(hub, now, *envelope),
            ServerMessage::Batch(envelopes) => {
                assert!(self.agreed().batched);
                envelopes.into_iter().for_each(|envelope| self.message(hub, now, envelope));
            }
            ServerMessage::Skip(skip) => self.skip(hub, now, skip),
            other => self.protocol(hub, other),
        }
    }

    fn decode(&mut self, is_text: bool, payload: &[u8]) -> Result<ServerMessage, WireError> {
        let agreed = self.agreed();
        if is_text {
            assert_eq!(agreed.format, Format::Json, "text where MessagePack was agreed on");
            return ServerMessage::read(Format::Json, &mut payload.to_vec());
        }
        let (mut inflated, is_compressed) = match frame_body(payload) {
            Tagged::Compressed(stream) => (self.inflater.inflate(stream).expect("our own stream"), true),
            _ => (payload.to_vec(), false),
        };
        assert!(agreed.compressed || !is_compressed);
        match frame_body(&inflated) {
            Tagged::Msgpack(map) if agreed.format == Format::Msgpack => ServerMessage::read(Format::Msgpack, &mut map.to_vec()),
            _ => {
                assert!(is_compressed && agreed.format == Format::Json, "a binary frame that is neither C: nor M: as agreed");
                ServerMessage::read(Format::Json, &mut inflated)
            }
        }
    }

    fn protocol(&mut self, hub: &Hub, message: ServerMessage) {
        match message {
            ServerMessage::Hello(hello) => {
                assert_eq!(self.variant, None, "one hello");
                self.variant = Some(Variant { format: hello.format, compressed: hello.compression.is_some(), batched: hello.batch });
            }
            ServerMessage::Ready(_) => {
                assert!(self.variant.is_some() && !self.is_ready, "ready once, after the hello");
                self.is_ready = true;
                let topics = std::mem::take(&mut self.first);
                if !topics.is_empty() {
                    let (positions, filters) = Default::default();
                    let mut first = Subscription { action: Action::Subscribe, topics: Vec::new(), positions, filters, cid: None };
                    first.add(topics);
                    self.asked.push_front(first);
                }
            }
            ServerMessage::SubscriptionUpdate(update, cid) => self.update(hub, update, cid),
            ServerMessage::Ping(_) => assert!(self.is_ready),
            ServerMessage::Pong(payload) => self.pay(Owed::Pong(payload)),
            ServerMessage::Error(ErrorMessage { code, .. }, cid) => self.pay(Owed::Error(code, cid)),
            ServerMessage::Reply(payload, cid) => self.pay(Owed::Reply(payload, cid)),
            ServerMessage::Beacon(beacon) => self.beacon(beacon),
            other => panic!("{other:?}"),
        }
    }

    fn pay(&mut self, got: Owed) {
        if !self.ending {
            assert_eq!(self.owed.pop_front(), Some(got), "of {:?}", self.owed);
        }
    }

    /// A message of a topic: [P-33], [P-34], with no way to lose any between the server and here.
    fn message(&mut self, hub: &Hub, now: UnixMillis, envelope: Envelope) {
        let name = TopicName::parse(envelope.topic.as_deref().expect("tp")).expect("a topic that there is");
        let (epoch, seq) = (envelope.epoch.expect("e"), envelope.seq.expect("seq"));
        let log = &hub.logs[&name];
        if epoch == log.epoch() {
            let entry = log.entry(seq.number()).expect("a message that was published");
            assert_eq!((envelope.id.as_deref(), envelope.priority), (Some(&*entry.id), entry.priority));
            assert!(!entry.has_expired(now), "{name:?} {seq:?} came when it had expired");
        }
        let stream = self.stream(name, &epoch, "a message");
        let previous = envelope.previous.map_or(seq.number() - 1, Seq::number);
        assert!(seq > stream.position.seq, "{name:?} {seq:?} came again, at {:?}", stream.position);
        assert!(previous <= stream.position.seq.number(), "{name:?}: a gap before {seq:?} (ps {previous}), at {:?}", stream.position);
        stream.position.seq = seq;
        assert!(stream.received.insert(seq.number()), "{name:?} {seq:?} came twice");
    }

    fn beacon(&mut self, beacon: Beacon) {
        let name = TopicName::parse(&beacon.topic).expect("a topic that there is");
        let stream = self.stream(name, &beacon.position.epoch, "a beacon");
        let (seq, previous) = (beacon.position.seq, beacon.previous);
        if seq > stream.position.seq {
            assert!(previous <= stream.position.seq, "{name:?}: a gap before a beacon of {seq:?} ({previous:?}), at {:?}", stream.position);
            stream.position.seq = seq;
        }
    }

    fn skip(&mut self, hub: &Hub, now: UnixMillis, skip: Skip) {
        let name = TopicName::parse(&skip.topic).expect("a topic that there is");
        let (filter, log) = (hub.members.get(&name).and_then(|member| member.filter.clone()), &hub.logs[&name]);
        let is_present = log.epoch() == skip.epoch;
        let left_out = (skip.from.number()..=skip.to.number()).filter_map(|number| log.entry(number));
        let mut left_out = left_out.filter(|entry| is_present && passes(filter.as_deref(), entry));
        match skip.reason {
            SkipReason::Latest => assert_eq!(policy(name), SlowPolicy::Latest, "{name:?}"),
            SkipReason::Ttl => assert!(left_out.all(|entry| entry.has_expired(now)), "{name:?}: {skip:?} before its time"),
            SkipReason::DropLow => {
                assert_eq!(policy(name), SlowPolicy::DropLow, "{name:?}");
                assert!(left_out.all(|entry| entry.priority != Priority::Critical), "{name:?}: what is critical was left out");
            }
            SkipReason::Other => panic!("a reason that is never sent: {skip:?}"),
        }
        let stream = self.stream(name, &skip.epoch, "a skip");
        let previous = skip.previous.map_or(skip.from.number() - 1, Seq::number);
        assert!(skip.from <= skip.to && skip.to > stream.position.seq, "{name:?}: {skip:?} at {:?}", stream.position);
        assert!(previous <= stream.position.seq.number(), "{name:?}: a gap before {skip:?}, at {:?}", stream.position);
        stream.position.seq = skip.to;
        stream.skips.push((skip.from.number(), skip.to.number(), skip.reason));
    }

    fn stream(&mut self, name: TopicName, epoch: &Epoch, what: &str) -> &mut Stream {
        let stream = self.streams.get_mut(&name).unwrap_or_else(|| panic!("{what} of {name:?}, which is not followed"));
        assert_eq!(stream.position.epoch, *epoch, "{what} of another epoch of {name:?}, unasked");
        stream
    }

    fn update(&mut self, hub: &Hub, update: SubscriptionUpdate, cid: Option<Box<str>>) {
        let answers = self.asked.front().is_some_and(|asked| {
            let names = || update.topics.iter().map(|entry| &entry.topic).eq(&asked.topics);
            cid.is_some() || (asked.cid.is_none() && names())
        });
        if !answers {
            assert_eq!(cid, None, "an answer to nothing");
            return update.topics.into_iter().for_each(|entry| self.news(hub, entry));
        }
        let asked = self.asked.pop_front().expect("it answers");
        assert_eq!(asked.cid, cid, "answers come in the order of requests");
        assert!(update.topics.iter().map(|entry| &entry.topic).eq(&asked.topics), "an entry for each topic, in order");
        for entry in update.topics {
            match asked.action {
                Action::Subscribe => {
                    self.loses_nothing(asked.positions.get(&entry.topic), &entry);
                    self.subscribed(hub, entry);
                }
                Action::Unsubscribe => self.unsubscribed(&entry),
            }
        }
    }

    /// Who asked with a position is not told `live` where messages lie between it and where the subscription begins.
    fn loses_nothing(&self, theirs: Option<&Position>, entry: &TopicStatus) {
        let (Some(theirs), Some(at), Some(name)) = (theirs, &entry.position, TopicName::parse(&entry.topic)) else { return };
        let had = self.streams.get(&name).filter(|stream| stream.position.epoch == at.epoch).map(|stream| stream.position.seq);
        let follows = had.is_some_and(|had| at.seq <= had) || (theirs.epoch == at.epoch && at.seq <= theirs.seq);
        assert!(entry.status == Status::Resync || follows, "{:?} at {at:?} for one who was at {theirs:?}", entry.status);
    }

    /// One entry of an answer to a request to subscribe.
    fn subscribed(&mut self, hub: &Hub, entry: TopicStatus) {
        let is_pattern = Pattern::parse(&entry.topic).is_some();
        match (entry.status, entry.position.clone()) {
            // What was subscribed stays as it was.
            (Status::Refused, _) => {}
            (_, Some(position)) if is_pattern => self.follows(hub, position, entry.topics),
            (_, Some(position)) => {
                let name = TopicName::parse(&entry.topic).expect("a topic that there is");
                self.begin(hub, name, position).by_name = true;
            }
            (status, None) => panic!("{status:?} without a position"),
        }
    }

    fn follows(&mut self, hub: &Hub, position: Position, topics: Vec<TopicStatus>) {
        self.pattern = Some(position);
        for entry in topics {
            let name = TopicName::parse(&entry.topic).expect("a topic that there is");
            assert!(name.is_born());
            self.begin(hub, name, entry.position.expect("a position")).by_pattern = true;
        }
    }

    /// Word that was not asked for: a topic goes on elsewhere, or a topic was born.
    fn news(&mut self, hub: &Hub, entry: TopicStatus) {
        let position = entry.position.clone().expect("a position");
        if entry.topic == PATTERN {
            assert!(self.pattern.is_some(), "a pattern that is not followed");
            return self.follows(hub, position, entry.topics);
        }
        let name = TopicName::parse(&entry.topic).expect("a topic that there is");
        assert_eq!(entry.status, Status::Resync);
        assert!(self.streams.contains_key(&name), "{name:?} is not followed");
        self.begin(hub, name, position);
    }

    fn unsubscribed(&mut self, entry: &TopicStatus) {
        if entry.topic == PATTERN {
            self.pattern = None;
            self.streams.values_mut().for_each(|stream| stream.by_pattern = false);
        } else if let Some(stream) = TopicName::parse(&entry.topic).and_then(|name| self.streams.get_mut(&name)) {
            stream.by_name = false;
        }
        self.streams.retain(|_, stream| stream.by_name || stream.by_pattern);
    }

    /// A position that an answer gives is the client's.
    fn begin(&mut self, hub: &Hub, name: TopicName, position: Position) -> &mut Stream {
        assert!(position.epoch != hub.logs[&name].epoch() || position.seq.number() <= hub.logs[&name].top());
        let start = position.seq.number();
        let new = || Stream {
            position: position.clone(),
            by_name: false,
            by_pattern: false,
            start,
            received: BTreeSet::new(),
            skips: Vec::new(),
        };
        let stream = self.streams.entry(name).or_insert_with(new);
        let goes_on = stream.position.epoch == position.epoch;
        stream.received.retain(|number| goes_on && *number <= start);
        stream.skips.retain(|(_, to, _)| goes_on && *to <= start);
        (stream.position, stream.start) = (position, start);
        stream
    }

    /// After all that waited was read: nothing is missing that no word was had of.
    pub(super) fn is_whole(&self, hub: &Hub) {
        assert!(self.owed.is_empty(), "{:?} did not come", self.owed);
        assert!(self.asked.is_empty(), "{:?} was not answered", self.asked);
        assert!(self.streams.keys().eq(hub.members.keys()), "{:?} are followed, {:?} served", self.streams.keys(), hub.members.keys());
        for (name, stream) in &self.streams {
            let (log, filter) = (&hub.logs[name], hub.members[name].filter.as_deref());
            assert_eq!(stream.position.epoch, log.epoch(), "{name:?}");
            let due: Vec<u64> =
                (stream.start + 1..=log.top()).filter(|number| log.entry(*number).is_some_and(|entry| passes(filter, entry))).collect();
            for number in &due {
                let told = stream.skips.iter().find(|(from, to, _)| (from..=to).contains(&number));
                assert_ne!(stream.received.contains(number), told.is_some(), "{name:?} {number}: had or told of, and not both");
                if told.is_some_and(|(_, _, reason)| *reason == SkipReason::Latest) {
                    let key = |number: &u64| log.entry(*number).and_then(|entry| entry.key.clone());
                    assert!(
                        due.iter().any(|later| later > number && key(later) == key(number)),
                        "{name:?} {number}: the newest of its key"
                    );
                }
            }
            let strange = stream.received.range(stream.start + 1..).find(|number| due.binary_search(number).is_err());
            assert_eq!(strange, None, "{name:?}: its filter keeps it from the client");
        }
    }
}
