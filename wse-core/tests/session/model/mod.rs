//! A session under a driver that does any permitted thing in any order, with a peer that checks all it gets.
//!
//! Held to: no panic; what waits is bounded; a topic's messages come ascending, each once, without a gap that was not told of ([P-33],
//! [P-34], [P-43]); requests are answered in order ([P-23]), pings at once ([P-26]), faults by their code ([P-27]); after the end
//! nothing comes; the deadlines that a session gives are met by handling them; handlers get what the peer sent, in order ([P-30]);
//! changes of its presence come to the driver as asked, among them, and are answered when they are stored ([P-60]); both together hold no
//! more than their queue; nobody is let in unjudged ([P-5]); the topic of the highest rank goes first; what has expired does not come, and
//! what has not does.
mod client;
mod hub;
mod ops;
mod order;
mod presence;

use client::{Client, Owed};
use hub::{Hub, State};
use ops::{Fault, Formats, Handled, Mutation, Name, Op, Packing, Sent, Setup, Source, Subscribe};
use order::Ranks;
use simd_json::json;
use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};
use wse_core::{
    Compressor, CompressorConfig, InflateLimits, Inflater, Variant,
    session::{Event, Offer, PresenceChange, Session, SessionConfig, Transmit},
};
use wse_protocol::{
    CloseCode, ErrorCode, Followed, Format, Tagged, Value, WireError, envelope, frame_body, messages::ClientMessage, transcode,
};

/// Frames of the peer that its socket holds while it is not read.
const SOCKET: usize = 32;
/// The largest of what one message, one answer or one turn of handlers can add where there was room: a chunk, a page's least, and replies.
const ONE_MORE: usize = 40_000;
/// Deadlines that may be due at one instant, one after the other.
const DUE_AT_ONCE: usize = 8;

/// Runs what these bytes stand for; `now` is where the model's clock begins. With `MODEL_TRACE` set, each operation is printed.
pub(crate) fn run(bytes: &[u8], now: Instant) {
    let mut source = Source::new(bytes);
    let mut world = World::new(&Setup::read(&mut source), now);
    let traced = std::env::var_os("MODEL_TRACE").is_some();
    world.after_op();
    while let Some(op) = source.op() {
        if traced {
            eprintln!("{op:?}");
        }
        world.apply(&op);
        world.after_op();
    }
    world.settle();
}

/// A message, its payload, and what an answer to it refers to.
type Predicted = (ClientMessage, Value, Option<Box<str>>);

/// What the session hands over and is answered later.
#[derive(Debug, PartialEq)]
enum Taken {
    Message(Option<Box<str>>, Value),
    Presence(Box<PresenceChange>),
}

struct World {
    session: Session,
    hub: Hub,
    client: Client,
    now: Instant,
    /// Sent by the peer and not read by the session.
    socket: VecDeque<(bool, Vec<u8>)>,
    /// The peer reads whatever comes.
    reads: bool,
    /// What handlers have, and the driver to store.
    handlers: VecDeque<Taken>,
    /// What the session took and has yet to hand over.
    taken: VecDeque<Taken>,
    config: Arc<SessionConfig>,
    /// Somebody must approve the client, and nobody has.
    unjudged: bool,
    /// When the session was last given something of the peer's.
    heard: Instant,
    sent: u32,
    hello_handled: bool,
    is_open: bool,
    told_closed: bool,
    close_sent: bool,
    inflater: Inflater,
    predictor: Inflater,
}

impl World {
    fn new(setup: &Setup, now: Instant) -> Self {
        let config = Arc::new(setup.config());
        let offer = Offer {
            hello_promised: setup.hello_promised,
            auth_required: setup.auth_required,
            token: setup.token.then(|| "token".into()),
            topics: setup.topics.iter().take(8).map(|name| name.as_str().into()).collect(),
            refusal: setup.refused.then(|| WireError::new(ErrorCode::OriginNotAllowed, "not from there")),
            outcomes: None,
            secret: 7,
        };
        let waits = offer.hello_promised || (offer.auth_required && offer.token.is_none());
        let limits = InflateLimits { bytes: config.message_bytes, ..InflateLimits::default() };
        let client = Client::new(offer.topics.clone());
        Self {
            config: config.clone(),
            unjudged: offer.auth_required,
            heard: now,
            taken: VecDeque::new(),
            session: Session::new(config, "c1".into(), offer, now),
            hub: Hub::new(now),
            client,
            now,
            socket: VecDeque::new(),
            reads: true,
            handlers: VecDeque::new(),
            sent: 0,
            hello_handled: !waits || setup.refused,
            is_open: false,
            told_closed: false,
            close_sent: false,
            inflater: Inflater::new(limits),
            predictor: Inflater::new(limits),
        }
    }

