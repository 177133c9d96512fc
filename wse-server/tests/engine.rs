//! The engine over real sockets: what slow peers, floods, restarts and many short connections do to it and to the others.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod support;

use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use support::{Client, PATIENCE, UPGRADE, answer, connect, service};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};
use wse_core::{SlowPolicy, log::LogLimits};
use wse_protocol::Topic;
use wse_pubsub::MemoryConfig;
use wse_server::{App, BusChoice, Engine, EngineConfig, NewMessage, Policies, TopicPolicy, TopicScope};

/// Returns the message's `seq`.
async fn publish(engine: &Engine, payload: &str) -> u64 {
    engine.publish(&Topic::parse("t").unwrap(), NewMessage::new(payload.to_owned())).await.unwrap().position.seq.number()
}

async fn settled(engine: &Engine, connections: usize) {
    let reached = async {
        while engine.health().connections != connections {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{:?}", engine.health()));
}

/// Publishes this many messages of a kilobyte while one peer reads and one does not; returns the one that did not.
async fn stall(engine: &Engine, address: SocketAddr, count: u64) -> Client<TcpStream> {
    let stalled = connect(address).await;
    let mut reader = connect(address).await;
    let reading = tokio::spawn(async move {
        for n in 1..=count {
            assert_eq!(reader.until("t").await["seq"], n);
        }
    });
    let payload = format!("\"{}\"", "x".repeat(1000));
    for n in 0..count {
        publish(engine, &payload).await;
        if n % 50 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    timeout(PATIENCE, reading).await.expect("the reader is not held up").unwrap();
    stalled
}

fn slow(slow: SlowPolicy) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.policies = Policies::default().with(TopicScope::All, TopicPolicy { slow, ..TopicPolicy::default() });
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_moved_is_told_with_the_heartbeat_and_every_shard_goes_on() {
    let mut config = EngineConfig::default();
    config.session.heartbeat = Duration::from_millis(100);
    let (engine, address) = service(config, |app| app).await;
    let mut client = connect(address).await;
    publish(&engine, "1").await;
    let told = client.until("beacon").await;
    assert_eq!((&told["tp"], &told["seq"], &told["ps"]), (&json!("t"), &json!(1), &json!(1)));
    let inspection = engine.inspect().await;
    assert_eq!((inspection.shards_silent, inspection.tally.links.good, inspection.health.status), (0, 1, "ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stalls_delays_nobody_and_catches_up_from_the_log() {
    const COUNT: u64 = 8_000;
    let (engine, address) = service(slow(SlowPolicy::Recover), |app| app).await;
    let mut stalled = stall(&engine, address, COUNT).await;
    assert!(engine.health().fell_behind >= 1);
    for n in 1..=COUNT {
        assert_eq!(stalled.until("t").await["seq"], n);
    }
    assert_eq!((engine.health().slow_consumers, engine.health().resyncs), (0, 0));
    publish(&engine, "\"live again\"").await;
    assert_eq!(stalled.until("t").await["p"], "live again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stalls_where_the_policy_is_disconnect_is_closed_with_4001() {
    let (engine, address) = service(slow(SlowPolicy::Disconnect), |app| app).await;
    let mut stalled = stall(&engine, address, 8_000).await;
    assert_eq!(engine.health().slow_consumers, 1);
    let mut last = json!(null);
    let code = loop {
        match stalled.next().await {
            Ok(message) => last = message,
            Err(code) => break code,
        }
    };
    assert_eq!((code, &last["p"]["code"]), (4001, &json!("SLOW_CONSUMER")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_loses_messages_three_times_within_a_minute_is_told_each_time_and_closed_with_4001() {
    let mut config = slow(SlowPolicy::Recover);
    config.session.outbound_bytes = 64 << 10;
    // Four messages: whoever falls behind has lost some.
    config.bus = BusChoice::Memory(MemoryConfig::default().history(LogLimits { messages: 4, ..LogLimits::default() }));
    let (engine, address) = service(config, |app| app).await;
    let mut client = connect(address).await;
    let payload = format!("\"{}\"", "x".repeat(100_000));
    let mut told = Vec::new();
    let code = loop {
        let fell = engine.health().fell_behind;
        while engine.health().fell_behind == fell {
            publish(&engine, &payload).await;
            sleep(Duration::from_millis(1)).await;
        }
        let mut last = 0;
        // So that the log holds nothing of what came first, unless the kernel has just found room for all of it.
        for _ in 0..10 {
            last = publish(&engine, &payload).await;
        }
        let before = told.len();
        let closed = loop {
            match client.next().await {
                Ok(message) if message["t"] == "subscription_update" => told.push(message["p"]["topics"][0]["status"].clone()),
                Ok(message) if message["t"] == "error" => told.push(message["p"]["code"].clone()),
                Ok(message) if message["seq"] == last => break None,
                Ok(_) => {}
                Err(code) => break Some(code),
            }
            if told.len() > before && told.len() < 3 {
                break None;
            }
        };
        if let Some(code) = closed {
            break code;
        }
    };
    assert_eq!(code, 4001);
    assert_eq!(told, ["resync", "resync", "SLOW_CONSUMER"]);
    let health = engine.health();
    assert_eq!((health.resyncs, health.slow_consumers), (3, 1));
    assert!(health.fell_behind >= 3, "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_is_gone_soon_after_its_close() {
    let (engine, address) = service(slow(SlowPolicy::Disconnect), |app| app).await;
    let _stalled = connect(address).await;
    let payload = format!("\"{}\"", "x".repeat(100_000));
    for _ in 0..100 {
        publish(&engine, &payload).await;
        sleep(Duration::from_millis(1)).await;
    }
    settled(&engine, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_into_a_slow_handler_is_handled_whole_and_in_order_and_delays_nobody() {
    const COUNT: usize = 3_000;
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let mut config = EngineConfig::default();
    config.session.messages_per_second = None;
    let (_engine, address) = service(config, move |app| {
        app.on("n", move |message| {
            let counter = counter.clone();
            async move {
                let expected = counter.fetch_add(1, SeqCst);
                sleep(Duration::from_micros(200)).await;
                assert_eq!(message.payload.parse(), Ok(expected), "in order");
                Ok(message.payload)
            }
        })
        .on("quick", |message| async move { Ok(message.payload) })
    })
    .await;
    let mut flood = connect(address).await;
    let flooding = tokio::spawn(async move {
        for n in 0..COUNT {
            flood.send(json!({"v": 2, "t": "n", "p": n})).await;
        }
        flood.send(json!({"v": 2, "t": "n", "cid": "last", "p": COUNT})).await;
        flood.until("reply").await
    });
    let mut other = connect(address).await;
    other.send(json!({"v": 2, "t": "quick", "cid": "q", "p": 1})).await;
    assert_eq!(other.until("reply").await["p"], 1);
    assert!(seen.load(SeqCst) < COUNT, "the flood was still going on");
    assert_eq!(timeout(PATIENCE, flooding).await.unwrap().unwrap()["cid"], "last");
    assert_eq!(seen.load(SeqCst), COUNT + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_sends_everyone_away_with_1012_and_still_publishes() {
    let (engine, address) = service(EngineConfig::default(), |app| app).await;
    let mut client = connect(address).await;
    publish(&engine, "1").await;
    assert_eq!(client.until("t").await["p"], 1);
    let drained = tokio::spawn({
        let engine = engine.clone();
        async move { engine.drain(PATIENCE, PATIENCE).await }
    });
    assert_eq!(client.next().await, Err(1012));
    drop(client);
    timeout(PATIENCE, drained).await.expect("clients that go end the drain").unwrap();
    assert_eq!(engine.health().status, "draining");
    publish(&engine, "2").await;
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(UPGRADE.as_bytes()).await.unwrap();
    assert!(answer(&mut late).await.starts_with("HTTP/1.1 503"));
    let mut probe = TcpStream::connect(address).await.unwrap();
    probe.write_all(b"GET /wse/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(answer(&mut probe).await.starts_with("HTTP/1.1 503"), "a proxy sends nobody here any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let (engine, address) = service(EngineConfig::default(), |app| app).await;
    for round in 0..300 {
        let client = connect(address).await;
        if round % 3 == 0 {
            publish(&engine, "1").await;
        }
        drop(client);
    }
    settled(&engine, 0).await;
    let health = engine.health();
    assert_eq!((health.accepted, health.subscriptions, health.topics), (300, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_no_tcp_socket_is_served_too() {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let host = App::new(engine.clone()).on("echo", |message| async move { Ok(message.payload) }).host();
    let (ours, theirs) = tokio::io::duplex(4096);
    let headers = http::HeaderMap::new();
    let admission = engine.admit(wse_server::RequestHead { headers: (&headers).into(), query: "" });
    engine.adopt_any(host, admission, theirs, bytes::Bytes::new());
    let mut client = Client::upgraded(ours);
    client.until("server_ready").await;
    client.send(json!({"v": 2, "t": "echo", "cid": "q", "p": [1]})).await;
    assert_eq!(client.until("reply").await["p"], json!([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_one_topic_that_come_at_once_all_get_what_follows() {
    let (engine, address) = service(EngineConfig::default(), |app| app).await;
    let clients = futures_util::future::join_all((0..50).map(|_| connect(address))).await;
    publish(&engine, "\"all\"").await;
    for mut client in clients {
        assert_eq!(client.until("t").await["p"], "all");
    }
    assert_eq!(engine.health().deliveries, 50);
}
