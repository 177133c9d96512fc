//! Users who come and go and are sent nothing leave nothing behind, however many there are ([P-65]).
mod support;

use std::{fs, time::Duration};
use support::RedisServer;
use tokio::time::{Instant, sleep};
use wse_protocol::{Position, Topic};
use wse_pubsub::{
    Bus, Consumer, MemoryBus, MemoryConfig, RedisBus,
    conformance::{entries, publication, within_a_minute},
};

const ONE: Consumer = Consumer(0);

fn user(number: usize) -> Topic {
    Topic::of_user(&format!("user-{number}")).expect("an id")
}

/// What a connection of a user asks of the bus, from its begin to its end.
async fn comes_and_goes(bus: &dyn Bus, topic: &Topic) -> Position {
    let start = bus.subscribe(topic, ONE).await.expect("subscribed");
    bus.unsubscribe(topic, ONE);
    start
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn a_million_users_cost_the_bus_in_memory_nothing_and_still_get_their_first_message() {
    // No time limit: a million turns of a debug build take 5 s, or on a busy machine many more.
    let (bus, mut events) = MemoryBus::new(MemoryConfig::default(), 1);
    for number in 0..1_000 {
        comes_and_goes(&bus, &user(number)).await;
    }
    let before = resident_kib();
    let mut starts = Vec::new();
    for number in 0..1_000_000 {
        let start = comes_and_goes(&bus, &user(number)).await;
        starts.extend((number % 100_000 == 7).then_some((number, start)));
    }
    // Were 20 bytes left of each user, it would be more. The other tests of this binary have room in it too.
    let more = resident_kib().saturating_sub(before);
    assert!(more < 16_384, "{more} KiB more");
    for (number, start) in starts {
        let topic = user(number);
        assert_eq!(bus.subscribe(&topic, ONE).await.expect("subscribed"), start, "nobody sent it anything");
        let receipt = bus.publish(&topic, publication("first"), None).await.expect("published");
        assert!(start.epoch.precedes(&receipt.position.epoch) && receipt.position.seq.number() == 1);
    }
    assert_eq!(entries(&mut events[0], 10).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_come_and_go_leave_no_key_and_no_subscription_in_redis() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, _events) = RedisBus::connect(server.config(), 1).await.expect("connected");
        let keys = server.command(&["DBSIZE"]);
        for number in 0..2_000 {
            comes_and_goes(&bus, &user(number)).await;
        }
        assert_eq!(server.command(&["DBSIZE"]), keys);
        let channels = || format!("{:?}", server.command(&["PUBSUB", "CHANNELS"]));
        let deadline = Instant::now() + Duration::from_secs(20);
        while channels().contains("user-") {
            assert!(Instant::now() < deadline, "interest that is given up is unsubscribed: {}", channels());
            sleep(Duration::from_millis(50)).await;
        }
        let topic = user(7);
        bus.subscribe(&topic, ONE).await.expect("subscribed");
        assert!(channels().contains("user-7"), "{}", channels());
    })
    .await;
}
