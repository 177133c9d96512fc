//! Messages per second through a Redis server, counted by the receiver: `redis_publish redis://127.0.0.1:6379`.
//!
//! 100 B each, in one topic of a namespace, with one consumer in the same process. The topic's name is new in each run.
use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use wse_protocol::{Format, Priority, Publication, Topic, UnixMillis};
use wse_pubsub::{Bus, BusEvent, Consumer, EventReceiver, NewEntry, RedisBus, RedisConfig};

const MESSAGES: usize = 20_000;

fn publication(number: usize) -> Publication {
    Publication {
        id: format!("0193b3a0-0000-7000-8000-{number:012x}").into(),
        event_type: "price_update".into(),
        ts: UnixMillis(1_768_473_000_000),
        expires: None,
        key: None,
        priority: Priority::Normal,
        format: Format::Json,
        payload: vec![b'1'; 100].into(),
    }
}

async fn receive(receiver: &mut EventReceiver, count: usize) {
    let (mut events, mut have) = (Vec::new(), 0);
    while have < count {
        receiver.recv_many(&mut events, usize::MAX).await;
        have += events.drain(..).map(|event| BusEvent::messages(&event)).sum::<usize>();
    }
}

/// `tasks` publishers, each waiting for its receipt before the next message.
async fn one_by_one(bus: &Arc<RedisBus>, topic: &Topic, tasks: usize, count: usize) {
    let publisher = |_| {
        let (bus, topic) = (bus.clone(), topic.clone());
        tokio::spawn(async move {
            for number in 0..count / tasks {
                bus.publish(&topic, publication(number), None).await.expect("stored");
            }
        })
    };
    for publisher in (0..tasks).map(publisher).collect::<Vec<_>>() {
        publisher.await.expect("no panic");
    }
}

async fn batches(bus: &Arc<RedisBus>, topic: &Topic, size: usize, count: usize) {
    for _ in 0..count / size {
        let entry = |number| NewEntry { topic: topic.clone(), publication: publication(number), retry_key: None };
        let outcomes = bus.publish_many((0..size).map(entry).collect()).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }
}

async fn timed(name: &str, receiver: &mut EventReceiver, count: usize, publish: impl Future<Output = ()>) {
    let began = Instant::now();
    tokio::join!(publish, receive(receiver, count));
    println!("{name:<28} {:>9.0} messages/s", count as f64 / began.elapsed().as_secs_f64());
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".into());
    let (bus, mut receivers) = RedisBus::connect(RedisConfig::new(url), 1).await.expect("a server");
    let bus = Arc::new(bus);
    let run = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let topic = Topic::parse(&format!("bench:{run}")).expect("a name");
    bus.subscribe(&topic, Consumer(0)).await.expect("subscribed");
    let receiver = &mut receivers[0];
    for tasks in [1, 64] {
        let count = if tasks == 1 { MESSAGES / 10 } else { MESSAGES / 64 * 64 };
        timed(&format!("publish, {tasks} at a time"), receiver, count, one_by_one(&bus, &topic, tasks, count)).await;
    }
    for size in [64, 1000] {
        let count = MESSAGES / size * size;
        timed(&format!("publish_many of {size}"), receiver, count, batches(&bus, &topic, size, count)).await;
    }
    bus.close().await;
}
