//! Nanoseconds per publish of 100 B on the in-memory bus, the taking from the queue included.
//!
//! The log is full, so that every publish trims one: what a busy topic costs for ever. The message is cloned from a template (four
//! reference counts); making its id is the publisher's work and is not in here.
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wse_protocol::{Format, Priority, Publication, Topic, UnixMillis};
use wse_pubsub::{Bus, BusEvent, Consumer, EventReceiver, MemoryBus, MemoryConfig, NewEntry};

/// Messages between two looks at the queue.
const TURN: usize = 64;
/// More than a log holds.
const FILL: usize = 20_000;

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a name")
}

fn publication() -> Publication {
    Publication {
        id: "0193b3a0-0000-7000-8000-000000000001".into(),
        event_type: "price_update".into(),
        ts: UnixMillis(1_768_473_000_000),
        expires: None,
        key: None,
        priority: Priority::Normal,
        format: Format::Json,
        payload: vec![b'1'; 100].into(),
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("it needs no waiting"),
    }
}

/// A bus whose topic is wanted by so many consumers, with a full log.
fn bus(topic: &Topic, consumers: usize) -> (MemoryBus, Vec<EventReceiver>) {
    let (bus, mut receivers) = MemoryBus::new(MemoryConfig::default(), consumers.max(1));
    for consumer in 0..consumers {
        now(bus.subscribe(topic, Consumer(consumer as u16))).expect("subscribed");
    }
    let message = publication();
    for _ in 0..FILL {
        now(bus.publish(topic, message.clone(), None)).expect("stored");
        drain(&mut receivers, &mut Vec::new());
    }
    (bus, receivers)
}

fn drain(receivers: &mut [EventReceiver], out: &mut Vec<BusEvent>) {
    for receiver in receivers {
        receiver.try_recv_many(out, usize::MAX);
        black_box(&out);
        out.clear();
    }
}

fn one_by_one(c: &mut Criterion) {
    let (topic, message) = (topic("prices:AAPL"), publication());
    let mut group = c.benchmark_group("publish_100B");
    group.throughput(Throughput::Elements(TURN as u64));
    for consumers in [0, 1, 2] {
        let (bus, mut receivers) = bus(&topic, consumers);
        let mut out = Vec::new();
        group.bench_function(format!("try/{consumers}_consumers"), |b| {
            b.iter(|| {
                for _ in 0..TURN {
                    black_box(bus.try_publish(&topic, black_box(&message).clone(), None)).expect("room").expect("stored");
                }
                drain(&mut receivers, &mut out);
            });
        });
        group.bench_function(format!("await/{consumers}_consumers"), |b| {
            b.iter(|| {
                for _ in 0..TURN {
                    black_box(now(bus.publish(&topic, black_box(&message).clone(), None)).expect("stored"));
                }
                drain(&mut receivers, &mut out);
            });
        });
    }
}

fn batches(c: &mut Criterion) {
    let (topic, message) = (topic("prices:AAPL"), publication());
    let mut group = c.benchmark_group("publish_many_100B");
    group.throughput(Throughput::Elements(TURN as u64));
    for consumers in [0, 1] {
        let (bus, mut receivers) = bus(&topic, consumers);
        let entry = NewEntry { topic: topic.clone(), publication: message.clone(), retry_key: None };
        let mut out = Vec::new();
        let mut publish = |mut batch| {
            black_box(bus.try_publish_many(&mut batch));
            drain(&mut receivers, &mut out);
        };
        group.bench_function(format!("{consumers}_consumers"), |b| {
            b.iter_batched(|| vec![entry.clone(); TURN], &mut publish, BatchSize::SmallInput);
        });
    }
}

fn many_topics(c: &mut Criterion) {
    let message = publication();
    let mut group = c.benchmark_group("publish_100B_among_topics");
    for count in [1, 100_000] {
        let (bus, mut receivers) = bus(&topic("t:0"), 1);
        for number in 0..count {
            now(bus.subscribe(&topic(&format!("t:{number}")), Consumer(0))).expect("subscribed");
        }
        let (topic, mut out) = (topic("t:0"), Vec::new());
        group.throughput(Throughput::Elements(TURN as u64));
        group.bench_function(format!("{count}"), |b| {
            b.iter(|| {
                for _ in 0..TURN {
                    black_box(bus.try_publish(&topic, black_box(&message).clone(), None)).expect("room").expect("stored");
                }
                drain(&mut receivers, &mut out);
            });
        });
    }
}

criterion_group!(benches, one_by_one, batches, many_topics);
criterion_main!(benches);
