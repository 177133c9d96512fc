use super::*;
use crate::envelope;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, net::IpAddr};

fn of(json: &str) -> Payload {
    envelope::decode(format!(r#"{{"v":2,"t":"a","p":{json}}}"#).into_bytes().as_mut_slice()).expect("a frame").payload
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Unit,
    One(u8),
    Two(u8, String),
    Fields { x: i8 },
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Order {
    item: String,
    count: u32,
    #[serde(default)]
    notes: Vec<Option<Kind>>,
}

/// Held against serde_json: the same value, or refused by both.
fn agrees<T: DeserializeOwned + PartialEq + fmt::Debug>(json: &str) {
    let (ours, theirs) = (of(json).parse::<T>(), serde_json::from_str::<T>(json));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{json}"),
        (Err(_), Err(_)) => {}
        _ => panic!("{json} as {}: {ours:?}, and serde_json has {theirs:?}", std::any::type_name::<T>()),
    }
}

#[test]
fn a_type_is_read_as_serde_json_reads_it() {
    let texts = [
        "0",
        "1",
        "-1",
        "127",
        "128",
        "-128",
        "-129",
        "255",
        "300",
        "65536",
        "4294967296",
        "-9223372036854775808",
        "18446744073709551615",
        "1.0",
        "1.5",
        "-0.0",
        "1e300",
        "true",
        "null",
        "\"\"",
        "\"a\"",
        "\"unit\"",
        "\"one\"",
        "\"fields\"",
        "\"127.0.0.1\"",
        "[]",
        "[1]",
        "[1,2]",
        "[1,2,3]",
        "[1,\"b\"]",
        "{}",
        "{\"1\":2}",
        "{\"-1\":2}",
        "{\"+1\":2}",
        "{\"01\":2}",
        "{\"-01\":2}",
        "{\"0\":2}",
        "{\"-0\":2}",
        "{\" 1\":2}",
        "{\"256\":2}",
        "{\"a\":2}",
        "{\"true\":2}",
        "{\"unit\":2}",
        "{\"unit\":null}",
        "{\"one\":7}",
        "{\"one\":null}",
        "{\"two\":[1,\"b\"]}",
        "{\"two\":[1]}",
        "{\"fields\":{\"x\":-1}}",
        "{\"fields\":{\"x\":-1},\"unit\":null}",
        "{\"item\":\"tea\",\"count\":3}",
        "{\"item\":\"tea\",\"count\":3,\"notes\":[null,\"unit\",{\"one\":1}],\"more\":[{}]}",
        "{\"item\":\"tea\",\"count\":\"3\"}",
        "{\"item\":1,\"count\":3}",
        "{\"item\":\"tea\",\"count\":3,\"count\":4}",
        "[\"tea\",3,[]]",
        "[\"tea\",3]",
    ];
    for json in texts {
        agrees::<bool>(json);
        agrees::<i8>(json);
        agrees::<u8>(json);
        agrees::<i64>(json);
        agrees::<u64>(json);
        agrees::<i128>(json);
        agrees::<u128>(json);
        agrees::<f64>(json);
        agrees::<char>(json);
        agrees::<String>(json);
        agrees::<()>(json);
        agrees::<Option<u8>>(json);
        agrees::<Vec<u8>>(json);
        agrees::<(u8, u8)>(json);
        agrees::<(u8, String)>(json);
        agrees::<Kind>(json);
        agrees::<Option<Kind>>(json);
        agrees::<Order>(json);
        agrees::<BTreeMap<String, u8>>(json);
        agrees::<BTreeMap<u8, u8>>(json);
        agrees::<BTreeMap<u32, u8>>(json);
        agrees::<BTreeMap<i64, u8>>(json);
        agrees::<BTreeMap<bool, u8>>(json);
        agrees::<IpAddr>(json);
        agrees::<std::num::NonZeroU128>(json);
        agrees::<serde_json::Value>(json);
    }
}

#[test]
fn a_string_may_be_borrowed() {
    let payload = of(r#"["tea\n","x"]"#);
    assert_eq!(payload.parse(), Ok(("tea\n", "x")));
}

#[test]
fn what_does_not_fit_is_said_with_its_place_and_shortly() {
    let said = |json: &str| {
        let error = of(json).parse::<Order>().expect_err("no order");
        assert_eq!(error.code, ErrorCode::InvalidMessage);
        error.message
    };
    assert_eq!(said(r#"{"item":"tea","count":"3"}"#), r#"the payload does not fit: count: invalid type: string "3", expected u32"#);
    assert_eq!(said(r#"{"item":"tea","count":-1}"#), "the payload does not fit: count: invalid value: integer `-1`, expected u32");
    assert_eq!(said(r#"{"item":"tea"}"#), "the payload does not fit: missing field `count`");
    let deep = said(r#"{"item":"tea","count":1,"notes":[null,{"fields":{"x":"y"}}]}"#);
    assert!(deep.starts_with("the payload does not fit: notes[1].fields.x: invalid type"), "{deep}");
    for long in ["\u{e9}".repeat(50_000), "a".repeat(100_000)] {
        let said = said(&format!("\"{long}\""));
        assert!((SENTENCE_BYTES - 2..=SENTENCE_BYTES).contains(&said.len()), "{} bytes", said.len());
    }
}

#[test]
fn bytes_from_elsewhere_are_checked() {
    assert_eq!(Payload::new(Format::Json, br#" {"a":1} "#).map(|payload| payload.json()), Ok(br#"{"a":1}"#.to_vec()));
    assert_eq!(Payload::new(Format::Msgpack, &[0x91, 0xc3]).and_then(|payload| payload.parse()), Ok([true]));
    assert_eq!(Payload::new(Format::Json, b"{").map_err(|error| error.code), Err(ErrorCode::InvalidJson));
    assert_eq!(Payload::new(Format::Msgpack, &[0x91]).map_err(|error| error.code), Err(ErrorCode::InvalidMsgpack));
}

#[test]
fn one_that_is_absent_is_null() {
    let absent = envelope::decode(&mut br#"{"v":2,"t":"a"}"#.to_vec()).expect("a frame").payload;
    assert!(absent.is_null() && absent == of("null") && absent.json() == b"null");
    assert!(!of("0").is_null());
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Into::into)),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_payload_is_what_was_sent_in_either_format(sent in value()) {
        let payload = of(&sent.to_string());
        prop_assert_eq!(&payload.parse::<serde_json::Value>().expect("any value"), &sent);
        prop_assert_eq!(&serde_json::to_value(payload.value()).expect("JSON"), &sent);
        prop_assert_eq!(String::from_utf8(payload.json()).expect("UTF-8"), sent.to_string());
        let packed = rmp_serde::to_vec_named(&serde_json::json!({"v": 2, "t": "a", "p": sent})).expect("MessagePack");
        let of_packed = envelope::decode_msgpack(&packed).expect("a frame").payload;
        prop_assert_eq!(&of_packed.parse::<serde_json::Value>().expect("any value"), &sent);
        prop_assert_eq!(of_packed, payload);
    }
}
