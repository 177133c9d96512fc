//! Members on a server that several processes share: a process that dies, a server that forgets, and calls that come late ([P-62]).
mod support;

use std::{sync::Arc, time::Duration};
use support::RedisServer;
use tokio::time::{Instant, sleep};
use wse_protocol::{PresenceDiff, Topic};
use wse_pubsub::{
    Bus, BusError, BusEvent, Consumer, EventReceiver, HistoryGap, Incarnation, PresenceLimits, RedisBus, RedisConfig,
    conformance::{Shown, apply, change, diffs, enter, events, leave, member, publication, shown, state, topic, within_a_minute},
};

/// Long enough for a busy machine to renew in time.
const LEASE: Duration = Duration::from_millis(1500);

async fn connect(server: &RedisServer) -> (Arc<dyn Bus>, EventReceiver) {
    connect_with(server, LEASE).await
}

async fn connect_with(server: &RedisServer, lease: Duration) -> (Arc<dyn Bus>, EventReceiver) {
    let presence = PresenceLimits { lease, ..PresenceLimits::default() };
    let config = server.config().presence(presence).publish_timeout(Duration::from_secs(2));
    let (bus, mut receivers) = RedisBus::connect(config, 1).await.expect("connected");
    (Arc::new(bus), receivers.pop().expect("one consumer"))
}

async fn begin(bus: &Arc<dyn Bus>) -> Incarnation {
    bus.begin_presence().await.expect("the bus answers")
}

async fn watch(bus: &Arc<dyn Bus>, room: &Topic) {
    bus.subscribe(&room.members_log().expect("short"), Consumer(0)).await.expect("subscribed");
}

/// Renews all of these, at the same time, again and again.
async fn renew_for(time: Duration, all: &[(&Arc<dyn Bus>, &Incarnation)]) {
    let began = Instant::now();
    while began.elapsed() < time {
        let renewals = all.iter().map(|(bus, incarnation)| bus.renew_presence(incarnation));
        for renewal in futures_util::future::join_all(renewals).await {
            assert!(renewal.expect("the bus answers"), "it is renewed in time");
        }
        sleep(LEASE / 10).await;
    }
}

