//! Filters on a payload of 1 KB: scanning it once, judging it with three clauses, both together, and what decoding it would cost instead.
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wse_core::filter::{Filter, Payload, Scratch};
use wse_micro::{THREE, fields};

/// One more for each kind of test.
const OTHERS: [(&str, &str); 4] = [
    ("regex", r#"{"symbol":{"$regex":"^AA.L$"}}"#),
    ("contains", r#"{"headline":{"$contains":"guidance"}}"#),
    ("fan out", r#"{"levels.price":{"$lt":145.5}}"#),
    ("missing", r#"{"nowhere.at.all":{"$exists":false}}"#),
];

fn filters(c: &mut Criterion) {
    let text = fields();
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
