//! The shared vectors: what every implementation of the protocol must agree on.
use serde_json::Value;
use wse_protocol::{
    CloseCode, Epoch, ErrorCode, Format, Pattern, Position, Priority, Publication, Seq, Topic, UnixMillis, defaults, encode, envelope,
    messages::{ClientMessage, ErrorMessage, ServerHello, ServerReady, SubscriptionUpdate},
};

fn vectors(name: &str) -> Value {
    let path = format!("{}/../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

fn cases<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    file[list].as_array().expect(list)
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect(key)
}

fn decode(frame: &str) -> Result<envelope::Envelope, wse_protocol::WireError> {
    envelope::decode(&mut frame.as_bytes().to_vec(), defaults::NESTING_DEPTH as usize)
}

/// What a decoder read, as the vectors write it: keys that the frame did not have are left out.
fn read(frame: &str, expected: &Value) -> Value {
    let envelope = decode(frame).unwrap_or_else(|e| panic!("{frame}: {e}"));
    let mut read = serde_json::Map::new();
    let payload = serde_json::to_value(&envelope.payload).expect("JSON");
    let string = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let fields = [
        ("v", Value::from(2)),
        ("t", Value::from(&*envelope.event_type)),
        ("c", Value::from(envelope.category.as_str())),
        ("id", string(envelope.id.as_deref())),
        ("ts", string(envelope.ts.as_deref())),
        ("tp", string(envelope.topic.as_deref())),
        ("e", string(envelope.epoch.as_ref().map(Epoch::as_str))),
        ("seq", envelope.seq.map_or(Value::Null, |s| s.number().into())),
        ("ps", envelope.previous.map_or(Value::Null, |s| s.number().into())),
        ("k", string(envelope.key.as_deref())),
        ("pri", envelope.priority.number().into()),
        ("cid", string(envelope.cid.as_deref())),
        ("p", payload),
    ];
    let absent = |key: &str, value: &Value| match key {
        "c" => value == "U",
        "pri" => *value == 5,
        _ => value.is_null(),
    };
    for (key, value) in fields {
        if expected.get(key).is_some() || !absent(key, &value) {
            read.insert(key.into(), value);
        }
    }
    Value::Object(read)
}

/// As many cases as the file says that it holds, and no fewer than it once held.
fn assert_count(file: &Value, cases: usize, least: usize) {
    assert_eq!(Some(cases as u64), file["count"].as_u64());
    assert!(cases >= least, "{cases} cases, where there were {least}");
}

#[test]
fn envelopes_are_read_and_refused_as_listed() {
    let file = vectors("envelopes.json");
    let (accept, reject) = (cases(&file, "accept"), cases(&file, "reject"));
    assert_count(&file, accept.len() + reject.len(), 83);
    for case in accept {
        assert_eq!(read(text(case, "text"), &case["envelope"]), case["envelope"], "{}", text(case, "name"));
    }
    for case in reject {
        let code = decode(text(case, "text")).map_err(|e| e.code.as_str());
        assert_eq!(code, Err(text(case, "code")), "{}", text(case, "name"));
    }
}

#[test]
fn topic_names_are_judged_as_listed() {
    let file = vectors("topics.json");
    let (valid, invalid) = (cases(&file, "valid"), cases(&file, "invalid"));
    assert_count(&file, valid.len() + invalid.len() + cases(&file, "patterns").len(), 33);
    for name in valid {
        let name = name.as_str().expect("a name");
        assert_eq!(Topic::parse(name).as_ref().map(Topic::as_str), Ok(name));
    }
    for case in invalid {
        let code = Topic::parse(text(case, "name")).map_err(|e| e.code.as_str());
        assert_eq!(code, Err(text(case, "code")), "{:?}", text(case, "name"));
        assert_eq!(Pattern::parse(text(case, "name")), None);
    }
}

#[test]
fn patterns_stand_for_the_topics_of_their_namespace() {
    let file = vectors("topics.json");
    let patterns = cases(&file, "patterns");
    assert!(patterns.len() >= 2);
    for case in patterns {
        let pattern = Pattern::parse(text(case, "name")).expect("a pattern");
        assert_eq!(pattern.namespace(), text(case, "namespace"));
        let stands_for =
            |name: &Value| Topic::parse(name.as_str().expect("a name")).ok().and_then(|topic| Pattern::of(&topic)) == Some(pattern.clone());
        assert!(cases(case, "matches").iter().all(stands_for));
        assert!(!cases(case, "others").iter().any(stands_for));
    }
}

/// Reads the payload of a server's message as its fields and writes it again.
fn rewritten(kind: &str, frame: &str) -> Vec<u8> {
    fn fields<T: serde::de::DeserializeOwned>(frame: &Value) -> T {
        serde_json::from_value(frame["p"].clone()).expect("the fields of the message")
    }
    let parsed: Value = serde_json::from_str(frame).expect("JSON");
    let (cid, mut out) = (parsed["cid"].as_str(), Vec::new());
    match kind {
        ServerHello::KIND => fields::<ServerHello>(&parsed).encode(&mut out),
        ServerReady::KIND => fields::<ServerReady>(&parsed).encode(Format::Json, &mut out),
        SubscriptionUpdate::KIND => fields::<SubscriptionUpdate>(&parsed).encode(Format::Json, &mut out, cid),
        ErrorMessage::KIND => fields::<ErrorMessage>(&parsed).encode(Format::Json, &mut out, cid),
        _ => encode::protocol_message(&mut out, Format::Json, kind, cid, &parsed["p"]),
    }
    out
}

#[test]
fn messages_are_written_read_and_refused_as_listed() {
    let file = vectors("messages.json");
    let (server, client, refused) = (cases(&file, "server"), cases(&file, "client"), cases(&file, "refused"));
    assert_count(&file, server.len() + client.len() + refused.len(), 37);
    for case in server {
        let written: Value = serde_json::from_slice(&rewritten(text(case, "kind"), text(case, "text"))).expect("JSON");
        assert_eq!(written, serde_json::from_str::<Value>(text(case, "text")).expect("JSON"), "{}", text(case, "name"));
    }
    for case in client {
        let kind = match ClientMessage::decode(decode(text(case, "text")).expect("an envelope")) {
            Ok(ClientMessage::Hello(_)) => "client_hello",
            Ok(ClientMessage::Subscription(_)) => "subscription",
            Ok(ClientMessage::Ping(_)) => "ping",
            Ok(ClientMessage::Pong) => "pong",
            other => panic!("{}: {other:?}", text(case, "name")),
        };
        assert_eq!(kind, text(case, "kind"));
    }
    for case in refused {
        let code = ClientMessage::decode(decode(text(case, "text")).expect("an envelope")).map_err(|e| e.code.as_str());
        assert_eq!(code.map(|_| ()), Err(text(case, "code")), "{}", text(case, "name"));
    }
}

#[test]
fn codes_and_defaults_are_those_of_the_tables() {
    let file = vectors("codes.json");
    let (errors, closes) = (cases(&file, "errors"), cases(&file, "close"));
    assert_eq!((errors.len(), closes.len()), (ErrorCode::ALL.len(), CloseCode::ALL.len()));
    for (case, code) in errors.iter().zip(ErrorCode::ALL) {
        let close = case["close"].as_u64().map(|c| CloseCode::new(c as u16));
        assert_eq!((text(case, "code"), close), (code.as_str(), code.close()));
    }
    for (case, code) in closes.iter().zip(CloseCode::ALL) {
        assert_eq!((case["code"].as_u64(), case["fatal"].as_bool()), (Some(code.number().into()), Some(code.is_fatal())));
    }
    let defaults = &vectors("defaults.json")["defaults"];
    assert!(defaults.as_object().is_some_and(|all| all.len() >= 40));
    assert_eq!(defaults["heartbeat_ms"], defaults::HEARTBEAT_MS);
}

#[test]
fn a_topic_message_reads_back_as_it_was_published() {
    let topic = Topic::parse("prices").expect("a name");
    let position = Position { epoch: Epoch::parse("e1").expect("short"), seq: Seq::new(42).expect("small") };
    let publication = Publication {
        id: "m1".into(),
        event_type: "price \"update\"".into(),
        ts: UnixMillis(1_768_473_000_000),
        key: Some("AAPL".into()),
        priority: Priority::High,
        format: Format::Json,
        payload: r#"{ "price": 1.50 }"#.into(),
    };
    let mut out = Vec::new();
    encode::topic_message(&mut out, Format::Json, &topic, &position, None, &publication).expect("the payload is JSON");
    let read: Value = serde_json::from_slice(&out).expect("JSON");
    let expected = serde_json::json!({"v": 2, "t": "price \"update\"", "id": "m1", "ts": "2026-01-15T10:30:00.000Z", "tp": "prices",
        "e": "e1", "seq": 42, "k": "AAPL", "pri": 8, "p": {"price": 1.5}});
    assert_eq!(read, expected);
    assert!(out.ends_with(br#""p":{ "price": 1.50 }}"#), "the payload's bytes are the publisher's");
}
