//! An envelope of 1 KB, both ways and in both formats, beside the library alone doing the same work.
//!
//! Decoding is held against simd-json making an owned value of the same text: once as it is, the payload being bytes until somebody asks,
//! and once with its payload made such a value, which is a result of the same kind. Encoding is held against serde_json writing a struct of the same fields into a reused buffer,
//! its payload as ready text (`RawValue`), which is what a topic message has.
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::value::RawValue;
use wse_micro::{Plain, encoded, message, payload};
use wse_protocol::{Format, encode, envelope, transcode};

fn decode(c: &mut Criterion) {
    let (text, packed) = (encoded(Format::Json), encoded(Format::Msgpack).split_off(2));
    assert_eq!(text.len(), 1_024);
    let mut group = c.benchmark_group("decode/1KB");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let mut copy = Vec::with_capacity(text.len());
    group.bench_function("simd-json to an owned value", |b| {
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(&text));
            simd_json::to_owned_value(&mut copy).expect("JSON")
        });
    });
    group.bench_function("envelope", |b| {
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(&text));
            envelope::decode(&mut copy).expect("an envelope")
        });
    });
    group.bench_function("envelope, and its payload as values", |b| {
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(&text));
            let envelope = envelope::decode(&mut copy).expect("an envelope");
            (envelope.payload.value(), envelope)
        });
    });
    group.bench_function("rmp-serde to an owned value", |b| {
        b.iter(|| rmp_serde::from_slice::<serde_json::Value>(black_box(&packed)).expect("MessagePack"));
    });
    group.bench_function("envelope of msgpack", |b| b.iter(|| envelope::decode_msgpack(black_box(&packed)).expect("an envelope")));
    group.finish();
}

fn encode(c: &mut Criterion) {
    let (topic, position, publication) = message();
    let text = String::from_utf8(publication.payload.to_vec()).expect("UTF-8");
    let raw: &RawValue = serde_json::from_str(&text).expect("JSON");
    let plain = Plain::new(&topic, &position, &publication, raw);
    assert_eq!(serde_json::to_vec(&plain).expect("JSON"), encoded(Format::Json));
    let mut group = c.benchmark_group("encode/1KB");
    group.throughput(Throughput::Bytes(1_024));
    let mut out = Vec::with_capacity(2_048);
    group.bench_function("serde_json to a reused buffer", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&plain)).expect("JSON");
        });
    });
    for (name, format) in [("topic message", Format::Json), ("topic message, payload rewritten as msgpack", Format::Msgpack)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                encode::topic_message(&mut out, format, &topic, &position, None, black_box(&publication)).expect("a payload");
            });
        });
    }
    let packed = encoded_payload();
    group.bench_function("payload of msgpack rewritten as json", |b| {
        b.iter(|| {
            out.clear();
            transcode(Format::Msgpack, Format::Json, black_box(&packed), &mut out).expect("MessagePack");
        });
    });
    group.finish();
}

fn encoded_payload() -> Vec<u8> {
    let mut out = Vec::new();
    transcode(Format::Json, Format::Msgpack, payload(851).as_bytes(), &mut out).expect("JSON");
    out
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