    fn apply(&mut self, op: &Op) {
        let (session, hub, now) = (&mut self.session, &mut self.hub, self.now);
        match op {
            Op::Send(sent, packing, mutation) => self.send(sent, *packing, mutation),
            Op::SendBytes { text, bytes } => self.put(*text, bytes.clone()),
            Op::Control => {
                self.heard = now;
                session.handle_control(now);
            }
            Op::PeerClose(code) => session.handle_close(now, code.map(CloseCode::new), "bye"),
            Op::Lost(fault) => session.handle_lost(now, fault.map(close_code), "lost"),
            Op::Publish(name, messages) => hub.publish(session, now, *name, &messages[..messages.len().min(8)]),
            Op::Restart(name) => hub.restart(session, now, *name),
            Op::Trim(name, share) => hub.trim(*name, *share),
            Op::Beacon(name) => hub.beacon(session, *name),
            Op::BirthsLost => hub.births_lost(session, now),
            Op::Reads(reads) => self.reads = *reads,
            Op::Takes(count) => self.take(usize::from(*count)),
            Op::Advance(time) => self.advance(Duration::from_millis(u64::from(*time) * 4)),
            Op::Answer => hub.answer(session, now),
            Op::Refuse => hub.refuse(session, now),
            Op::Judge(true) => {
                self.unjudged = false;
                session.welcome(Some("ada".into()));
            }
            Op::Judge(false) => session.refuse(now, &WireError::new(ErrorCode::AuthFailed, "no")),
            Op::Handle(count, how) => self.handle(usize::from(*count), *how),
            Op::Fetch => drop(hub.fetch(session, now)),
            Op::Close => session.close(now, CloseCode::RESTART, "restart"),
        }
    }

    /// What a driver does after anything: carry out, read, write, for as long as one makes room for the other.
    fn after_op(&mut self) {
        loop {
            self.dispatch();
            let handled = self.read_socket();
            if self.reads {
                self.take(usize::MAX);
            }
            if !handled {
                break;
            }
        }
        self.check();
    }

    fn check(&self) {
        let waiting = self.session.waiting_bytes();
        let limit = self.config.outbound_bytes;
        assert!(waiting <= 2 * limit + ONE_MORE, "{waiting} bytes wait under a limit of {limit}");
        assert!(waiting < limit || self.session.is_closing() || !self.session.reads(), "who does not read its answers is read");
        let patterns = self.session.names().filter(|name| matches!(name, Followed::Pattern(_))).count();
        assert!(patterns <= self.config.patterns && self.session.names().count() <= self.config.subscriptions, "more than it may");
        assert_eq!(self.session.poll_timeout().is_none(), self.session.is_closed());
        assert!(!self.session.is_closing() || self.told_closed, "the end is told");
    }

    fn dispatch(&mut self) {
        while let Some(event) = self.session.poll_event() {
            assert!(!self.told_closed, "{event:?} after the end");
            match event {
                Event::Opened => {
                    assert!(!self.is_open && !self.unjudged, "let in once, and not unjudged");
                    self.is_open = true;
                }
                Event::Heartbeat => self.hub.tell_positions(&mut self.session),
                Event::Subscribe(wanted) => self.hub.waiting.push_back(wanted),
                Event::Unsubscribe(names) => self.hub.unsubscribe(&mut self.session, &names),
                Event::Message(envelope) => self.hand_over(Taken::Message(envelope.cid, envelope.payload.value())),
                Event::Presence(change) => self.hand_over(Taken::Presence(change)),
                Event::Closed { opened, code, .. } => {
                    assert_eq!(opened, self.is_open);
                    let silent = self.now.saturating_duration_since(self.heard);
                    assert!(code != CloseCode::IDLE_TIMEOUT || silent >= self.config.idle_timeout, "{silent:?} are no silence");
                    (self.told_closed, self.client.ending) = (true, true);
                }
                _ => {}
            }
        }
        assert!(self.hub.waiting.len() <= 1, "the hub is asked one thing at a time");
    }

