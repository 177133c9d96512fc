//! The stages that every message passes, which must take at most 100 ns each: the numbering of a log, the rate of a connection, the
//! window of retry keys. And what packing an old payload costs.
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::{
    hint::black_box,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};
use wse_core::{
    DedupLimits, DedupWindow, Sequencer, TokenBucket,
    log::{LogLimits, PageLimit, TopicLog},
};
use wse_protocol::{Epoch, Format, Position, Priority, Publication, Seq, UnixMillis};

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
    c.bench_function("token_bucket/charge", |b| {
        b.iter(|| {
            now += step;
            bucket.charge(black_box(now), black_box(1))
        });
    });
    let mut empty = TokenBucket::new(NonZeroU32::MIN, 0, start);
    empty.charge(start, u32::MAX);
    c.bench_function("token_bucket/owed", |b| b.iter(|| empty.charge(black_box(start), black_box(1))));
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
        // Few enough that the keys are at hand, as one that was just read is: with a batch of 100,000 they are read from memory.
        b.iter_batched(fresh, |key| window.insert(Duration::ZERO, key, 1), BatchSize::NumIterations(256));
    });
}

/// An order book of 1, 4 and 16 KiB: what a publish pays for packing an older one, and a reader for one that is packed.
fn packed_log(c: &mut Criterion) {
    const OLD: Duration = Duration::from_secs(30);
    for kib in [1, 4, 16] {
        let level = |number: usize| {
            format!(r#"{{"price":{}.{:02},"size":{},"orders":{}}}"#, 100 + number % 37, number % 100, number * 13 % 997, number % 9)
        };
        let mut book = (0..kib * 24).map(level).collect::<Vec<_>>().join(",");
        book.truncate(kib * 1024);
        let publication = Publication {
            id: "0193b3a0-0000-7000-8000-000000000001".into(),
            event_type: "book".into(),
            ts: UnixMillis(0),
            expires: None,
            key: None,
            priority: Priority::Normal,
            format: Format::Json,
            payload: book.into_bytes().into(),
        };
        let fresh = || {
            let mut log = TopicLog::new(Epoch::parse("e").expect("short"), LogLimits::default());
            log.push(Duration::ZERO, publication.clone());
            log
        };
        let pack = |mut log: TopicLog| {
            log.handle_timeout(OLD);
            log
        };
        c.bench_function(&format!("log/pack {kib} KiB"), |b| b.iter_batched(fresh, pack, BatchSize::SmallInput));
        let log = pack(fresh());
        let start = Position { epoch: Epoch::parse("e").expect("short"), seq: Seq::ZERO };
        c.bench_function(&format!("log/read packed {kib} KiB"), |b| {
            b.iter(|| log.since(OLD, &start, PageLimit::entries(1)).map(|run| run.len()))
        });
        println!("{} of {} bytes", log.bytes(), publication.cost());
    }
}

criterion_group!(benches, sequencer, token_bucket, dedup, packed_log);
criterion_main!(benches);
