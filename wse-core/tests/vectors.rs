//! The shared vectors of the stages: scripts of steps that every implementation walks through alike.
use serde_json::{Value, json};
use std::time::Duration;
use wse_core::{Pushed, ReorderBuffer, ReorderLimits};
use wse_protocol::Seq;

fn vectors(name: &str) -> Value {
    let path = format!("{}/../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

/// Runs every script of a file, step by step; returns how many scripts and steps there were.
fn walk<S>(name: &str, new: impl Fn(&Value) -> S, step: impl Fn(&mut S, &Value) -> Value) -> (usize, usize) {
    let file = vectors(name);
    let (mut scripts, mut steps) = (0, 0);
    for script in file["scripts"].as_array().expect("scripts") {
        let mut stage = new(script);
        for wanted in script["steps"].as_array().expect("steps") {
            let got = step(&mut stage, wanted);
            for (key, value) in got.as_object().expect("what was observed") {
                assert_eq!(value, &wanted[key], "{name}, {}: {key} of {wanted}", script["name"]);
            }
            steps += 1;
        }
        scripts += 1;
    }
    assert_eq!((file["count"].as_u64(), file["steps"].as_u64()), (Some(scripts as u64), Some(steps as u64)), "{name} says how many");
    (scripts, steps)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn millis(value: &Value) -> Duration {
    Duration::from_millis(number(value))
}

fn in_millis(time: Option<Duration>) -> Value {
    time.map_or(Value::Null, |time| json!(time.as_millis() as u64))
}

fn seq(value: &Value) -> Seq {
    Seq::new(number(value)).expect("small")
}

fn reorder_step(buffer: &mut ReorderBuffer<u64>, step: &Value) -> Value {
    let (now, mut ready, mut out) = (millis(&step["at"]), Vec::new(), Value::Null);
    match step["op"].as_str().expect("op") {
        "start" => buffer.start(now, seq(&step["next"]), |item| ready.push(item)),
        "stop" => buffer.stop(),
        "clear" => buffer.clear(),
        "timeout" => out = json!(if buffer.handle_timeout(now) { "recover" } else { "rest" }),
        _ => {
            let (seq, size) = (seq(&step["seq"]), number(&step["bytes"]) as usize);
            out = json!(match buffer.push(now, seq, size, seq.number(), |item| ready.push(item)) {
                Pushed::Ready => "ready",
                Pushed::Held => "held",
                Pushed::Old => "old",
                Pushed::Recover => "recover",
                Pushed::Dropped => "dropped",
            });
        }
    }
    json!({"out": out, "ready": ready, "due": in_millis(buffer.poll_timeout())})
}

#[test]
fn the_reorder_buffer_walks_its_scripts() {
    let new = |script: &Value| {
        let limits = &script["limits"];
        let (items, bytes) = (number(&limits["items"]) as usize, number(&limits["bytes"]) as usize);
        ReorderBuffer::new(ReorderLimits { items, bytes, wait: millis(&limits["wait_ms"]) })
    };
    assert_eq!(walk("reorder.json", new, reorder_step), (20, 121));
}
