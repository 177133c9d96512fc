//! What only a bus over a server must do: several processes, lost connections, lost servers, lost bells (G1, G2, G4, G8).
mod support;

use std::{sync::Arc, time::Duration};
use support::RedisServer;
use tokio::time::{Instant, sleep};
use wse_protocol::Position;
use wse_pubsub::{
    Bus, BusError, BusEvent, Consumer, EventReceiver, HistoryGap, PageLimit, Presence, Producers, RedisBus, RedisConfig,
    conformance::{entries, events, first, producer, publication, topic, within_a_minute},
};

const ONE: Consumer = Consumer(0);

async fn connect(server: &RedisServer) -> (Arc<RedisBus>, EventReceiver) {
    let (bus, mut receivers) = RedisBus::connect(server.config(), 1).await.expect("connected");
    (Arc::new(bus), receivers.pop().expect("one consumer"))
}

async fn publish(bus: &RedisBus, id: &str) -> Position {
    bus.publish(&topic("t"), publication(id), None).await.expect("published").position
}

/// Waits until the bus says that it is up, or not.
async fn until_up(bus: &RedisBus, up: bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while bus.health().up != up {
        assert!(Instant::now() < deadline, "up is not {up}: {:?}", bus.health());
        sleep(Duration::from_millis(20)).await;
    }
}

fn ids(entries: &[wse_pubsub::Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.publication.id).collect()
}

