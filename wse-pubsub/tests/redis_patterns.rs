//! What births logs must do over a server: several processes, lost connections, lost servers, forgotten topics (G2, [P-39]).
mod support;

use std::{collections::HashSet, sync::Arc, time::Duration};
use support::RedisServer;
use tokio::time::sleep;
use wse_protocol::{Position, Seq, Topic};
use wse_pubsub::{
    Births, Bus, BusEvent, Consumer, EventReceiver, HistoryGap, RedisBus,
    conformance::{births, events, pattern, publication, topic, within_a_minute},
};

const ONE: Consumer = Consumer(0);

async fn connect(server: &RedisServer) -> (Arc<RedisBus>, EventReceiver) {
    let (bus, mut receivers) = RedisBus::connect(server.config(), 1).await.expect("connected");
    (Arc::new(bus), receivers.pop().expect("one consumer"))
}

async fn publish(bus: &RedisBus, name: &str) -> Position {
    bus.publish(&topic(name), publication("m"), None).await.expect("published").position
}

fn above(position: &Position, more: u64) -> Position {
    Position { epoch: position.epoch.clone(), seq: Seq::new(position.seq.number() + more).expect("small") }
}

async fn one_birth(receiver: &mut EventReceiver, since: &Position) -> String {
    births(receiver, &pattern("n:*"), since, 1).await[0].0.as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_buses_hear_each_others_births_in_one_order() {
    within_a_minute(async {
        const EACH: usize = 150;
        let server = RedisServer::start();
        let ((one, mut one_events), (two, mut two_events)) = (connect(&server).await, connect(&server).await);
        let start = one.follow(&pattern("n:*"), ONE).await.expect("followed").position;
        assert_eq!(two.follow(&pattern("n:*"), ONE).await.expect("followed").position, start);
        let publishers = [(one, "one"), (two, "two")].map(|(bus, name)| {
            tokio::spawn(async move {
                for number in 0..EACH {
                    // Both begin every third.
                    let name = if number % 3 == 0 { "both" } else { name };
                    publish(&bus, &format!("n:{name}-{number}")).await;
                }
                bus
            })
        });
        let count = EACH / 3 + 2 * (EACH - EACH / 3);
        let seen = births(&mut one_events, &pattern("n:*"), &start, count).await;
        assert_eq!(seen, births(&mut two_events, &pattern("n:*"), &start, count).await);
        assert_eq!(seen.iter().map(|(topic, _)| topic).collect::<HashSet<_>>().len(), count);
        for publisher in publishers {
            publisher.await.expect("no panic");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_subscription_connections_lose_no_birth() {
    within_a_minute(async {
        const COUNT: usize = 2000;
        let server = Arc::new(RedisServer::start());
        let (bus, mut receiver) = connect(&server).await;
        let start = bus.follow(&pattern("n:*"), ONE).await.expect("followed").position;
        let publisher = {
            let bus = bus.clone();
            tokio::spawn(async move {
                for number in 0..COUNT {
                    publish(&bus, &format!("n:{number}")).await;
                }
            })
        };
        let killer = {
            let server = server.clone();
            tokio::task::spawn_blocking(move || {
                let kill = |_| {
                    std::thread::sleep(Duration::from_millis(100));
                    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"])
                };
                (0..4).map(kill).filter(|killed| *killed == redis::Value::Int(1)).count()
            })
        };
        assert_eq!(births(&mut receiver, &pattern("n:*"), &start, COUNT).await.len(), COUNT);
        assert!(killer.await.expect("no panic") >= 1, "no connection was killed: nothing was tested");
        publisher.await.expect("no panic");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_born_while_the_follower_is_cut_off_is_told_without_a_later_one() {
    within_a_minute(async {
        let server = RedisServer::start();
        let ((bus, mut receiver), (other, _)) = (connect(&server).await, connect(&server).await);
        let start = bus.follow(&pattern("n:*"), ONE).await.expect("followed").position;
        for number in 0..5 {
            server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            publish(&other, &format!("n:{number}")).await;
            assert_eq!(one_birth(&mut receiver, &above(&start, number)).await, format!("n:{number}"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_everything_is_told_and_the_pattern_is_followed_anew() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        let start = bus.follow(&pattern("n:*"), ONE).await.expect("followed").position;
        publish(&bus, "n:before").await;
        assert_eq!(one_birth(&mut receiver, &start).await, "n:before");
        server.kill();
        server.start_again();
        let reset = births_reset(&mut receiver).await;
        assert!(reset.epoch != start.epoch && reset.seq == Seq::ZERO);
        let anew = bus.follow(&pattern("n:*"), ONE).await.expect("followed");
        assert_eq!((anew.position, anew.topics), (reset.clone(), vec![]));
        publish(&bus, "n:before").await;
        assert_eq!(one_birth(&mut receiver, &reset).await, "n:before");
        let old = bus.births(&pattern("n:*"), &above(&start, 1), 9).await.expect("read");
        assert_eq!(old, Births::Gap { top: above(&reset, 1), reason: HistoryGap::Epoch });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_back_with_an_older_copy_is_told_and_births_that_it_lost_happen_again() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        let start = bus.follow(&pattern("n:*"), ONE).await.expect("followed").position;
        let saved = publish(&bus, "n:saved").await;
        server.command(&["SAVE"]);
        publish(&bus, "n:lost").await;
        births(&mut receiver, &pattern("n:*"), &start, 2).await;
        server.kill();
        server.start_again();
        let reset = births_reset(&mut receiver).await;
        let anew = bus.follow(&pattern("n:*"), ONE).await.expect("followed");
        assert_eq!(anew.position, reset);
        let listed: Vec<_> = anew.topics.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(listed, ["n:saved"]);
        assert_ne!(anew.topics[0].1.epoch, saved.epoch, "its log may have gone back: the fence began a new epoch");
        publish(&bus, "n:lost").await;
        assert_eq!(one_birth(&mut receiver, &reset).await, "n:lost");
    })
    .await;
}

async fn births_reset(receiver: &mut EventReceiver) -> Position {
    match &events(receiver, 1).await[0] {
        BusEvent::BirthsReset { pattern: of, position, reason: HistoryGap::Epoch } if *of == pattern("n:*") => position.clone(),
        other => panic!("a reset of the births was to come, but {other:?} came"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_topic_is_listed_no_more_and_is_born_again() {
    within_a_minute(async {
        let server = RedisServer::start();
        let config = server.config().history(short_history()).meta_age(Duration::from_secs(1));
        let (bus, mut receivers) = RedisBus::connect(config, 1).await.expect("connected");
        let first = publish(&bus, "n:short").await;
        let following = bus.follow(&pattern("n:*"), ONE).await.expect("followed");
        assert_eq!(following.topics, [(topic("n:short"), first.clone())]);
        // One that is published to all the time stays a member, however old its birth.
        for _ in 0..8 {
            sleep(Duration::from_millis(200)).await;
            publish(&bus, "n:long").await;
        }
        assert_eq!(one_birth(&mut receivers[0], &following.position).await, "n:long");
        let later = bus.follow(&pattern("n:*"), ONE).await.expect("followed");
        assert_eq!(later.topics.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>(), ["n:long"]);
        let again = publish(&bus, "n:short").await;
        assert_ne!(again.epoch, first.epoch);
        let born = births(&mut receivers[0], &pattern("n:*"), &later.position, 1).await;
        assert_eq!(born, [(topic("n:short"), Position { seq: Seq::ZERO, ..again })]);
    })
    .await;
}

fn short_history() -> wse_core::log::LogLimits {
    wse_core::log::LogLimits { age: Duration::from_millis(500), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_the_server_evicted_are_born_again_at_their_next_message() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        let standing = publish(&bus, "n:1").await;
        server.command(&["DEL", "wse:{n:*}:topics"]);
        let following = bus.follow(&pattern("n:*"), ONE).await.expect("followed");
        assert!(following.topics.is_empty(), "the list is gone");
        let next = publish(&bus, "n:1").await;
        assert_eq!(next, above(&standing, 1), "the topic itself went on");
        let born = births(&mut receiver, &pattern("n:*"), &following.position, 1).await;
        assert_eq!(born, [(topic("n:1"), Position { seq: Seq::ZERO, ..standing })]);
        assert_eq!(bus.follow(&pattern("n:*"), ONE).await.expect("followed").topics, [(topic("n:1"), next)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_while_another_consumer_lags_lists_and_tells_each_birth_once() {
    within_a_minute(async {
        const COUNT: usize = 400;
        let server = RedisServer::start();
        let config = server.config().handover_bytes(4096);
        let (bus, mut receivers) = RedisBus::connect(config, 2).await.expect("connected");
        let of = pattern("n:*");
        let start = bus.follow(&of, ONE).await.expect("followed").position;
        for number in 0..COUNT {
            publish(&bus, &format!("n:{number}")).await;
        }
        // The first one's queue is full: most births wait in the log. The second is told of all of them by the list.
        let late = bus.follow(&of, Consumer(1)).await.expect("followed");
        let listed: HashSet<Topic> = late.topics.into_iter().map(|(topic, _)| topic).collect();
        assert_eq!((listed.len(), &late.position), (COUNT, &above(&start, COUNT as u64)));
        publish(&bus, "n:last").await;
        assert_eq!(births(&mut receivers[0], &of, &start, COUNT + 1).await.len(), COUNT + 1);
        assert_eq!(births(&mut receivers[1], &of, &late.position, 1).await[0].0, topic("n:last"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_answers_were_lost_is_stored_once_and_in_order() {
    within_a_minute(async {
        const BATCHES: usize = 40;
        let server = Arc::new(RedisServer::start());
        let (bus, mut receiver) = connect(&server).await;
        bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        let killer = {
            let server = server.clone();
            tokio::task::spawn_blocking(move || {
                for _ in 0..8 {
                    std::thread::sleep(Duration::from_millis(15));
                    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                }
            })
        };
        for number in 0..BATCHES {
            let entry = |at| wse_pubsub::NewEntry {
                topic: topic("t"),
                publication: publication(&format!("{number}-{at}")),
                retry_key: (at % 2 == 0).then(|| format!("{number}-{at}").into()),
            };
            let outcomes = bus.publish_many((0..100).map(entry).collect()).await;
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        }
        let got = wse_pubsub::conformance::entries(&mut receiver, BATCHES * 100).await;
        let wanted = (0..BATCHES).flat_map(|number| (0..100).map(move |at| format!("{number}-{at}")));
        assert!(got.iter().map(|entry| entry.publication.id.to_string()).eq(wanted));
        assert!(got.iter().zip(1..).all(|(entry, seq)| entry.position.seq.number() == seq));
        killer.await.expect("no panic");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_follows_at_once_cost_a_few_looks_and_cancelled_ones_leave_nothing() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, mut receivers) = RedisBus::connect(server.config(), 2).await.expect("connected");
        let (bus, of) = (Arc::new(bus), pattern("n:*"));
        for number in 0..50 {
            publish(&bus, &format!("n:{number}")).await;
        }
        let follow = |number: u16| {
            let (bus, of) = (bus.clone(), of.clone());
            tokio::spawn(async move { bus.follow(&of, Consumer(number % 2)).await })
        };
        let follows: Vec<_> = (0..1000).map(follow).collect();
        follows.iter().step_by(10).for_each(tokio::task::JoinHandle::abort);
        let mut told = [0, 0];
        for (number, follow) in follows.into_iter().enumerate() {
            if let Ok(following) = follow.await {
                assert_eq!(following.expect("followed").topics.len(), 50);
                told[number % 2] += 1;
            }
        }
        let looks = server.command(&["INFO", "commandstats"]);
        let redis::Value::BulkString(text) = &looks else { panic!("INFO answers text: {looks:?}") };
        let text = String::from_utf8_lossy(text);
        let ranges = text.lines().find_map(|line| line.strip_prefix("cmdstat_zrange:calls=")).expect("it looked");
        let ranges: usize = ranges.split(',').next().and_then(|count| count.parse().ok()).expect("a number");
        assert!(ranges < 50, "{ranges} looks");
        publish(&bus, "n:new").await;
        let start = bus.births(&of, &Position { epoch: wse_protocol::Epoch::parse("x").expect("valid"), seq: Seq::ZERO }, 1).await;
        let Ok(Births::Gap { top, .. }) = start else { panic!("another epoch: {start:?}") };
        for receiver in &mut receivers {
            let before = Position { seq: Seq::new(top.seq.number() - 1).expect("small"), ..top.clone() };
            assert_eq!(births(receiver, &of, &before, 1).await[0].0, topic("n:new"));
        }
        // Exactly the follows that were answered are given back: those that were cancelled have given theirs back themselves.
        for (consumer, count) in [ONE, Consumer(1)].into_iter().zip(told) {
            assert_eq!(bus.health().patterns, 1);
            (0..count).for_each(|_| bus.unfollow(&of, consumer));
        }
        assert_eq!(bus.health().patterns, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_that_fails_takes_nothing_from_those_who_follow() {
    within_a_minute(async {
        let server = RedisServer::start();
        let config = server.config().publish_timeout(Duration::from_millis(300));
        let (bus, mut receivers) = RedisBus::connect(config, 2).await.expect("connected");
        let ((other, _), of) = (connect(&server).await, pattern("n:*"));
        let start = bus.follow(&of, ONE).await.expect("followed").position;
        server.freeze();
        for consumer in [ONE, Consumer(1), ONE] {
            bus.follow(&of, consumer).await.expect_err("nobody answers");
        }
        assert_eq!(bus.health().patterns, 1, "who follows still does");
        server.thaw();
        for number in 0..3 {
            publish(&other, &format!("n:{number}")).await;
            assert_eq!(one_birth(&mut receivers[0], &above(&start, number)).await, format!("n:{number}"));
        }
        bus.unfollow(&of, ONE);
        assert_eq!(bus.health().patterns, 0, "nobody else is left");
    })
    .await;
}
