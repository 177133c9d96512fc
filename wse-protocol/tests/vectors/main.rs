//! The shared vectors: what every implementation of the protocol must agree on.
mod batches;
mod envelopes;
mod frames;
mod messages;
mod published;

use serde_json::Value;
use wse_protocol::{CloseCode, Epoch, ErrorCode, Pattern, Topic, Watched, WireError, defaults, envelope::Envelope};

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

/// The bytes of a frame: whole, or pieces that are repeated.
fn body(case: &Value) -> Vec<u8> {
    if let Some(whole) = case["hex"].as_str() {
        return unhex(whole);
    }
    let pieces = cases(case, "repeat").iter();
    pieces.flat_map(|piece| unhex(text(piece, "hex")).repeat(piece["times"].as_u64().expect("times") as usize)).collect()
}

/// The text of a frame, likewise.
fn frame_text(case: &Value) -> String {
    if let Some(whole) = case["text"].as_str() {
        return whole.into();
    }
    let pieces = cases(case, "repeat").iter();
    pieces.map(|piece| text(piece, "text").repeat(piece["times"].as_u64().expect("times") as usize)).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")).collect()
}

fn decode(frame: &str) -> Result<Box<Envelope>, WireError> {
    wse_protocol::envelope::decode(&mut frame.as_bytes().to_vec())
}

/// What a decoder read, as the vectors write it: keys of absent headers are left out, and so are keys that it ignores.
fn as_value(envelope: &Envelope, expected: &Value) -> Value {
    let string = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let origin = envelope.origin.as_deref();
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
        ("pid", string(origin.map(|origin| &*origin.producer))),
        ("n", origin.map_or(Value::Null, |origin| origin.number.number().into())),
        ("na", origin.map_or(Value::Null, |origin| origin.seen.number().into())),
        ("pe", string(origin.and_then(|origin| origin.epoch.as_ref()).map(Epoch::as_str))),
        ("p", serde_json::to_value(envelope.payload.value()).expect("JSON")),
    ];
    let absent = |key: &str, value: &Value| match key {
        "c" => value == "U",
        "pri" => *value == 5,
        "na" => value.is_null() || *value == 0,
        _ => value.is_null(),
    };
    let mut read: serde_json::Map<_, _> = expected.as_object().expect("an envelope").clone();
    read.retain(|key, _| !fields.iter().any(|(known, _)| known == key));
    for (key, value) in fields {
        if expected.get(key).is_some() || !absent(key, &value) {
            read.insert(key.into(), value);
        }
    }
    Value::Object(read)
}

/// The lists that were run have so many cases, and the file holds no others.
fn assert_counts<const N: usize>(file: &Value, lists: [&[Value]; N], counts: [usize; N]) {
    assert_eq!(lists.map(<[Value]>::len), counts);
    assert_eq!(file["count"], counts.iter().sum::<usize>(), "the file has lists that are not run here");
}

#[test]
fn topic_names_are_judged_as_listed() {
    let file = vectors("topics.json");
    let (valid, invalid) = (cases(&file, "valid"), cases(&file, "invalid"));
    let users = cases(&file, "users");
    assert_counts(&file, [valid, invalid, cases(&file, "patterns"), users], [12, 19, 2, 10]);
    for case in users {
        let name = Topic::of_user(text(case, "id"));
        assert_eq!(name.as_ref().map(Topic::as_str), Ok(text(case, "name")));
    }
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
    assert_eq!(patterns.len(), 2);
    for case in patterns {
        let pattern = Pattern::parse(text(case, "name")).expect("a pattern");
        assert_eq!(pattern.namespace(), text(case, "namespace"));
        let stands_for =
            |name: &Value| Topic::parse(name.as_str().expect("a name")).ok().and_then(|topic| Pattern::of(&topic)) == Some(pattern.clone());
        assert!(cases(case, "matches").iter().all(stands_for));
        assert!(!cases(case, "others").iter().any(stands_for));
    }
}

#[test]
fn names_that_may_be_watched_are_judged_as_listed() {
    let file = vectors("presence.json");
    // The ids are made in wse-crypto.
    let (names, refused) = (cases(&file, "names"), cases(&file, "refused"));
    assert_counts(&file, [cases(&file, "ids"), names, refused], [6, 7, 13]);
    for case in names {
        let (topic, of_count) = (Topic::parse(text(case, "topic")).expect("a name"), text(case, "of") == "count");
        let watched = (if of_count { Watched::Count } else { Watched::Members }, topic);
        assert_eq!(Topic::parse_watched(text(case, "name")).map(|log| log.watched()), Ok(Some(watched)));
    }
    for case in refused {
        let code = Topic::parse_watched(text(case, "name")).map_err(|e| e.code.as_str());
        assert_eq!(code, Err(text(case, "code")), "{}", text(case, "name"));
    }
}

#[test]
fn codes_and_defaults_are_those_of_the_tables() {
    let file = vectors("codes.json");
    let (errors, closes) = (cases(&file, "errors"), cases(&file, "close"));
    assert_counts(&file, [errors, closes], [42, 19]);
    assert_eq!((ErrorCode::ALL.len(), CloseCode::ALL.len()), (42, 19));
    for (case, code) in errors.iter().zip(ErrorCode::ALL) {
        let close = case["close"].as_u64().map(|c| CloseCode::new(c as u16));
        assert_eq!((text(case, "code"), close), (code.as_str(), code.close()));
    }
    for (case, code) in closes.iter().zip(CloseCode::ALL) {
        assert_eq!((case["code"].as_u64(), case["fatal"].as_bool()), (Some(code.number().into()), Some(code.is_fatal())));
    }
    let table = vectors("defaults.json");
    assert_eq!(table["defaults"].as_object().map(|all| all.len().into()).as_ref(), Some(&table["count"]));
    assert_eq!(table["defaults"]["heartbeat_ms"], defaults::HEARTBEAT_MS);
}
