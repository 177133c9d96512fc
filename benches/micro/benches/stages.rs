//! The stages that every message passes: the numbering of a log, the rate of a connection, the window of retry keys. Each must take at most 100 ns.
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::{
    hint::black_box,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};
use wse_core::{DedupLimits, DedupWindow, Sequencer, TokenBucket};
use wse_protocol::Epoch;

fn sequencer(c: &mut Criterion) {
    let mut sequencer = Sequencer::new(Epoch::parse("0123456789abcdef").expect("short"));
    let before = sequencer.position();
    c.bench_function("sequencer/number", |b| b.iter(|| sequencer.number()));
    c.bench_function("sequencer/after", |b| b.iter(|| sequencer.after(black_box(&before))));
}

fn token_bucket(c: &mut Criterion) {
    let start = Instant::now();
    let rate = NonZeroU32::new(1_000_000).expect("not 0");
    let step = Duration::from_nanos(1_001);
    let (mut bucket, mut now) = (TokenBucket::new(rate, 1_000, start), start);
    c.bench_function("token_bucket/take", |b| {
        b.iter(|| {
            now += step;
            bucket.take(black_box(now), black_box(1))
        });
    });
    let mut empty = TokenBucket::new(NonZeroU32::MIN, 0, start);
    empty.charge(start, u32::MAX);
    c.bench_function("token_bucket/refused", |b| b.iter(|| empty.take(black_box(start), black_box(1))));
}

/// Keys as publishers choose them: UUIDs. A full window, so that each insert forgets one.
fn dedup(c: &mut Criterion) {
    const KEYS: usize = 65_536;
    let key = |number: usize| -> Arc<str> { format!("0193b3a0-0000-7000-8000-{number:012}").into() };
    let mut window = DedupWindow::new(DedupLimits { keys: KEYS, age: Duration::from_secs(300) });
    for number in 0..KEYS {
        window.insert(Duration::ZERO, key(number), number);
    }
    let keys: Vec<_> = (0..1024).map(|number| key(KEYS - 1 - number * 61)).collect();
    let mut turn = 0usize;
    let mut next = || {
        turn = turn.wrapping_add(1);
        &keys[turn % keys.len()]
    };
    c.bench_function("dedup/repeated", |b| b.iter(|| window.find(Duration::ZERO, next()).copied()));
    let unknown: Arc<str> = "0193b3a0-0000-7000-8000-unknown00000".into();
    c.bench_function("dedup/unknown", |b| b.iter(|| window.find(Duration::ZERO, black_box(&unknown)).copied()));
    let mut number = KEYS;
    c.bench_function("dedup/insert", |b| {
        let fresh = || {
            number += 1;
            key(number)
        };
        b.iter_batched(fresh, |key| window.insert(Duration::ZERO, key, 1), BatchSize::SmallInput);
    });
}

criterion_group!(benches, sequencer, token_bucket, dedup);
criterion_main!(benches);
