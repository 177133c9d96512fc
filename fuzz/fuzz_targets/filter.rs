//! A line that may be a filter, and after it what may be a payload. Held to: text and decoded value are refused and judged alike, a
//! negation is exact, the canonical text means the same, and nothing is scanned that the decoder does not take.
#![no_main]
use libfuzzer_sys::fuzz_target;
use wse_core::filter::{Filter, Payload, Scratch};
use wse_protocol::{Value, prelude::*};

fn decoded(bytes: &[u8]) -> Option<Value> {
    simd_json::to_owned_value(&mut bytes.to_vec()).ok()
}

/// Of a key that is there twice the decoder keeps either; the scanner the last.
fn repeats_a_key(value: &Value) -> bool {
    if let Some(object) = value.as_object() {
        let mut keys: Vec<_> = object.keys().collect();
        keys.sort();
        return keys.windows(2).any(|pair| pair[0] == pair[1]) || object.values().any(repeats_a_key);
    }
    value.as_array().is_some_and(|array| array.iter().any(repeats_a_key))
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, bytes) = (&data[..end], data.get(end + 1..).unwrap_or(&[]));
    let compiled = Filter::compile_json(line);
    if let Some(value) = decoded(line).filter(|value| !repeats_a_key(value)) {
        assert_eq!(Filter::compile(&value), compiled);
    }
    let mut scratch = Scratch::default();
    let (payload, value) = (Payload::parse(&mut scratch, bytes), decoded(bytes));
    assert!(payload.is_ok() || value.is_none(), "the decoder takes what the scanner does not");
    let (Ok(filter), Ok(payload)) = (compiled, payload) else { return };
    let verdict = filter.matches_parsed(&payload);
    if let Some(value) = value.filter(|value| !repeats_a_key(value)) {
        assert_eq!(filter.matches(&value), verdict);
    }
    if let Ok(same) = Filter::compile_json(filter.canonical().as_bytes()) {
        assert_eq!((&same, same.matches_parsed(&payload)), (&filter, verdict));
    }
    if let Ok(negated) = Filter::compile_json(format!("{{\"$not\":{}}}", filter.canonical()).as_bytes()) {
        assert_ne!(negated.matches_parsed(&payload), verdict);
    }
});
