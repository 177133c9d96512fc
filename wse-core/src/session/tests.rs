//! Both ends of a connection in memory, with a clock that only the test moves.
mod direct;
mod moving;
mod names;
mod presence;
mod rules;

use super::*;
use crate::{Chunk, InflateLimits, Inflater, Moment, Numbered, Prepared, Wire, WireConfig};
use simd_json::prelude::*;
use wse_protocol::{Epoch, ErrorCode, Format, Position, Priority, Publication, Seq, Topic, UnixMillis, Value};

/// A session and what its peer would have received.
struct Pair {
    session: Session,
    now: Instant,
    received: Vec<Value>,
    closed: Option<Option<CloseCode>>,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for the test's clock")]
    fn with(config: SessionConfig, offer: Offer) -> Self {
        let now = Instant::now();
        Self { session: Session::new(Arc::new(config), "c1".into(), offer, now), now, received: Vec::new(), closed: None }
    }

    fn new(offer: Offer) -> Self {
        Self::with(SessionConfig::default(), offer)
    }

    fn ready() -> Self {
        let mut pair = Self::new(Offer::default());
        pair.pump();
        pair.received.clear();
        while pair.session.poll_event().is_some() {}
        pair
    }

    fn send(&mut self, text: &str) -> &mut Self {
        self.session.handle_text(self.now, &mut text.as_bytes().to_vec());
        self.pump()
    }

    fn pump(&mut self) -> &mut Self {
        while let Some(transmit) = self.session.poll_transmit(self.now) {
            match transmit {
                Transmit::Plain(frame) | Transmit::Own(frame) => self.receive(&frame.payload()),
                Transmit::Topic(chunk) => chunk.payloads().for_each(|(_, payload)| self.receive(&payload)),
                Transmit::Close { code, .. } => self.closed = Some(code),
            }
        }
        self
    }

    fn receive(&mut self, body: &[u8]) {
        self.received.push(simd_json::to_owned_value(&mut body.to_vec()).expect("our own JSON"));
    }

    fn advance(&mut self, seconds: u64) -> &mut Self {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.session.handle_timeout(self.now);
            self.pump();
            if self.session.is_closed() {
                break;
            }
        }
        self.now = end;
        self
    }

    fn kinds(&self) -> Vec<&str> {
        self.received.iter().filter_map(|m| m.get_str("t")).collect()
    }

    fn error_codes(&self) -> Vec<&str> {
        self.received.iter().filter(|m| m.get_str("t") == Some("error")).filter_map(|m| m.get("p")?.get_str("code")).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }
}

fn position(seq: u64) -> Position {
    Position { epoch: Epoch::parse("e1").expect("short"), seq: Seq::new(seq).expect("small") }
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a name")
}

fn inflater() -> Inflater {
    Inflater::new(InflateLimits::default())
}

/// One message of so many bytes, about.
fn chunk(name: &str, seq: u64, priority: Priority, size: usize) -> Chunk {
    let payload = format!("\"{}\"", "x".repeat(size)).into_bytes().into();
    let publication = Publication {
        id: "m".into(),
        event_type: "t".into(),
        ts: UnixMillis(0),
        expires: None,
        key: None,
        priority,
        format: Format::Json,
        payload,
    };
    let Position { epoch, seq } = position(seq);
    let message = Numbered { seq, previous: None, publication: &publication };
    Arc::new(Wire::new(WireConfig::default()).run(Moment::origin(), Variant::default(), &topic(name), &epoch, &[message])).whole()
}

const HELLO: &str = r#"{"v":2,"c":"WSE","t":"client_hello","p":{"token":"secret","topics":["a"]}}"#;
const SUBSCRIBE: &str = r#"{"v":2,"c":"WSE","t":"subscription","cid":"s1","p":{"action":"subscribe","topics":["a","@x","b"]}}"#;

#[test]
fn a_plain_client_is_ready_at_once_and_one_that_promised_a_hello_is_not() {
    let mut plain = Pair::new(Offer { topics: vec!["a".into()], ..Offer::default() });
    assert_eq!(plain.pump().kinds(), ["server_hello", "server_ready"]);
    assert!(matches!(&plain.events()[..], [Event::Opened, Event::Subscribe(wanted)] if wanted[0].followed.as_str() == "a"));

    let mut promised = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    assert!(promised.pump().kinds().is_empty());
    assert_eq!(promised.send(HELLO).kinds(), ["server_hello", "server_ready"]);
}

