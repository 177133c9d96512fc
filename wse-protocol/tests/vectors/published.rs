//! published.json: two published test suites, each case as the payload of a frame.
use crate::{body, cases, text, vectors};
use serde_json::Value;
use wse_protocol::{
    Tagged, WireError,
    envelope::{self, Envelope},
    frame_body,
};

fn read(case: &Value) -> Result<Box<Envelope>, WireError> {
    let mut frame = body(case);
    match frame_body(&frame) {
        Tagged::Msgpack(map) => envelope::decode_msgpack(map),
        _ => envelope::decode(&mut frame),
    }
}

/// By value: the suites write one number as integer and as float.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b))),
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

#[test]
fn published_suites_are_read_and_refused_as_they_say() {
    let file = vectors("published.json");
    let lists = [
        (&file["json"], "accept"),
        (&file["json"], "reject"),
        (&file["json"], "decided"),
        (&file["msgpack"], "accept"),
        (&file["msgpack"], "reject"),
    ];
    let all: Vec<&Value> = lists.into_iter().flat_map(|(suite, list)| cases(suite, list)).collect();
    let counts = lists.map(|(suite, list)| cases(suite, list).len());
    assert_eq!((counts, &file["count"]), ([95, 186, 35, 194, 39], &Value::from(counts.iter().sum::<usize>())));
    for case in all {
        match (read(case), case["code"].as_str()) {
            (Err(error), Some(code)) => assert_eq!(error.code.as_str(), code, "{}", text(case, "name")),
            (Ok(envelope), None) => {
                let payload = serde_json::to_value(envelope.payload.value()).expect("JSON");
                assert!(same(&payload, &case["payload"]), "{}: {payload}", text(case, "name"));
            }
            (read, code) => panic!("{}: {read:?}, not {code:?}", text(case, "name")),
        }
    }
}
