//! Filters on a payload of 1 KB: scanning it once, judging it with three clauses, both together, and what decoding it would cost instead.
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wse_core::filter::{Filter, Payload, Scratch};

/// Three clauses over numbers, strings and a nested path; the payload passes, so that none is skipped.
const THREE: &str = r#"{"price":{"$gt":150},"symbol":{"$in":["MSFT","AAPL","GOOG"]},"venue.country":"US"}"#;

/// One more for each kind of test.
const OTHERS: [(&str, &str); 4] = [
    ("regex", r#"{"symbol":{"$regex":"^AA.L$"}}"#),
    ("contains", r#"{"headline":{"$contains":"guidance"}}"#),
    ("fan out", r#"{"levels.price":{"$lt":145.5}}"#),
    ("missing", r#"{"nowhere.at.all":{"$exists":false}}"#),
];

/// An order book's update, as a market's feed would send it: 28 fields, 1,024 bytes.
fn payload() -> String {
    let levels: Vec<String> =
        (0..8).map(|i| format!(r#"{{"price":{:.2},"size":{},"orders":{}}}"#, 150.0 - f64::from(i) * 0.65, 100 * (i + 1), i + 1)).collect();
    let fields = [
        r#""id":"0193b3a0-0000-7000-8000-000000000001","symbol":"AAPL","name":"Apple Inc.","currency":"USD","price":150.25,"open":148.9"#,
        r#""high":151.02,"low":148.11,"close":149.77,"volume":48211733,"trades":381022,"change":0.48,"halted":false"#,
        r#""venue":{"name":"XNAS","country":"US","open":true,"latency_us":37},"tags":["tech","us","large-cap","index:sp500"]"#,
        r#""headline":"Shares rise after the company raises its guidance for the coming quarter and announces \"a return of capital\"""#,
    ];
    let body = format!(r#"{{{},"levels":[{}],"pad":""#, fields.join(","), levels.join(","));
    format!("{body}{}\"}}", "x".repeat(1_024 - body.len() - 2))
}

fn filters(c: &mut Criterion) {
    let text = payload();
    let filter = Filter::compile_json(THREE.as_bytes()).expect("it compiles");
    let decoded: wse_protocol::Value = simd_json::to_owned_value(&mut text.clone().into_bytes()).expect("JSON");
    let mut group = c.benchmark_group("filter/1KB");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let mut scratch = Scratch::default();
    group.bench_function("scan", |b| b.iter(|| Payload::parse(&mut scratch, black_box(text.as_bytes())).is_ok()));
    let payload = Payload::parse(&mut scratch, text.as_bytes()).expect("JSON");
    assert!(filter.matches_parsed(&payload) && filter.matches(&decoded));
    group.bench_function("three clauses, scanned", |b| b.iter(|| filter.matches_parsed(black_box(&payload))));
    group.bench_function("three clauses, decoded", |b| b.iter(|| filter.matches(black_box(&decoded))));
    for (name, json) in OTHERS {
        let filter = Filter::compile_json(json.as_bytes()).expect("it compiles");
        assert!(filter.matches_parsed(&payload), "{name}");
        group.bench_function(format!("{name}, scanned"), |b| b.iter(|| filter.matches_parsed(black_box(&payload))));
    }
    let mut scratch = Scratch::default();
    group.bench_function("scan and three clauses", |b| {
        b.iter(|| filter.matches_parsed(&Payload::parse(&mut scratch, black_box(text.as_bytes())).expect("JSON")));
    });
    group.bench_function("simd-json to a tape", |b| {
        let mut buffers = simd_json::Buffers::new(text.len());
        let mut copy = Vec::with_capacity(text.len());
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(text.as_bytes()));
            let mut tape = simd_json::Tape::null();
            simd_json::fill_tape(&mut copy, &mut buffers, &mut tape).expect("JSON");
            tape.0.len()
        });
    });
    group.bench_function("compile", |b| b.iter(|| Filter::compile_json(black_box(THREE.as_bytes())).is_ok()));
    group.finish();
}

criterion_group!(benches, filters);
criterion_main!(benches);