#[track_caller]
fn assert_reset(event: &BusEvent, wanted: HistoryGap) -> Position {
    match event {
        BusEvent::Reset { position, reason, .. } if *reason == wanted => position.clone(),
        other => panic!("a reset by {wanted:?} was to come, but {other:?} came"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_buses_on_one_server_deliver_each_others_messages_in_one_order() {
    within_a_minute(async {
        let server = RedisServer::start();
        let ((one, mut one_events), (two, mut two_events)) = (connect(&server).await, connect(&server).await);
        one.subscribe(&topic("t"), ONE).await.expect("subscribed");
        two.subscribe(&topic("t"), ONE).await.expect("subscribed");
        let publishers = [(one, "one"), (two, "two")].map(|(bus, name)| {
            tokio::spawn(async move {
                for number in 0..200 {
                    publish(&bus, &format!("{name}-{number}")).await;
                }
                bus
            })
        });
        let seen = entries(&mut one_events, 400).await;
        assert_eq!(seen, entries(&mut two_events, 400).await);
        assert_eq!(seen.last().map(|entry| entry.position.seq.number()), Some(400));
        for publisher in publishers {
            publisher.await.expect("no panic");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_subscription_connections_lose_nothing_of_ten_thousand_messages() {
    within_a_minute(async {
        const EACH: usize = 1250;
        let server = Arc::new(RedisServer::start());
        let (bus, mut receiver) = connect(&server).await;
        let start = bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        let publishers: Vec<_> = (0..8)
            .map(|_| {
                let bus = bus.clone();
                tokio::spawn(async move {
                    for number in 0..EACH {
                        publish(&bus, &number.to_string()).await;
                    }
                })
            })
            .collect();
        let killer = {
            let server = server.clone();
            tokio::task::spawn_blocking(move || {
                let kill = |_| {
                    std::thread::sleep(Duration::from_millis(150));
                    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"])
                };
                (0..3).map(kill).filter(|killed| *killed == redis::Value::Int(1)).count()
            })
        };
        let got = entries(&mut receiver, 8 * EACH).await;
        for (entry, seq) in got.iter().zip(start.seq.number() + 1..) {
            assert_eq!(entry.position.seq.number(), seq);
        }
        assert!(killer.await.expect("no panic") >= 1, "no connection was killed: nothing was tested");
        for publisher in publishers {
            publisher.await.expect("no panic");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_during_an_outage_needs_no_later_one_to_be_delivered() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        for round in ["1", "2", "3", "4", "5"] {
            server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            publish(&bus, round).await;
            assert_eq!(ids(&entries(&mut receiver, 1).await), [round]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_everything_is_told_as_an_epoch_and_deliveries_go_on() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        let start = bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        publish(&bus, "before").await;
        entries(&mut receiver, 1).await;
        server.kill();
        until_up(&bus, false).await;
        let waiting = {
            let bus = bus.clone();
            tokio::spawn(async move { publish(&bus, "while away").await })
        };
        sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "a publish waits for the server");
        server.start_again();
        let position = waiting.await.expect("published within the timeout");
        assert_ne!(position.epoch, start.epoch);
        let got = events(&mut receiver, 1).await;
        let reset = assert_reset(&got[0], HistoryGap::Epoch);
        assert_eq!((&reset.epoch, reset.seq.number()), (&position.epoch, 0));
        assert_eq!(ids(&entries(&mut receiver, 1).await), ["while away"]);
        publish(&bus, "after").await;
        assert_eq!(ids(&entries(&mut receiver, 1).await), ["after"]);
        until_up(&bus, true).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_back_with_an_older_copy_begins_a_new_epoch_by_the_fence() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        let start = bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        let saved = publish(&bus, "saved").await;
        server.command(&["SAVE"]);
        publish(&bus, "lost 1").await;
        let top = publish(&bus, "lost 2").await;
        entries(&mut receiver, 3).await;
        server.kill();
        server.start_again();
        // No publish: the check after the reconnect finds it.
        let reset = assert_reset(&events(&mut receiver, 1).await[0], HistoryGap::Epoch);
        assert_ne!(reset.epoch, start.epoch);
        let next = publish(&bus, "after").await;
        assert_eq!((&next.epoch, next.seq.number()), (&reset.epoch, 1));
        assert_eq!(ids(&entries(&mut receiver, 1).await), ["after"]);
        // Where the copy ends too: that nothing was stored after it, nobody can know.
        for position in [&top, &saved, &start] {
            let old = bus.history(&topic("t"), position, PageLimit::entries(9)).await.expect("read");
            assert!(matches!(old, wse_pubsub::History::Gap { reason: HistoryGap::Epoch, .. }), "{old:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_bell_was_lost_is_delivered_before_the_next() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        publish(&bus, "first").await;
        entries(&mut receiver, 1).await;
        // Stored as the script stores it, with no PUBLISH.
        server.command(&[
            "EVAL",
            "local e = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1][2]
            redis.call('HINCRBY', KEYS[1], 'n', 1)
            return redis.call('XADD', KEYS[2], '1-2', e[1], e[2], e[3], e[4], e[5], e[6])",
            "2",
            "wse:{t}:meta",
            "wse:{t}:log",
        ]);
        publish(&bus, "third").await;
        let got = entries(&mut receiver, 2).await;
        assert_eq!(got.iter().map(|entry| entry.position.seq.number()).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(ids(&got), ["first", "third"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_receives_only_what_it_has_interest_in() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, _receiver) = connect(&server).await;
        bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        let heard = |channel| server.command(&["PUBSUB", "NUMSUB", channel]);
        let count = |channel: &str, number| redis::Value::Array(vec![redis::Value::BulkString(channel.into()), redis::Value::Int(number)]);
        assert_eq!(heard("wse:{t}:bell"), count("wse:{t}:bell", 1));
        assert_eq!(heard("wse:{u}:bell"), count("wse:{u}:bell", 0));
        bus.unsubscribe(&topic("t"), ONE);
        bus.subscribe(&topic("u"), ONE).await.expect("subscribed");
        assert_eq!(heard("wse:{t}:bell"), count("wse:{t}:bell", 0));
        assert_eq!(server.command(&["PUBSUB", "NUMPAT"]), redis::Value::Int(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_subscription_is_noticed_and_replaced() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        until_up(&bus, true).await;
        // The server holds back all pub/sub for longer than a proof may take; the connections stay open.
        server.command(&["CLIENT", "PAUSE", "4000", "ALL"]);
        until_up(&bus, false).await;
        let fault = bus.health().fault.expect("a fault is told");
        assert!(fault.contains("did not return") || fault.contains("no answer"), "{fault}");
        until_up(&bus, true).await;
        assert!(bus.health().proved < Duration::from_secs(2));
        publish(&bus, "after").await;
        assert_eq!(ids(&entries(&mut receiver, 1).await), ["after"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_whose_answer_was_lost_is_stored_once() {
    within_a_minute(async {
        let server = Arc::new(RedisServer::start());
        let (bus, mut receiver) = connect(&server).await;
        let start = bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        let publishers: Vec<_> = (0..8)
            .map(|name| {
                let bus = bus.clone();
                tokio::spawn(async move {
                    for number in 0..250 {
                        publish(&bus, &format!("{name}-{number}")).await;
                    }
                })
            })
            .collect();
        let killer = {
            let server = server.clone();
            tokio::task::spawn_blocking(move || {
                for _ in 0..5 {
                    std::thread::sleep(Duration::from_millis(20));
                    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                }
            })
        };
        let got = entries(&mut receiver, 2000).await;
        let mut unique = ids(&got);
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), 2000, "none twice, none missing");
        assert_eq!(got.last().map(|entry| entry.position.seq.number()), Some(start.seq.number() + 2000));
        killer.await.expect("no panic");
        for publisher in publishers {
            publisher.await.expect("no panic");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_ends_a_publish_after_its_timeout() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let config = server.config().publish_timeout(Duration::from_millis(700));
        let (bus, _receiver) = RedisBus::connect(config, 1).await.expect("connected");
        server.kill();
        let began = Instant::now();
        let error = bus.publish(&topic("t"), publication("x"), Some("k")).await.expect_err("no server");
        assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
        assert!(bus.subscribe(&topic("t"), ONE).await.is_err());
        assert_eq!(bus.health().topics, 0, "a failed subscribe leaves no interest");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_hangs_up_attempts_are_spaced_and_afterwards_it_works_again() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let config = server.config().publish_timeout(Duration::from_secs(2));
        let (bus, mut receivers) = RedisBus::connect(config, 1).await.expect("connected");
        bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        until_up(&bus, true).await;
        server.kill();
        let bus = Arc::new(bus);
        let waiting = {
            let bus = bus.clone();
            tokio::spawn(async move { bus.publish(&topic("t"), publication("while away"), None).await })
        };
        let (mut server, came) = tokio::task::spawn_blocking(move || {
            let came = server.hang_up_for(Duration::from_secs(3));
            (server, came)
        })
        .await
        .expect("no panic");
        // Three tasks try: the listener, a publish that fails after 2 s, and a read for each loss that the listener noticed.
        assert!((5..=80).contains(&came), "{came} connections within 3 s");
        assert!(waiting.await.expect("no panic").is_err());
        server.start_again();
        until_up(&bus, true).await;
        publish(&bus, "after").await;
        assert_reset(&events(&mut receivers[0], 1).await[0], HistoryGap::Epoch);
        assert_eq!(ids(&entries(&mut receivers[0], 1).await), ["after"]);
    })
    .await;
}

/// Connections within 3 s to a server that hangs up, where the bus tries `call` for 2 s, and to listen again.
async fn attempts_of<F>(call: impl FnOnce(Arc<RedisBus>) -> F) -> usize
where
    F: Future<Output = Result<(), BusError>> + Send + 'static,
{
    let mut server = RedisServer::start();
    let (bus, _receivers) = RedisBus::connect(server.config().publish_timeout(Duration::from_secs(2)), 1).await.expect("connected");
    until_up(&bus, true).await;
    server.kill();
    let waiting = tokio::spawn(call(Arc::new(bus)));
    let came = tokio::task::spawn_blocking(move || server.hang_up_for(Duration::from_secs(3))).await.expect("no panic");
    assert!(matches!(waiting.await.expect("no panic"), Err(BusError::Unavailable { .. })));
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_hangs_up_attempts_to_begin_a_message_are_spaced() {
    within_a_minute(async {
        let of = producer(None, "p");
        let came = attempts_of(|bus| async move { bus.begin(&first(&of, 1, 1)).await.map(drop) }).await;
        assert!((5..=80).contains(&came), "{came} connections within 3 s");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_hangs_up_attempts_to_read_who_is_present_are_spaced() {
    within_a_minute(async {
        let came = attempts_of(|bus| async move { bus.presence(&topic("t"), true).await.map(drop) }).await;
        assert!((5..=80).contains(&came), "{came} connections within 3 s");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_refuses_to_read_a_log_attempts_are_spaced_and_afterwards_what_was_missed_comes() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
        publish(&bus, "before").await;
        entries(&mut receiver, 1).await;
        let refused = || {
            let info = String::from_utf8(redis::from_redis_value(server.command(&["INFO", "errorstats"])).expect("text")).expect("UTF-8");
            info.split_once("errorstat_NOPERM:count=")
                .map_or(0, |(_, rest)| rest.split(['\r', '\n']).next().expect("a part").parse::<u32>().expect("a number"))
        };
        server.command(&["ACL", "SETUSER", "default", "-evalsha", "-evalsha_ro", "-eval", "-eval_ro", "-xrange"]);
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while refused() == 0 {
            assert!(Instant::now() < deadline, "the log is not read");
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(3)).await;
        let attempts = refused();
        assert!(attempts <= 80, "{attempts} within 3 s");
        server.command(&["ACL", "SETUSER", "default", "+@all"]);
        publish(&bus, "after").await;
        assert_eq!(ids(&entries(&mut receiver, 1).await), ["after"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_publishes_in_a_row_without_an_answer_further_ones_fail_at_once_until_a_probe_gets_through() {
    within_a_minute(async {
        let server = RedisServer::start();
        let limit = Duration::from_millis(400);
        let config = server.config().publish_timeout(limit).breaker_failures(3).breaker_cooldown(Duration::from_millis(600));
        let (bus, _receivers) = RedisBus::connect(config, 1).await.expect("connected");
        until_up(&bus, true).await;
        publish(&bus, "before").await;
        server.freeze();
        for number in 0..3 {
            let began = Instant::now();
            let error = bus.publish(&topic("t"), publication("x"), Some("k")).await.expect_err("frozen");
            assert!(began.elapsed() >= limit / 2, "publish {number} waited only {:?}: {error}", began.elapsed());
        }
        for _ in 0..20 {
            let began = Instant::now();
            let error = bus.publish(&topic("t"), publication("x"), Some("k")).await.expect_err("open");
            assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
            assert!(matches!(&error, BusError::Unavailable { .. }) && error.to_string().contains("in a row"), "{error}");
        }
        assert!(!bus.health().up && bus.health().fault.is_some(), "{:?}", bus.health());
        // The probe goes to a server that is still away, and the breaker stays open.
        sleep(Duration::from_millis(700)).await;
        let began = Instant::now();
        bus.publish(&topic("t"), publication("x"), Some("k")).await.expect_err("a probe without an answer");
        assert!(began.elapsed() >= limit / 2, "{:?}", began.elapsed());
        assert!(bus.publish(&topic("t"), publication("x"), Some("k")).await.is_err());
        server.thaw();
        sleep(Duration::from_millis(700)).await;
        let stored = bus.publish(&topic("t"), publication("x"), Some("k")).await.expect("the probe gets through").position;
        assert_eq!(stored.seq.number(), 2, "what was sent to the frozen server was stored once");
        for number in 3..10 {
            assert_eq!(publish(&bus, "after").await.seq.number(), number);
        }
        until_up(&bus, true).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_does_not_answer_fails_soon_and_shows_no_password() {
    within_a_minute(async {
        // 192.0.2.1 is reserved for documentation: nothing answers, or there is no route.
        for url in ["redis://user:s3cret@127.0.0.1:1", "redis://:s3cret@192.0.2.1:6379", "http://:s3cret@127.0.0.1:1"] {
            let began = Instant::now();
            let error = RedisBus::connect(RedisConfig::new(url), 1).await.expect_err("nothing there");
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        let server = RedisServer::start();
        server.command(&["CONFIG", "SET", "requirepass", "right"]);
        let url = server.url().replace("redis://", "redis://:s3cret@");
        let error = RedisBus::connect(RedisConfig::new(url), 1).await.expect_err("a wrong password");
        assert!(matches!(&error, BusError::Address { .. }) && !error.to_string().contains("s3cret"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_ours_is_corrupt_and_says_which_topic() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, _receiver) = connect(&server).await;
        server.command(&["SET", "wse:{t}:meta", "foreign"]);
        let error = bus.publish(&topic("t"), publication("x"), None).await.expect_err("not a hash");
        assert!(matches!(&error, BusError::Corrupt { topic: at, .. } if **at == *"t"), "{error}");
    })
    .await;
}

/// Waits until a bus counts so many others.
async fn until_others(bus: &RedisBus, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while bus.others().await.expect("an answer") != count {
        assert!(Instant::now() < deadline, "{count} others are not counted");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_serve_are_counted_until_they_stop_or_die_and_again_after_a_lost_connection() {
    within_a_minute(async {
        let server = RedisServer::start();
        let ((one, _one), (two, _two), (three, _three)) = (connect(&server).await, connect(&server).await, connect(&server).await);
        until_others(&one, 0).await;
        two.serve(true);
        until_others(&one, 1).await;
        three.serve(true);
        until_others(&one, 2).await;
        until_others(&two, 1).await;
        one.serve(true);
        until_others(&two, 2).await;
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        until_others(&two, 2).await;
        one.serve(false);
        until_others(&two, 1).await;
        drop(three);
        until_others(&two, 0).await;
    })
    .await;
}