    fn hand_over(&mut self, came: Taken) {
        assert_eq!(self.taken.pop_front().as_ref(), Some(&came), "what the peer sent comes as sent, in order");
        self.handlers.push_back(came);
        assert!(self.handlers.len() <= self.config.handler_queue, "{:?}", self.handlers);
    }

    /// Hands over what the peer sent, as far as the session reads; true if there was any.
    fn read_socket(&mut self) -> bool {
        let before = self.socket.len();
        while self.session.reads() {
            let Some((is_text, mut bytes)) = self.socket.pop_front() else { break };
            let was_closing = self.session.is_closing();
            let decoded = self.predict(is_text, &bytes);
            if let Ok((ClientMessage::Subscription(request), ..)) = &decoded
                && request.cid.is_none()
            {
                // Its answer could not be told from word that was not asked for.
                continue;
            }
            self.heard = self.now;
            if is_text {
                self.session.handle_text(self.now, &mut bytes);
            } else {
                self.session.handle_binary(self.now, &bytes, &mut self.inflater);
            }
            self.client.ending |= self.session.is_closing();
            if !was_closing && !self.client.ending {
                self.expect(decoded);
            }
            self.dispatch();
            assert!(self.taken.is_empty(), "{:?} did not come to a handler", self.taken);
        }
        self.socket.len() < before
    }

    /// What the session is to make of a frame, of a ping the payload, and what an answer refers to.
    fn predict(&mut self, is_text: bool, bytes: &[u8]) -> Result<Predicted, WireError> {
        let agreed = self.session.variant();
        let unsupported = || WireError::new(ErrorCode::UnsupportedFormat, "");
        let envelope = match frame_body(bytes) {
            _ if is_text => envelope::decode(&mut bytes.to_vec()),
            Tagged::Msgpack(map) if agreed.format == Format::Msgpack => envelope::decode_msgpack(map),
            Tagged::Compressed(stream) if agreed.compressed => {
                let mut inner = self.predictor.inflate(stream).map_err(|error| WireError::new(error.code(), ""))?;
                match frame_body(&inner) {
                    Tagged::Msgpack(map) if agreed.format == Format::Msgpack => envelope::decode_msgpack(map),
                    Tagged::Msgpack(_) => Err(unsupported()),
                    Tagged::Compressed(_) => Err(WireError::new(ErrorCode::InvalidCompression, "")),
                    _ => envelope::decode(&mut inner),
                }
            }
            _ => Err(unsupported()),
        }?;
        let (payload, reference) = (envelope.payload.value(), envelope.reference());
        Ok((ClientMessage::decode(envelope)?, payload, reference))
    }

    /// What the peer is owed for a frame that the session took.
    fn expect(&mut self, decoded: Result<Predicted, WireError>) {
        let error = |code: ErrorCode, cid| Owed::Error(code.as_str().into(), cid);
        let owed = match decoded {
            Err(fault) => error(fault.code, fault.cid),
            Ok((ClientMessage::Hello(hello), ..)) if !self.hello_handled => {
                self.hello_handled = true;
                return self.client.expect_hello(hello);
            }
            Ok((ClientMessage::Hello(_), _, reference)) => error(ErrorCode::UnexpectedMessage, reference),
            Ok((_, _, reference)) if !self.is_open => error(ErrorCode::NotReady, reference),
            Ok((ClientMessage::Ping(_), payload, _)) => Owed::Pong(payload),
            Ok((ClientMessage::Subscription(request), ..)) => return self.client.asked.push_back(request),
            Ok((ClientMessage::Event(envelope), payload, _)) => {
                return self.taken.push_back(Taken::Message(envelope.cid, payload));
            }
            Ok((ClientMessage::Presence(request), ..)) => match self.judge(request) {
                Ok(taken) => return self.taken.push_back(taken),
                Err(owed) => owed,
            },
            Ok(_) => return,
        };
        self.client.owed.push_back(owed);
    }

    /// The peer takes so many pieces.
    fn take(&mut self, count: usize) {
        let unix = self.hub.at(self.now).unix;
        for _ in 0..count {
            let closed = self.session.is_closed();
            let next = self.session.poll_transmit(self.now);
            assert!(next.is_none() || !(self.close_sent || closed), "{next:?} after the end");
            match next {
                None => return,
                Some(Transmit::Plain(frame)) => self.client.receive(&self.hub, unix, frame.is_text(), &frame.payload()),
                Some(Transmit::Own(frame)) => {
                    let frame = self.hub.pack(self.session.variant(), frame);
                    self.client.receive(&self.hub, unix, frame.is_text(), &frame.payload());
                }
                Some(Transmit::Topic(chunk)) => {
                    let ranks = Ranks::new(&self.hub, &self.client);
                    chunk.payloads().for_each(|(is_text, payload)| self.client.receive(&self.hub, unix, is_text, &payload));
                    ranks.check(&self.client);
                }
                Some(Transmit::Close { .. }) => self.close_sent = true,
            }
        }
    }

