//! The shared filter vectors, through both ways in: decoded values and bytes.
use wse_core::filter::{Filter, FilterError, Payload, Scratch};
use wse_protocol::{ErrorCode, Value, prelude::*};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/filters.json");
    simd_json::to_owned_value(&mut std::fs::read(path).expect(path)).expect("JSON")
}

fn cases<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    file[list].as_array().expect(list)
}

fn compiled(filter: &Value) -> (Result<Filter, FilterError>, Result<Filter, FilterError>) {
    (Filter::compile(filter), Filter::compile_json(filter.encode().as_bytes()))
}

#[test]
fn payloads_pass_and_fail_as_listed() {
    let file = vectors();
    let (mut ran, mut scratch) = (0, Scratch::default());
    for case in cases(&file, "accept") {
        let name = case["name"].as_str().expect("a name");
        let expected = case["matches"].as_bool().expect("a verdict");
        let (filter, from_text) = compiled(&case["filter"]);
        let filter = filter.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(from_text.as_ref(), Ok(&filter), "{name}");
        assert_eq!(filter.matches(&case["payload"]), expected, "{name}");
        let text = case["payload"].encode();
        let payload = Payload::parse(&mut scratch, text.as_bytes()).expect(name);
        assert_eq!(filter.matches_parsed(&payload), expected, "{name}, from text");
        ran += 1;
    }
    assert_eq!(ran, 637);
}

#[test]
fn filters_are_refused_as_listed() {
    let file = vectors();
    let mut ran = 0;
    for case in cases(&file, "reject") {
        let name = case["name"].as_str().expect("a name");
        let (from_value, from_text) = compiled(&case["filter"]);
        let error = from_value.expect_err(name);
        assert_eq!((error.code(), from_text), (ErrorCode::InvalidFilter, Err(error)), "{name}");
        ran += 1;
    }
    assert_eq!(ran, 117);
    assert_eq!(file["count"], 637 + 117);
}