/// A new incarnation once the bus answers.
async fn begin_when_up(bus: &Arc<dyn Bus>) -> Incarnation {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match bus.begin_presence().await {
            Ok(incarnation) => return incarnation,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_process_that_died_leave_once_though_two_others_remove_them() {
    within_a_minute(async {
        let server = RedisServer::start();
        let ((dead, _), (left, mut from_left), (right, mut from_right)) =
            (connect(&server).await, connect(&server).await, connect(&server).await);
        let (gone, one, other, room) = (begin(&dead).await, begin(&left).await, begin(&right).await, topic("room:1"));
        let all: Vec<_> = (0..1300).map(|number| enter(&format!("m{number}"), "1", 1)).collect();
        change(&dead, &gone, &room, &all).await;
        change(&left, &one, &room, &[enter("m1", "1", 0), enter("ada", "1", 1)]).await;
        watch(&left, &room).await;
        watch(&right, &room).await;
        let mut before = shown(&state(&right, &room).await);
        dead.close().await;
        renew_for(LEASE + LEASE / 4, &[(&left, &one), (&right, &other)]).await;
        let (told, told_too) = (diffs(&mut from_left, 3).await, diffs(&mut from_right, 3).await);
        assert_eq!(told, told_too);
        assert_eq!(told.iter().map(|diff| diff.gone.len()).sum::<usize>(), 1299, "each once, and not the one that another holds");
        told.iter().for_each(|diff| apply(&mut before, diff));
        assert_eq!(before, shown(&state(&left, &room).await));
        assert_eq!(before.into_keys().collect::<Vec<_>>(), ["ada", "m1"]);
        let removed = [left, right].map(|bus| bus.health().presence_lapsed);
        assert_eq!(removed.iter().sum::<u64>(), 1300, "{removed:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_without_its_data_everybody_enters_again_and_watchers_are_told_to_read_the_state() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let (bus, mut receiver) = connect(&server).await;
        let (old, room) = (begin(&bus).await, topic("room:1"));
        watch(&bus, &room).await;
        change(&bus, &old, &room, &[enter("ada", "1", 1)]).await;
        diffs(&mut receiver, 1).await;
        server.kill();
        server.start_again();
        let new = begin_when_up(&bus).await;
        assert!(!bus.renew_presence(&old).await.expect("the bus answers"));
        let late = bus.change_presence(&old, &room, &[enter("ada", "1", 1)]).await;
        assert!(matches!(late, Err(BusError::Lapsed)), "{late:?}");
        change(&bus, &new, &room, &[enter("ada", "1", 1)]).await;
        let reset = &events(&mut receiver, 1).await[0];
        assert!(matches!(reset, BusEvent::Reset { reason: HistoryGap::Epoch, .. }), "{reset:?}");
        assert_eq!(state(&bus, &room).await.count, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_keeps_nobody_and_shows_nobody_to_leave_who_is_there() {
    within_a_minute(async {
        // So long that the leases in the copy are not over when the server is back.
        let (mut server, lease) = (RedisServer::start(), Duration::from_secs(4));
        let (bus, mut receiver) = connect_with(&server, lease).await;
        let (old, dead, room) = (begin(&bus).await, begin(&bus).await, topic("room:1"));
        change(&bus, &old, &room, &[enter("ada", "1", 1), enter("bob", "1", 1)]).await;
        change(&bus, &dead, &room, &[enter("eve", "1", 1)]).await;
        server.command(&["SAVE"]);
        change(&bus, &old, &room, &[leave("bob"), enter("joe", "1", 1)]).await;
        server.kill();
        server.start_again();
        let new = begin_when_up(&bus).await;
        watch(&bus, &room).await;
        let mut seen = shown(&state(&bus, &room).await);
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["ada", "bob", "eve"], "what the copy says");
        assert!(bus.renew_presence(&new).await.expect("the bus answers"));
        assert_eq!(seen, shown(&state(&bus, &room).await), "there is time to enter again");
        change(&bus, &new, &room, &[enter("ada", "1", 1), enter("joe", "1", 1)]).await;
        assert!(!bus.renew_presence(&old).await.expect("the bus answers"), "its lease in the copy is worth nothing");
        renew_for(lease + LEASE / 4, &[(&bus, &new)]).await;
        let told = told_of(&events(&mut receiver, 3).await);
        assert!(told.iter().all(|diff| !diff.gone.contains(&member("ada"))), "{told:?}");
        told.iter().for_each(|diff| apply(&mut seen, diff));
        assert_eq!(seen, shown(&state(&bus, &room).await));
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["ada", "joe"]);
    })
    .await;
}

fn told_of(events: &[BusEvent]) -> Vec<PresenceDiff> {
    let of = |event: &BusEvent| match event {
        BusEvent::Run(run) => run.iter().filter_map(|(_, publication)| PresenceDiff::decode(&publication.payload)).collect(),
        other => panic!("no message: {other:?}"),
    };
    events.iter().flat_map(|event| -> Vec<PresenceDiff> { of(event) }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_comes_after_a_later_one_changes_nothing() {
    within_a_minute(async {
        let server = RedisServer::start();
        // Calls are numbered by their process: the second one's first stands below the first one's third.
        let ((bus, _), (late, _)) = (connect(&server).await, connect(&server).await);
        let (one, room) = (begin(&bus).await, topic("room:1"));
        change(&bus, &one, &room, &[enter("bob", "1", 1)]).await;
        change(&bus, &one, &room, &[enter("ada", "1", 1)]).await;
        change(&bus, &one, &room, &[leave("ada")]).await;
        change(&late, &one, &room, &[enter("ada", "1", 1), leave("bob")]).await;
        assert_eq!(shown(&state(&bus, &room).await).into_keys().collect::<Vec<_>>(), ["bob"]);
        change(&bus, &one, &room, &[leave("bob")]).await;
        change(&late, &one, &room, &[enter("ada", "1", 1)]).await;
        assert_eq!(shown(&state(&bus, &room).await), Shown::new(), "where it holds nothing any more, too");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_while_the_server_stands_still_fail_and_are_made_again() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, _receiver) = connect(&server).await;
        let (one, room) = (begin(&bus).await, topic("room:1"));
        server.freeze();
        let failed = bus.change_presence(&one, &room, &[enter("ada", "1", 1)]).await;
        assert!(matches!(failed, Err(BusError::Unavailable { .. })), "{failed:?}");
        server.thaw();
        change(&bus, &one, &room, &[leave("ada"), enter("bob", "1", 1)]).await;
        sleep(Duration::from_millis(200)).await;
        assert_eq!(shown(&state(&bus, &room).await).into_keys().collect::<Vec<_>>(), ["bob"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_expires_if_nobody_renews_it_and_what_is_quiet_is_renewed() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, _receiver) = connect(&server).await;
        let (one, other, room) = (begin(&bus).await, begin(&bus).await, topic("room:{1}"));
        watch(&bus, &room).await;
        change(&bus, &one, &room, &[enter("ada", "1", 1)]).await;
        change(&bus, &other, &room, &[enter("ada", "2", 2)]).await;
        assert!(bus.renew_presence(&one).await.expect("the bus answers"));
        let keys = keys(&server);
        let life = |key: &str| redis::from_redis_value::<i64>(server.command(&["PTTL", key])).expect("a number");
        assert!(keys.len() > 8 && keys.iter().all(|key| life(key) > 0), "{keys:?}");
        let of = |end: &str| keys.iter().find(|key| key.ends_with(end)).expect("there is one").clone();
        let shown_key = of("}:shown");
        server.command(&["PEXPIRE", &shown_key, "5000"]);
        let due = keys.iter().filter(|key| key.contains("}:due:"));
        due.for_each(|key| drop(server.command(&["ZADD", key, "1", "room:{1}"])));
        assert!(bus.renew_presence(&one).await.expect("the bus answers"));
        assert!(life(&shown_key) > 1_000_000, "a topic to which nothing happens lives as long as its members' process");
        change(&bus, &one, &room, &[leave("ada")]).await;
        change(&bus, &other, &room, &[leave("ada")]).await;
        due_now(&server);
        for incarnation in [&one, &other] {
            assert!(bus.renew_presence(incarnation).await.expect("the bus answers"));
        }
        let left: Vec<_> = self::keys(&server).into_iter().filter(|key| key.contains("}:of:") || key.contains("}:shown")).collect();
        assert_eq!(left, Vec::<String>::new(), "nothing is left of a topic that nobody is in");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_renewal_looks_after_all_topics_that_are_due_however_many() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (bus, _receiver) = connect(&server).await;
        let one = begin(&bus).await;
        // More than two pages of each, of those that are kept and of those that are forgotten.
        let rooms: Vec<_> = (0..300).map(|number| topic(&format!("room:{number}"))).collect();
        for (number, room) in rooms.iter().enumerate() {
            change(&bus, &one, room, &[enter("ada", "1", 1)]).await;
            if number % 2 == 0 {
                change(&bus, &one, room, &[leave("ada")]).await;
            }
        }
        let keys = keys(&server);
        let [of, due] = ["}:of:", "}:due:"].map(|kind| keys.iter().find(|key| key.contains(kind)).expect("there is one").as_str());
        for room in &rooms {
            server.command(&["ZADD", due, "1", room.as_str()]);
        }
        let number = |command: &[&str]| redis::from_redis_value::<usize>(server.command(command)).expect("a number");
        assert_eq!((number(&["ZCARD", of]), number(&["ZCOUNT", due, "1", "1"])), (300, 300));
        assert!(bus.renew_presence(&one).await.expect("the bus answers"));
        assert_eq!((number(&["ZCARD", of]), number(&["ZCARD", due]), number(&["ZCOUNT", due, "1", "1"])), (150, 150, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_does_not_wait_behind_a_large_roster() {
    within_a_minute(async {
        let server = RedisServer::start();
        let near = connect(&server).await.0;
        let (one, room) = (begin(&near).await, topic("room:1"));
        let data = format!("\"{}\"", "x".repeat(1000));
        let all: Vec<_> = (0..1000).map(|number| enter(&format!("m{number}"), &data, 1)).collect();
        change(&near, &one, &room, &all).await;
        // At least 4 s for the roster.
        let config = RedisConfig::new(server.slow_door(256 << 10).await).publish_timeout(Duration::from_secs(20));
        let far: Arc<dyn Bus> = Arc::new(RedisBus::connect(config, 1).await.expect("connected").0);
        let roster = tokio::spawn({
            let (far, room) = (far.clone(), room.clone());
            async move { state(&far, &room).await }
        });
        sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        far.publish(&topic("prices"), publication("p"), None).await.expect("stored");
        assert!(began.elapsed() < Duration::from_secs(2) && !roster.is_finished(), "it took {:?}", began.elapsed());
        assert_eq!(roster.await.expect("no panic").count, 1000);
    })
    .await;
}

fn keys(server: &RedisServer) -> Vec<String> {
    redis::from_redis_value(server.command(&["KEYS", "*"])).expect("names")
}

/// As though topics had to be looked at now.
fn due_now(server: &RedisServer) {
    for key in keys(server).iter().filter(|key| key.contains("}:due:")) {
        server.command(&["ZADD", key, "1", "room:{1}"]);
    }
}
