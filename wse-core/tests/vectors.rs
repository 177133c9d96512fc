//! The shared vectors of the stages: scripts of steps that every implementation walks through alike.
use serde_json::{Value, json};
use std::time::Duration;
use wse_core::{Backoff, BackoffConfig, DedupLimits, DedupWindow, HealthScore, Pushed, ReorderBuffer, ReorderLimits};
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

fn dedup_step(window: &mut DedupWindow<String, u64>, step: &Value) -> Value {
    let (now, key) = (millis(&step["at"]), step["key"].as_str().expect("key"));
    let value = match step["op"].as_str().expect("op") {
        "insert" => {
            window.insert(now, key.into(), number(&step["value"]));
            step["value"].clone()
        }
        _ => json!(window.find(now, key)),
    };
    json!({"value": value, "held": window.len(), "due": in_millis(window.poll_timeout())})
}

#[test]
fn the_dedup_window_walks_its_scripts() {
    let new = |script: &Value| {
        let limits = &script["limits"];
        DedupWindow::new(DedupLimits { keys: number(&limits["keys"]) as usize, age: millis(&limits["age_ms"]) })
    };
    assert_eq!(walk("dedup.json", new, dedup_step), (8, 36));
}

fn backoff_step(backoff: &mut Backoff, step: &Value) -> Value {
    let mut got = json!({});
    match step["op"].as_str().expect("op") {
        "restart" => backoff.handle_restart(millis(&step["window_ms"])),
        "ready" => backoff.handle_ready(),
        "reset" => backoff.reset(),
        _ => {
            let wait = backoff.next(step["random"].as_f64().expect("random"));
            let exact = Duration::from_secs_f64(step["wait_ms"].as_f64().expect("wait_ms") / 1e3);
            got["wait_ms"] = if wait == exact { step["wait_ms"].clone() } else { json!(wait.as_secs_f64() * 1e3) };
        }
    }
    got["failures"] = json!(backoff.failures());
    got
}

#[test]
fn the_backoff_walks_its_scripts() {
    let new = |script: &Value| {
        let config = &script["config"];
        let count = |key: &str| number(&config[key]) as u32;
        let (base, cap) = (millis(&config["base_ms"]), millis(&config["cap_ms"]));
        Backoff::new(BackoffConfig { base, cap, full_after: count("full_after"), restart_tries: count("restart_tries") })
    };
    assert_eq!(walk("backoff.json", new, backoff_step), (9, 43));
}

fn health_step(score: &mut HealthScore, step: &Value) -> Value {
    match step["op"].as_str().expect("op") {
        "new" => *score = HealthScore::new(),
        "lost" => score.handle_lost(),
        _ => score.handle_pong(millis(&step["rtt_ms"])),
    }
    json!({"health": score.judge().as_str()})
}

#[test]
fn the_health_score_walks_its_scripts() {
    assert_eq!(walk("health.json", |_| HealthScore::new(), health_step), (9, 118));
}