    /// Time passes; the session is asked at each of its deadlines, which move on by that.
    fn advance(&mut self, time: Duration) {
        let (end, mut at_once) = (self.now + time, 0);
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            at_once = if due > self.now { 0 } else { at_once + 1 };
            assert!(at_once <= DUE_AT_ONCE, "a deadline that handling does not meet");
            self.now = due.max(self.now);
            self.session.handle_timeout(self.now);
            self.client.ending |= self.session.is_closing();
            self.after_op();
        }
        self.now = end;
    }

    fn handle(&mut self, count: usize, how: Handled) {
        let done: Vec<_> = self.handlers.drain(..count.min(self.handlers.len())).collect();
        for taken in done {
            let owed = match taken {
                Taken::Presence(change) => self.store(&change, how),
                Taken::Message(cid, _) => {
                    let owed = cid.and_then(|cid| self.answer(cid, how));
                    self.session.handled(self.now, 1);
                    owed
                }
            };
            self.client.owed.extend(owed);
        }
    }

    /// A handler's answer, and what the peer is owed for it.
    fn answer(&mut self, cid: Box<str>, how: Handled) -> Option<Owed> {
        match how {
            Handled::Reply => {
                self.session.reply(&cid, Format::Json, br#"{"ok":true}"#);
                Some(Owed::Reply(json!({"ok": true}), Some(cid)))
            }
            Handled::Fail => {
                let error = WireError::new(ErrorCode::NoHandler, "nobody").answering(Some(cid));
                self.session.fail(&error);
                Some(Owed::Error(error.code.as_str().into(), error.cid))
            }
            Handled::Nothing => None,
        }
    }

    fn send(&mut self, sent: &Sent, packing: Packing, mutation: &Mutation) {
        self.sent += 1;
        let agreed = self.client.agreed();
        let as_agreed = Variant { compressed: agreed.compressed && self.sent.is_multiple_of(2), ..agreed };
        let variant = match packing {
            Packing::AsAgreed => as_agreed,
            Packing::Text => Variant::default(),
            Packing::Msgpack => Variant { format: Format::Msgpack, ..Variant::default() },
            Packing::Compressed => Variant { compressed: true, ..agreed },
        };
        let (is_text, mut bytes) = framed(self.text(sent), variant);
        mutation.apply(&mut bytes);
        self.put(is_text, bytes);
    }

    fn put(&mut self, is_text: bool, bytes: Vec<u8>) {
        if self.socket.len() < SOCKET {
            self.socket.push_back((is_text, bytes));
        }
    }

    fn text(&self, sent: &Sent) -> String {
        let cid = format!("q{}", self.sent);
        match sent {
            Sent::Hello { formats, compression, batch, token, subscribe } => {
                let zlib = if *compression { r#"["zlib"]"# } else { r#"["lz9"]"# };
                let token = if *token { r#","token":"token""# } else { "" };
                let rest = self.subscribe(subscribe);
                let p = format!(r#"{{{}"compression":{zlib},"batch":{batch}{token},{rest}}}"#, hello(*formats));
                format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{p}}}"#)
            }
            Sent::Subscribe(subscribe) => request(&cid, "subscribe", &self.subscribe(subscribe)),
            Sent::Unsubscribe(topics) => request(&cid, "unsubscribe", &format!(r#""topics":[{}]"#, names(topics))),
            Sent::Ping(number) => format!(r#"{{"v":2,"c":"WSE","t":"ping","p":{{"at":{number}}}}}"#),
            Sent::Pong => r#"{"v":2,"c":"WSE","t":"pong","p":null}"#.into(),
            Sent::Event { cid: true } => format!(r#"{{"v":2,"t":"order","id":"m1","cid":"{cid}","p":{{"size":10}}}}"#),
            Sent::Event { cid: false } => r#"{"v":2,"t":"order","id":"m1","p":[1,2,3]}"#.into(),
            Sent::Presence { action, topic, size, key, cid: answered } => {
                let cid = if *answered { format!(r#","cid":"{cid}""#) } else { String::new() };
                let key = key.map(|key| format!(r#","key":"{key}""#)).unwrap_or_default();
                let p = format!(r#"{{"action":"{action}","topic":"{}","data":"{}"{key}}}"#, topic.as_str(), "x".repeat(*size));
                format!(r#"{{"v":2,"c":"WSE","t":"presence"{cid},"p":{p}}}"#)
            }
            Sent::Reserved => r#"{"v":2,"c":"WSE","t":"token_refresh","id":"m2"}"#.into(),
        }
    }

    fn subscribe(&self, subscribe: &Subscribe) -> String {
        let (mut positions, mut filters) = (String::new(), String::new());
        if subscribe.positions {
            let known = self.client.streams.iter().map(|(name, stream)| (name.as_str(), &stream.position));
            for (name, position) in known.chain(self.client.pattern.iter().map(|position| ("n:*", position))) {
                let comma = if positions.is_empty() { "" } else { "," };
                let (epoch, seq) = (position.epoch.as_str(), position.seq.number());
                write!(positions, r#"{comma}"{name}":{{"e":"{epoch}","seq":{seq}}}"#).expect("a String takes it");
            }
        }
        for (name, filter) in subscribe.filters.iter().take(4) {
            let comma = if filters.is_empty() { "" } else { "," };
            if !filters.contains(&format!("\"{}\":", name.as_str())) {
                write!(filters, r#"{comma}"{}":{}"#, name.as_str(), filter.as_json()).expect("a String takes it");
            }
        }
        format!(r#""topics":[{}],"positions":{{{positions}}},"filters":{{{filters}}}"#, names(&subscribe.names))
    }

    /// Everything that waits is answered, read and fetched; then nothing may be missing.
    fn settle(&mut self) {
        self.reads = true;
        self.socket.clear();
        self.unjudged = false;
        self.session.welcome(None);
        for _ in 0..64 {
            self.after_op();
            self.handle(usize::MAX, Handled::Reply);
            self.hub.answer(&mut self.session, self.now);
            while self.hub.fetch(&mut self.session, self.now) {
                self.after_op();
            }
        }
        self.after_op();
        if !self.session.is_closing() {
            let behind = self.hub.members.values().filter(|member| member.state != State::Live).count();
            assert_eq!((behind, self.session.waiting_bytes()), (0, 0));
            let names: BTreeSet<_> = self.session.names().map(Followed::as_str).collect();
            assert_eq!(names, self.hub.names().collect(), "what it counts as subscribed");
            self.client.is_whole(&self.hub);
        }
    }
}

fn hello(formats: Formats) -> &'static str {
    match formats {
        Formats::Absent => "",
        Formats::Json => r#""formats":["json"],"#,
        Formats::Msgpack => r#""formats":["msgpack"],"#,
        Formats::Both => r#""versions":[1,2],"formats":["cbor","msgpack","json"],"#,
        Formats::Unknown => r#""formats":["cbor"],"#,
        Formats::OtherVersion => r#""versions":[3],"#,
    }
}

fn request(cid: &str, action: &str, rest: &str) -> String {
    format!(r#"{{"v":2,"c":"WSE","t":"subscription","cid":"{cid}","p":{{"action":"{action}",{rest}}}}}"#)
}

fn names(names: &[Name]) -> String {
    names.iter().take(6).map(|name| format!("\"{}\"", name.as_str())).collect::<Vec<_>>().join(",")
}

/// A frame of the peer: whether it is text, and its bytes.
fn framed(text: String, variant: Variant) -> (bool, Vec<u8>) {
    let mut body = text.into_bytes();
    if variant.format == Format::Msgpack {
        let mut packed = Tagged::MSGPACK.to_vec();
        transcode(Format::Json, Format::Msgpack, &body, &mut packed).expect("our own JSON");
        body = packed;
    }
    if variant.compressed {
        let mut compressed = Tagged::COMPRESSED.to_vec();
        if Compressor::new(CompressorConfig { from_bytes: 0, ..CompressorConfig::default() }).compress(&body, &mut compressed) {
            return (false, compressed);
        }
    }
    (variant.format == Format::Json, body)
}

fn close_code(fault: Fault) -> CloseCode {
    match fault {
        Fault::Protocol => CloseCode::PROTOCOL,
        Fault::Utf8 => CloseCode::INVALID_UTF8,
        Fault::TooLarge => CloseCode::TOO_LARGE,
    }
}