#[test]
fn nothing_is_answered_before_the_authenticator_approved() {
    let mut pair = Pair::new(Offer { hello_promised: true, auth_required: true, ..Offer::default() });
    assert!(pair.send(HELLO).kinds().is_empty());
    assert!(matches!(&pair.events()[..], [Event::Authenticate { token: Some(token) }] if token == "secret"));
    pair.send(SUBSCRIBE);
    assert_eq!(pair.error_codes(), ["NOT_READY"]);
    pair.session.welcome(Some("ada".into()));
    assert_eq!(pair.pump().kinds(), ["error", "server_hello", "server_ready"]);
}

#[test]
fn a_refused_client_gets_the_error_and_a_fatal_close() {
    let mut pair = Pair::new(Offer { hello_promised: true, auth_required: true, ..Offer::default() });
    pair.send(HELLO);
    let now = pair.now;
    pair.session.refuse(now, &WireError::new(ErrorCode::AuthFailed, "no"));
    pair.pump();
    assert_eq!((pair.error_codes(), pair.closed), (vec!["AUTH_FAILED"], Some(Some(CloseCode::AUTH_FAILED))));
    assert!(matches!(pair.events().last(), Some(Event::Closed { opened: false, .. })));
}

#[test]
fn each_topic_of_a_request_is_answered_for_itself_before_its_messages() {
    let mut pair = Pair::ready();
    pair.send(SUBSCRIBE);
    let [Event::Subscribe(wanted)] = &pair.events()[..] else { panic!("one request to the hub") };
    assert_eq!(wanted.iter().map(|w| w.followed.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let now = pair.now;
    pair.session.subscribed(now, vec![Outcome::Live(position(7)), Outcome::Resync(position(3), "epoch")]);
    pair.pump();
    let update = &pair.received[0];
    let statuses: Vec<_> = update["p"]["topics"].as_array().expect("entries").iter().filter_map(|e| e.get_str("status")).collect();
    assert_eq!((statuses, update.get_str("cid")), (vec!["live", "refused", "resync"], Some("s1")));
    assert_eq!(update["p"]["topics"][0].get_u64("seq"), Some(7));
}

#[test]
fn requests_are_answered_one_after_the_other_and_hold_back_reading_when_many_wait() {
    let mut pair = Pair::ready();
    for _ in 0..17 {
        assert!(pair.session.reads());
        pair.send(SUBSCRIBE);
    }
    assert!(!pair.session.reads());
    assert_eq!(pair.events().len(), 1, "the hub works on one request at a time");
    let now = pair.now;
    pair.session.subscribed(now, vec![Outcome::Live(position(0)), Outcome::Live(position(0))]);
    assert!(pair.session.reads());
    assert_eq!(pair.events().len(), 1);
}

#[test]
fn subscriptions_past_the_limit_are_refused_and_the_others_stay() {
    let mut pair = Pair::with(SessionConfig { subscriptions: 1, ..SessionConfig::default() }, Offer::default());
    pair.send(SUBSCRIBE);
    let now = pair.now;
    pair.session.subscribed(now, vec![Outcome::Live(position(0))]);
    pair.pump();
    let entries = &pair.received.last().expect("an update")["p"]["topics"];
    assert_eq!((entries[0].get_str("status"), entries[2].get_str("code")), (Some("live"), Some("TOO_MANY_SUBSCRIPTIONS")));
}

#[test]
fn a_refused_change_leaves_the_subscription_as_it_was_and_a_refused_newcomer_none() {
    let mut pair = Pair::ready();
    let ask = r#"{"v":2,"c":"WSE","t":"subscription","p":{"action":"subscribe","topics":["a","b"]}}"#;
    let refused = || Outcome::Refused(WireError::new(ErrorCode::FilterLimit, "no more"));
    let now = pair.now;
    for outcomes in [vec![Outcome::Live(position(0)), refused()], vec![refused(), refused()]] {
        pair.send(ask).session.subscribed(now, outcomes);
        assert_eq!(pair.session.names().map(Followed::as_str).collect::<Vec<_>>(), ["a"]);
    }
}

#[test]
fn bad_input_is_answered_and_the_connection_stays() {
    let mut pair = Pair::ready();
    for text in
        ["garbage", "[1]", r#"{"v":3,"t":"a"}"#, r#"{"v":2}"#, r#"{"v":2,"c":"WSE","t":"nope"}"#, r#"{"v":2,"c":"WSE","t":"key_request"}"#]
    {
        pair.send(text);
    }
    pair.send(r#"{"v":2,"c":"WSE","t":"subscription","p":{"action":"subscribe","topics":[]}}"#).send(HELLO);
    let now = pair.now;
    pair.session.handle_binary(now, b"M:\x80", &mut inflater());
    pair.pump();
    let expected = ["INVALID_JSON", "INVALID_JSON", "UNSUPPORTED_VERSION", "INVALID_MESSAGE", "UNKNOWN_TYPE", "NOT_IMPLEMENTED"];
    assert_eq!(pair.error_codes()[..6], expected);
    assert_eq!(pair.error_codes()[6..], ["NO_TOPICS", "UNEXPECTED_MESSAGE", "UNSUPPORTED_FORMAT"]);
    assert_eq!(pair.closed, None);
}

#[test]
fn a_full_handler_queue_stops_the_reading_and_the_idle_clock() {
    let config = SessionConfig { handler_queue: 2, ..SessionConfig::default() };
    let mut pair = Pair::with(config, Offer::default());
    pair.send(r#"{"v":2,"t":"x"}"#).send(r#"{"v":2,"t":"x"}"#);
    assert!(!pair.session.reads());
    pair.advance(3600);
    assert_eq!(pair.closed, None, "its silence is our doing");
    let now = pair.now;
    pair.session.handled(now, 1);
    assert!(pair.session.reads());
    pair.advance(91);
    assert_eq!(pair.closed, Some(Some(CloseCode::IDLE_TIMEOUT)));
}

#[test]
fn a_peer_that_reads_too_slowly_is_told_and_closed_and_memory_stays_bounded() {
    let config = SessionConfig { outbound_bytes: 1000, ..SessionConfig::default() };
    let mut pair = Pair::with(config, Offer::default());
    pair.pump();
    let now = pair.now;
    for seq in 1..=10 {
        pair.session.deliver(now, &topic("a"), SlowPolicy::Disconnect, chunk("a", seq, Priority::Normal, 300));
        assert!(pair.session.waiting_bytes() <= 1000);
    }
    pair.received.clear();
    pair.pump();
    assert_eq!((pair.error_codes(), pair.closed), (vec!["SLOW_CONSUMER"], Some(Some(CloseCode::SLOW_CONSUMER))));
}

#[test]
fn a_quiet_connection_is_pinged_and_a_silent_peer_is_closed() {
    let mut pair = Pair::ready();
    pair.advance(31);
    assert_eq!(pair.kinds(), ["ping", "ping"]);
    pair.send(r#"{"v":2,"c":"WSE","t":"ping","p":{"at":5}}"#);
    assert_eq!(pair.received[2]["p"].get_u64("at"), Some(5));
    pair.advance(60);
    assert_eq!(pair.closed, None);
    pair.advance(31);
    assert_eq!(pair.closed, Some(Some(CloseCode::IDLE_TIMEOUT)));
}

#[test]
fn a_busy_connection_is_pinged_too_so_that_who_only_listens_is_no_silent_peer() {
    let mut pair = Pair::ready();
    for seq in 1..=200 {
        let now = pair.now;
        pair.session.deliver(now, &topic("a"), SlowPolicy::Recover, chunk("a", seq, Priority::Normal, 10));
        let before = pair.kinds().iter().filter(|kind| **kind == "ping").count();
        if pair.pump().advance(1).kinds().iter().filter(|kind| **kind == "ping").count() > before {
            pair.send(r#"{"v":2,"c":"WSE","t":"pong"}"#);
        }
    }
    assert_eq!((pair.kinds().iter().filter(|kind| **kind == "ping").count(), pair.closed), (200 / 15, None));
    let beats = pair.events().iter().filter(|event| matches!(event, Event::Heartbeat)).count();
    assert_eq!(beats, 200 / 15, "each a moment to tell of topics that moved");
}

#[test]
fn what_a_peer_that_does_not_read_is_to_be_told_now_and_then_is_bounded() {
    let config = SessionConfig { outbound_bytes: 1000, idle_timeout: Duration::from_secs(1_000_000), ..SessionConfig::default() };
    let mut pair = Pair::with(config, Offer::default());
    pair.pump();
    let frame = Prepared::new(Format::Json, &[b'x'; 100]);
    let taken = (0..1000).filter(|_| pair.session.beacon(&topic("a"), frame.clone())).count();
    assert!((5..=11).contains(&taken), "{taken}");
    for _ in 0..1000 {
        pair.now = pair.session.poll_timeout().expect("the next heartbeat");
        pair.session.handle_timeout(pair.now);
    }
    assert!(pair.session.waiting_bytes() < 1200, "pings neither: {}", pair.session.waiting_bytes());
    pair.session.outbound.clear();
    pair.session.deliver(pair.now, &topic("a"), SlowPolicy::Recover, chunk("a", 1, Priority::Normal, 10));
    assert!(!pair.session.beacon(&topic("a"), frame.clone()), "nor does it overtake");
    assert!(pair.session.beacon(&topic("b"), frame));
}

#[test]
fn a_hello_that_never_comes_ends_in_4003() {
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    pair.send("garbage").advance(10);
    assert_eq!((pair.error_codes(), pair.closed), (vec!["INVALID_JSON", "HANDSHAKE_TIMEOUT"], Some(Some(CloseCode::HANDSHAKE_TIMEOUT))));
}

#[test]
fn the_end_is_told_once_whoever_closes() {
    let mut pair = Pair::ready();
    let now = pair.now;
    pair.session.close(now, CloseCode::RESTART, "restart");
    pair.session.handle_close(now, Some(CloseCode::NORMAL), "");
    pair.session.handle_lost(now, None, "gone");
    let ends = pair.events();
    assert!(matches!(&ends[..], [Event::Closed { code: CloseCode::RESTART, opened: true, .. }]), "{ends:?}");
    assert!(pair.session.is_closed());
}

#[test]
fn a_message_that_is_too_large_is_an_error_and_then_the_close() {
    let mut pair = Pair::ready();
    pair.session.handle_lost(pair.now, Some(CloseCode::TOO_LARGE), "a message is larger than 10 bytes");
    pair.pump();
    assert_eq!((pair.error_codes(), pair.closed), (vec!["MESSAGE_TOO_LARGE"], Some(Some(CloseCode::TOO_LARGE))));
}

#[test]
fn a_peer_that_asks_and_never_reads_is_read_no_further() {
    let mut pair = Pair::with(SessionConfig { outbound_bytes: 1000, ..SessionConfig::default() }, Offer::default());
    let now = pair.now;
    let mut sent = 0;
    while pair.session.reads() {
        pair.session.handle_text(now, &mut br#"{"v":2,"c":"WSE","t":"ping"}"#.to_vec());
        sent += 1;
        assert!(sent < 100);
    }
    assert!(pair.session.waiting_bytes() < 1100);
}

#[test]
fn an_end_that_overtakes_the_hello_leaves_the_hello_before_it_and_nothing_after_the_close() {
    // [P-9]: without the hello the client could not read the error in the format that was agreed on.
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    let hello = r#"{"v":2,"c":"WSE","t":"client_hello","p":{"formats":["msgpack"],"topics":["a"]}}"#;
    pair.session.handle_text(pair.now, &mut hello.as_bytes().to_vec());
    pair.session.give_up(pair.now);
    let frames: Vec<_> = std::iter::from_fn(|| pair.session.poll_transmit(pair.now)).collect();
    let [Transmit::Plain(first), Transmit::Own(error), Transmit::Close { .. }] = &frames[..] else { panic!("{frames:?}") };
    assert!(first.is_text() && first.payload().windows(12).any(|part| part == b"server_hello"));
    assert!(!error.is_text() && error.payload().starts_with(b"M:"));
}

#[test]
fn a_session_whose_peer_is_gone_holds_and_sends_nothing() {
    let mut pair = Pair::ready();
    let now = pair.now;
    pair.session.deliver(now, &topic("a"), SlowPolicy::Recover, chunk("a", 1, Priority::Normal, 300));
    pair.session.handle_lost(now, None, "gone");
    pair.session.fail(&WireError::new(ErrorCode::NoHandler, "nobody"));
    assert_eq!((pair.session.waiting_bytes(), pair.session.poll_transmit(now).is_none()), (0, true));
}

#[test]
fn a_close_that_nobody_takes_is_given_up_with_all_that_waits() {
    let mut pair = Pair::ready();
    let now = pair.now;
    pair.session.deliver(now, &topic("a"), SlowPolicy::Recover, chunk("a", 1, Priority::Normal, 300));
    pair.session.close(now, CloseCode::RESTART, "restart");
    pair.session.handle_timeout(now + CLOSE_TIMEOUT);
    assert_eq!((pair.session.is_closed(), pair.session.waiting_bytes()), (true, 0));
    assert!(pair.session.poll_transmit(now).is_none());
}
