//! Rules of the protocol that a session keeps by itself, each named by the test that proves it.
use super::*;
use wse_protocol::{
    Tagged, frame_body,
    messages::{Agreed, Capabilities, ServerMessage},
    transcode,
};

fn hello(rest: &str) -> Vec<u8> {
    format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{{{rest}}}}}"#).into_bytes()
}

fn promised(capabilities: Capabilities) -> Pair {
    let config = SessionConfig { capabilities, ..SessionConfig::default() };
    Pair::with(config, Offer { hello_promised: true, ..Offer::default() })
}

/// Everything queued of the protocol's own: whether it is text, and its payload.
fn own(pair: &mut Pair) -> Vec<(bool, Vec<u8>)> {
    let next = || match pair.session.poll_transmit(pair.now)? {
        Transmit::Plain(frame) | Transmit::Own(frame) => Some((frame.is_text(), frame.payload().to_vec())),
        other => panic!("{other:?}"),
    };
    std::iter::from_fn(next).collect()
}

fn read(is_text: bool, payload: &[u8]) -> ServerMessage {
    let message = match frame_body(payload) {
        Tagged::Msgpack(map) if !is_text => ServerMessage::read(Format::Msgpack, &mut map.to_vec()),
        _ => ServerMessage::read(Format::Json, &mut payload.to_vec()),
    };
    message.expect("a message of the server")
}

#[test]
fn p9_every_combination_of_what_both_sides_want_is_told_in_the_hello_and_used_after_it() {
    let mut tried = 0;
    for bits in 0..64_u8 {
        let bit = |n: u8| bits & (1 << n) != 0;
        let capabilities = Capabilities { msgpack: bit(0), compression: bit(1), batch: bit(2) };
        for formats in [None, Some(r#"["json"]"#), Some(r#"["msgpack","json"]"#), Some(r#"["cbor","json","msgpack"]"#)] {
            let zlib = if bit(3) { r#"["lz9","zlib"]"# } else { "[]" };
            let formats_key = formats.map_or(String::new(), |formats| format!(r#""formats":{formats},"#));
            let mut pair = promised(capabilities);
            pair.session.handle_text(pair.now, &mut hello(&format!(r#"{formats_key}"compression":{zlib},"batch":{}"#, bit(4))));
            let msgpack = capabilities.msgpack && formats.is_some_and(|formats| formats.starts_with(r#"["msgpack"#));
            let format = if msgpack { Format::Msgpack } else { Format::Json };
            let agreed = Agreed { format, compression: capabilities.compression && bit(3), batch: capabilities.batch && bit(4) };
            let frames = own(&mut pair);
            let [(true, first), (is_text, second)] = &frames[..] else { panic!("hello as text, ready: {frames:?}") };
            let ServerMessage::Hello(told) = read(true, first) else { panic!("the hello") };
            assert_eq!((told.format, told.compression.is_some(), told.batch), (format, agreed.compression, agreed.batch), "{bits}");
            assert_eq!((*is_text, pair.session.variant()), (!msgpack, Variant::from(agreed)));
            assert!(matches!(read(*is_text, second), ServerMessage::Ready(_)));
            tried += 1;
        }
    }
    assert_eq!(tried, 256);
}

#[test]
fn p9_the_hello_and_what_waits_before_it_go_as_they_are_whatever_is_agreed_on() {
    let mut pair = promised(Capabilities::ALL);
    pair.session.handle_text(pair.now, &mut br#"{"v":2,"t":"early"}"#.to_vec());
    pair.session.handle_text(pair.now, &mut hello(r#""formats":["msgpack"],"compression":["zlib"]"#));
    let frames: Vec<_> = std::iter::from_fn(|| pair.session.poll_transmit(pair.now)).collect();
    let [Transmit::Plain(error), Transmit::Plain(told), Transmit::Own(ready)] = &frames[..] else { panic!("{frames:?}") };
    assert!(matches!(read(error.is_text(), &error.payload()), ServerMessage::Error(error, _) if error.code == "NOT_READY"));
    assert!(matches!(read(told.is_text(), &told.payload()), ServerMessage::Hello(_)));
    assert!(matches!(read(ready.is_text(), &ready.payload()), ServerMessage::Ready(_)));
    assert_eq!([error, told, ready].map(|frame| frame.is_text()), [true, true, false]);
}

#[test]
fn p5_p20_before_a_client_is_ready_all_but_a_hello_is_refused_by_its_reference_and_nothing_is_answered() {
    let early = [
        r#""c":"WSE","t":"ping","p":1,"cid":"q1""#,
        r#""c":"WSE","t":"pong","p":1,"id":"m1","cid":"q1""#,
        r#""c":"WSE","t":"subscription","id":"q1","p":{"action":"subscribe","topics":["a"]}"#,
        r#""c":"WSE","t":"snapshot_request","id":"q1","p":{"topics":["a"]}"#,
        r#""c":"WSE","t":"presence","cid":"q1","p":{"action":"leave","topic":"a"}"#,
        r#""t":"order","id":"q1""#,
    ];
    let mut pair = Pair::new(Offer { hello_promised: true, auth_required: true, ..Offer::default() });
    let refused = |pair: &mut Pair, frame: &str, code: &str| {
        pair.received.clear();
        pair.send(&format!(r#"{{"v":2,{frame}}}"#));
        let cids: Vec<_> = pair.received.iter().map(|m| m.get_str("cid")).collect();
        assert_eq!((pair.error_codes(), cids), (vec![code], vec![Some("q1")]), "{frame}");
    };
    early.iter().for_each(|frame| refused(&mut pair, frame, "NOT_READY"));
    pair.send(HELLO);
    early.iter().for_each(|frame| refused(&mut pair, frame, "NOT_READY"));
    refused(&mut pair, r#""c":"WSE","t":"client_hello","id":"q1""#, "UNEXPECTED_MESSAGE");
    assert!(matches!(&pair.events()[..], [Event::Authenticate { .. }]), "nothing was handed over");
    pair.session.welcome(None);
    pair.pump();
    refused(&mut pair, r#""c":"WSE","t":"client_hello","cid":"q1""#, "UNEXPECTED_MESSAGE");
    pair.received.clear();
    assert_eq!(pair.send(r#"{"v":2,"c":"WSE","t":"ping","p":1}"#).kinds(), ["pong"]);
}

#[test]
fn p8_p9_without_a_common_version_or_format_the_end_is_fatal() {
    let cases = [
        (Capabilities::ALL, r#""versions":[3]"#, "UNSUPPORTED_VERSION"),
        (Capabilities::ALL, r#""versions":[]"#, "UNSUPPORTED_VERSION"),
        (Capabilities::ALL, r#""formats":["cbor"]"#, "UNSUPPORTED_FORMAT"),
        (Capabilities::PLAIN, r#""formats":["msgpack"]"#, "UNSUPPORTED_FORMAT"),
    ];
    for (capabilities, asked, code) in cases {
        let mut pair = promised(capabilities);
        pair.session.handle_text(pair.now, &mut hello(asked));
        pair.pump();
        assert_eq!((pair.error_codes(), pair.closed), (vec![code], Some(Some(CloseCode::NO_COMMON_VERSION))), "{asked}");
    }
}

#[test]
fn p14_p16_p17_every_way_to_frame_a_message_that_was_agreed_on_is_read_and_answered_in_the_agreed_format() {
    let mut pair = promised(Capabilities::ALL);
    pair.session.handle_text(pair.now, &mut hello(r#""formats":["msgpack"],"compression":["zlib"]"#));
    own(&mut pair);
    let (now, text) = (pair.now, br#"{"v":2,"c":"WSE","t":"ping","p":{"at":7}}"#.to_vec());
    let mut packed = b"M:".to_vec();
    transcode(Format::Json, Format::Msgpack, &text, &mut packed).expect("JSON");
    let compressed = |body: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(b"C:".to_vec(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, body).expect("a Vec takes it");
        encoder.finish().expect("a Vec takes it")
    };
    pair.session.handle_text(now, &mut text.clone());
    for frame in [&packed, &compressed(&packed), &compressed(&text)] {
        pair.session.handle_binary(now, frame, &mut inflater());
    }
    for frame in [&b"S:x"[..], b"E:x", b"xx", &compressed(&compressed(&text)), b"C:nothing"] {
        pair.session.handle_binary(now, frame, &mut inflater());
    }
    let frames = own(&mut pair);
    assert!(frames.iter().all(|(is_text, payload)| !is_text && payload.starts_with(b"M:")));
    let answers: Vec<_> = frames.iter().map(|(is_text, payload)| read(*is_text, payload)).collect();
    assert!(answers[..4].iter().all(|answer| matches!(answer, ServerMessage::Pong(p) if p.get_u64("at") == Some(7))), "{answers:?}");
    let code = |answer: &ServerMessage| if let ServerMessage::Error(error, _) = answer { error.code.clone() } else { "none".into() };
    let codes: Vec<_> = answers[4..].iter().map(code).collect();
    let (format, stream) = ("UNSUPPORTED_FORMAT", "INVALID_COMPRESSION");
    assert_eq!(codes, [format, format, format, stream, stream]);
}

#[test]
fn p12_a_mebibyte_of_heads_of_arrays_is_too_deep_wherever_it_stands_and_takes_little_stack() {
    let judged = |body: Vec<u8>| {
        let mut pair = promised(Capabilities::ALL);
        pair.session.handle_text(pair.now, &mut hello(r#""formats":["msgpack"],"compression":["zlib"]"#));
        own(&mut pair);
        let is_binary = body.starts_with(b"M:");
        if is_binary {
            pair.session.handle_binary(pair.now, &body, &mut inflater());
        } else {
            pair.session.handle_text(pair.now, &mut body.clone());
        }
        let [(false, error)] = &own(&mut pair)[..] else { panic!("one answer") };
        assert!(!pair.session.is_closing());
        match read(false, error) {
            ServerMessage::Error(error, _) => error.code,
            other => panic!("{other:?}"),
        }
    };
    let judge_all = move || {
        let heads = |open: &[u8], head: u8| [open, &vec![head; (1 << 20) - open.len()]].concat();
        // `{"v":2,"t":"a",` with the heads under `p`, under a key that nobody knows, and in place of `t`; then instead of the envelope.
        let (payload, unknown, kind) = (b"M:\x83\xa1v\x02\xa1t\xa1a\xa1p", b"M:\x83\xa1v\x02\xa1t\xa1a\xa1x", b"M:\x82\xa1v\x02\xa1t");
        for open in [&payload[..], unknown, kind] {
            assert_eq!(judged(heads(open, 0x91)), "TOO_DEEP", "{}", open.escape_ascii());
        }
        assert_eq!(judged(heads(b"M:", 0x91)), "INVALID_MSGPACK", "no map");
        assert_eq!(judged(heads(br#"{"v":2,"t":"a","p":"#, b'[')), "TOO_DEEP");
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(judge_all).expect("a thread").join().expect("within its stack");
}

#[test]
fn p44_above_its_rate_a_peer_is_not_read_and_after_its_patience_it_is_closed() {
    let rate = std::num::NonZeroU32::new(10);
    let config = SessionConfig { messages_per_second: rate, message_burst: 2, ..SessionConfig::default() };
    let patience = config.rate_patience;
    let mut pair = Pair::with(config, Offer::default());
    let (start, mut sent) = (pair.now, 0);
    while pair.closed.is_none() {
        pair.send(r#"{"v":2,"c":"WSE","t":"ping"}"#);
        sent += 1;
        if let Some(due) = pair.session.poll_timeout().filter(|_| !pair.session.reads()) {
            pair.now = due;
            pair.session.handle_timeout(due);
        }
        assert!(sent < 1_000);
    }
    assert_eq!((pair.error_codes(), pair.closed), (vec!["RATE_LIMITED"], Some(Some(CloseCode::TRY_LATER))));
    let pongs = pair.kinds().iter().filter(|kind| **kind == "pong").count();
    assert_eq!((pongs, sent - pongs), (2 + 10 * patience.as_secs() as usize, 1), "all within the rate are answered, nothing is dropped");
    assert!(pair.now - start >= patience - Duration::from_secs(1));
}

#[test]
fn p36_the_topic_with_the_highest_waiting_priority_goes_first_and_within_it_nothing_moves() {
    let mut pair = Pair::ready();
    let queued = [("a", 1, Priority::Normal), ("b", 1, Priority::Low), ("c", 1, Priority::Background), ("b", 2, Priority::Critical)];
    for (name, seq, priority) in queued {
        let got = pair.session.deliver(pair.now, &topic(name), SlowPolicy::Recover, chunk(name, seq, priority, 10));
        assert_eq!(got, Delivered::Queued);
    }
    pair.send(r#"{"v":2,"c":"WSE","t":"ping"}"#);
    let order: Vec<_> = pair.received.iter().map(|m| (m.get_str("tp").unwrap_or("own"), m.get_u64("seq").unwrap_or(0))).collect();
    assert_eq!(order, [("own", 0), ("b", 1), ("b", 2), ("a", 1), ("c", 1)]);
}

#[test]
fn p43_what_is_left_out_is_told_before_the_next_frame_of_its_topic() {
    let mut pair = Pair::with(SessionConfig { outbound_bytes: 1_000, ..SessionConfig::default() }, Offer::default());
    pair.pump().received.clear();
    for seq in 1..=6 {
        pair.session.deliver(pair.now, &topic("a"), SlowPolicy::Latest, chunk("a", seq, Priority::Normal, 300));
    }
    pair.pump();
    let mut at = 0;
    for message in &pair.received {
        let (from, to) = match message.get_str("t") {
            Some("skip") => (message["p"].get_u64("from"), message["p"].get_u64("to")),
            _ => (message.get_u64("seq"), message.get_u64("seq")),
        };
        assert_eq!(from, Some(at + 1), "[P-34]: no gap");
        at = to.expect("an end");
    }
    assert_eq!((at, pair.kinds().contains(&"skip"), pair.session.shed().latest > 0), (6, true, true));
}

#[test]
fn p38_a_beacon_does_not_overtake_messages_of_its_topic() {
    let mut pair = Pair::ready();
    let beacon = |seq| {
        let Position { epoch, seq } = position(seq);
        let mut body = Vec::new();
        let beacon = wse_protocol::messages::Beacon { topic: "a".into(), position: Position { epoch, seq }, previous: seq };
        beacon.encode(Format::Json, &mut body);
        crate::Prepared::new(Format::Json, &body)
    };
    pair.session.deliver(pair.now, &topic("a"), SlowPolicy::Recover, chunk("a", 1, Priority::Normal, 10));
    assert!(!pair.session.beacon(&topic("a"), beacon(1)), "the message says it itself");
    pair.pump();
    assert!(pair.session.beacon(&topic("a"), beacon(3)));
    pair.pump();
    assert_eq!((pair.kinds(), pair.received[1].get_u64("seq")), (vec!["t", "beacon"], Some(3)));
}

#[test]
fn p39_a_birth_is_told_with_the_patterns_position_before_the_topics_first_message() {
    let mut pair = Pair::ready();
    pair.send(r#"{"v":2,"c":"WSE","t":"subscription","cid":"s1","p":{"action":"subscribe","topics":["n:*"]}}"#);
    let [Event::Subscribe(wanted)] = &pair.events()[..] else { panic!("one request to the hub") };
    assert!(matches!(wanted[0].followed, Followed::Pattern(_)));
    let now = pair.now;
    pair.session.subscribed(now, vec![Outcome::Pattern(Box::new(Outcome::Live(position(0))), Vec::new())]);
    let born = vec![(topic("n:a"), Outcome::Live(position(0)))];
    pair.session.deliver(now, &topic("n:a"), SlowPolicy::Recover, chunk("n:a", 1, Priority::Critical, 10));
    pair.session.inform(now, "n:*", Outcome::Pattern(Box::new(Outcome::Live(position(1))), born));
    pair.pump();
    assert_eq!(pair.kinds(), ["subscription_update", "subscription_update", "t"]);
    let entry = &pair.received[1]["p"]["topics"][0];
    assert_eq!((entry.get_str("tp"), entry.get_u64("seq"), entry["topics"][0].get_str("tp")), (Some("n:*"), Some(1), Some("n:a")));
}

#[test]
fn a_peer_that_does_not_read_is_given_up_for_more_word_than_it_may_keep_waiting() {
    let limit = 2_000;
    let mut pair = Pair::with(SessionConfig { outbound_bytes: limit, ..SessionConfig::default() }, Offer::default());
    pair.pump();
    let lost = |pair: &mut Pair, seq| pair.session.inform(pair.now, "a", Outcome::Resync(position(seq), "history"));
    for seq in 1..=1_000 {
        lost(&mut pair, seq);
        pair.pump();
    }
    assert!(!pair.session.is_closing(), "one that reads is told of each");
    while !pair.session.is_closing() {
        lost(&mut pair, 1);
        assert!(pair.session.waiting_bytes() <= limit || pair.session.is_closing());
    }
    pair.received.clear();
    pair.pump();
    assert_eq!((pair.error_codes(), pair.closed), (vec!["SLOW_CONSUMER"], Some(Some(CloseCode::SLOW_CONSUMER))));
}

#[test]
fn p20_positions_and_filters_of_the_hello_reach_the_hub_and_a_bad_filter_refuses_its_topic_alone() {
    let mut pair = promised(Capabilities::ALL);
    let rest = r#""topics":["a","b","n:*"],"positions":{"a":{"e":"e1","seq":5},"n:x":{"e":"e1","seq":2}},
        "filters":{"a":{"x":{"$gt":1}},"b":{"x":{"$what":1}}}"#;
    pair.session.handle_text(pair.now, &mut hello(rest));
    let events = pair.events();
    let [Event::Opened, Event::Subscribe(wanted)] = &events[..] else { panic!("{events:?}") };
    let [a, pattern] = &wanted[..] else { panic!("{wanted:?}") };
    assert_eq!((a.followed.as_str(), a.position.as_ref()), ("a", Some(&position(5))));
    assert_eq!(a.filter.as_ref().map(|filter| filter.canonical().to_owned()).as_deref(), Some(r#"{"x":{"$gt":1}}"#));
    assert_eq!((pattern.known.get(&topic("n:x")), pattern.position.as_ref()), (Some(&position(2)), None));
    let now = pair.now;
    pair.session.subscribed(now, vec![Outcome::Recovered(position(5), 2), Outcome::Live(position(0))]);
    pair.pump();
    let entries = &pair.received[2]["p"]["topics"];
    let told = |n: usize, key: &str| entries[n].get_str(key).map(str::to_owned);
    assert_eq!((told(0, "status").as_deref(), told(1, "code").as_deref()), (Some("recovered"), Some("INVALID_FILTER")));
}

#[test]
fn p26_pongs_make_the_links_score_and_lost_ones_lower_it() {
    let mut pair = Pair::ready();
    assert_eq!(pair.session.link().judge(), crate::Health::Good);
    for _ in 0..4 {
        pair.advance(15);
        pair.send(r#"{"v":2,"c":"WSE","t":"pong"}"#);
    }
    let answered = pair.session.link().judge();
    assert_eq!(answered, crate::Health::Excellent);
    pair.advance(60);
    let silent = (pair.session.link().judge(), pair.session.link().lost());
    assert_ne!(silent.0, answered, "{} pings had no pong", silent.1);
}
