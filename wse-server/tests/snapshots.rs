//! A topic's state and what follows it, over real sockets ([P-56] to [P-59]).
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
use bytes::{Bytes, BytesMut};
use fastwebsockets::{Frame, OpCode, Role, WebSocket};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use wse_core::{SlowPolicy, filter::Filter};
use wse_protocol::{ErrorCode, Format, Payload, Topic, WireError};
use wse_pubsub::MemoryConfig;
use wse_server::{App, BusChoice, Engine, EngineConfig, NewMessage, Policies, RequestHead, SharedHost, Sharing, TopicPolicy, TopicScope};

const PATIENCE: Duration = Duration::from_secs(20);

struct Client(WebSocket<TcpStream>);

/// A client whose token is its user's name.
async fn connect(engine: &Engine, host: &SharedHost, user: &str) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {user}").parse().unwrap());
    let admission = engine.admit(RequestHead { headers: (&headers).into(), query: "" });
    engine.adopt(host.clone(), admission, theirs.unwrap().0.into_std().unwrap(), Bytes::new(), None);
    let mut socket = WebSocket::after_handshake(ours.unwrap(), Role::Client);
    socket.set_auto_close(false);
    let mut client = Client(socket);
    let ready = loop {
        let next = client.next().await;
        if next["t"] == "server_ready" {
            break next;
        }
    };
    if !ready["p"]["user"].is_null() {
        // Where messages to the user stand.
        assert_eq!(client.next().await["t"], "subscription_update");
    }
    client
}

impl Client {
    /// The next message but for pings and beacons.
    async fn next(&mut self) -> Value {
        loop {
            let frame = timeout(PATIENCE, self.0.read_frame()).await.expect("something comes in time").expect("a whole frame");
            assert_eq!(frame.opcode, OpCode::Text, "{:?}", &frame.payload[..]);
            let message: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            if message["t"] != "ping" && message["t"] != "beacon" {
                return message;
            }
        }
    }

    async fn send(&mut self, kind: &str, p: Value) {
        let text = json!({"v": 2, "c": "WSE", "t": kind, "cid": "q", "p": p}).to_string();
        self.0.write_frame(Frame::text(fastwebsockets::Payload::Bytes(BytesMut::from(text.as_bytes())))).await.unwrap();
    }

    /// Subscribes one topic; the entry of the answer.
    async fn subscribe(&mut self, topic: &str, more: Value) -> Value {
        let mut p = json!({"action": "subscribe", "topics": [topic]});
        p.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send("subscription", p).await;
        let answer = self.next().await;
        assert_eq!(answer["t"], "subscription_update", "{answer}");
        answer["p"]["topics"][0].clone()
    }
}

fn config(change: impl FnOnce(&mut EngineConfig)) -> EngineConfig {
    let mut config = EngineConfig::default();
    change(&mut config);
    config
}

/// Everybody's name is their token.
fn app(config: EngineConfig) -> App {
    let mut config = config;
    config.auth_required = true;
    let engine = Engine::start(config).unwrap();
    App::new(engine).authenticate(|token| async move { Ok(token) })
}

async fn publish(engine: &Engine, topic: &str, count: u64) -> u64 {
    let mut seq = 0;
    for n in 0..count {
        let message = NewMessage::new(json!({ "n": n }).to_string());
        seq = engine.publish(&Topic::parse(topic).unwrap(), message).await.unwrap().position.seq.number();
    }
    seq
}

async fn until(reached: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it comes to that in time");
}

/// A provider that says who asked, and waits for leave before it answers.
fn gated(app: App, scope: &str, sharing: Sharing) -> (App, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let app = app.snapshot(scope, sharing, move |request| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.expect("never closed").forget();
            let user = request.user.as_deref().unwrap_or("nobody");
            Ok(wse_protocol::Value::from(format!("{} for {user}", request.topic.as_str())))
        }
    });
    (app.unwrap(), opened)
}

fn small_log(messages: usize) -> BusChoice {
    BusChoice::Memory(MemoryConfig::default().history(wse_core::log::LogLimits { messages, ..Default::default() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_slower_than_a_thousand_messages_comes_before_all_of_them() {
    // The log holds ten: what is pinned is all that there is of the rest.
    let (app, gate) = gated(app(config(|config| config.bus = small_log(10))), "orders:*", Sharing::User);
    let engine = app.engine().clone();
    let host = app.host();
    let top = publish(&engine, "orders:1", 3).await;
    let mut client = connect(&engine, &host, "alice").await;
    let entry = client.subscribe("orders:1", json!({})).await;
    assert_eq!((&entry["status"], &entry["seq"], &entry["snapshot"]), (&json!("live"), &json!(top), &json!(true)));
    publish(&engine, "orders:1", 1000).await;
    until(|| engine.health().snapshot_pinned_bytes > 1000 * 96).await;
    gate.add_permits(1);
    let state = client.next().await;
    assert_eq!(state, json!({"v": 2, "c": "S", "t": "snapshot", "tp": "orders:1", "e": entry["e"], "seq": top, "p": "orders:1 for alice"}));
    for seq in top + 1..=top + 1000 {
        let message = client.next().await;
        assert_eq!((&message["tp"], &message["seq"]), (&json!("orders:1"), &json!(seq)));
    }
    assert_eq!(publish(&engine, "orders:1", 1).await, client.next().await["seq"]);
    until(|| engine.health().snapshot_pinned_bytes == 0).await;
}

/// [G5]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_pins_no_more_than_the_bound_and_misses_nothing() {
    const BOUND: usize = 30_000_000;
    let setup = config(|config| {
        config.snapshots.pin_bytes = BOUND;
        let limits = wse_core::log::LogLimits { bytes: 3 * BOUND, ..Default::default() };
        config.bus = BusChoice::Memory(MemoryConfig::default().history(limits));
    });
    let (app, gate) = gated(app(setup), "orders:*", Sharing::User);
    let (engine, host) = (app.engine().clone(), app.host());
    let mut slow = connect(&engine, &host, "alice").await;
    slow.subscribe("orders:1", json!({})).await;
    // More than lies between the two, so that it cannot catch up and goes on pinning.
    publish_large(&engine, "orders:1", 1000).await;
    until(|| engine.health().snapshot_pinned_bytes > 1000 * 20_000).await;
    gate.add_permits(1);
    until(|| engine.health().snapshots_sent == 1).await;
    for _ in 0..10 {
        publish_large(&engine, "orders:1", 100).await;
        assert!(engine.health().snapshot_pinned_bytes <= BOUND);
    }
    until(|| (engine.health().snapshot_pinned_bytes, engine.health().snapshot_pins_broken) == (0, 1)).await;
    assert_eq!(slow.next().await["c"], "S");
    for seq in 1..=2000 {
        assert_eq!(slow.next().await["seq"], seq);
    }
}

async fn publish_large(engine: &Engine, topic: &str, count: u64) {
    for _ in 0..count {
        let message = NewMessage::new(json!("x".repeat(20_000)).to_string());
        engine.publish(&Topic::parse(topic).unwrap(), message).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_share_their_own_calls_and_never_each_others() {
    let (app, gate) = gated(app(config(|config| config.shards = 2)), "*", Sharing::User);
    let engine = app.engine().clone();
    let host = app.host();
    let mut clients = Vec::new();
    // Of both shards.
    for user in ["alice", "alice", "bob", "alice", "bob", "alice"] {
        let mut client = connect(&engine, &host, user).await;
        assert_eq!(client.subscribe("orders", json!({})).await["snapshot"], true);
        clients.push((user, client));
    }
    until(|| engine.health().snapshots_shared == 4).await;
    gate.add_permits(2);
    for (user, client) in &mut clients {
        assert_eq!(client.next().await["p"], format!("orders for {user}"));
    }
    let health = engine.health();
    assert_eq!((health.snapshots, health.snapshots_shared, health.snapshots_sent), (2, 4, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_snapshot_is_asked_for_once_and_an_anonymous_clients_is_its_own() {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let (app, gate) = gated(App::new(engine.clone()), "all", Sharing::Everyone);
    let (app, own) = gated(app, "own", Sharing::User);
    let host = app.host();
    let (mut one, mut two) = (connect(&engine, &host, "").await, connect(&engine, &host, "").await);
    for client in [&mut one, &mut two] {
        assert_eq!(client.subscribe("all", json!({})).await["snapshot"], true);
    }
    until(|| engine.health().snapshots_shared == 1).await;
    gate.add_permits(1);
    assert_eq!((one.next().await["p"].clone(), two.next().await["p"].clone()), (json!("all for nobody"), json!("all for nobody")));
    for client in [&mut one, &mut two] {
        client.subscribe("own", json!({})).await;
    }
    until(|| engine.health().snapshots == 3).await;
    own.add_permits(2);
    assert_eq!((one.next().await["c"].clone(), two.next().await["c"].clone()), (json!("S"), json!("S")));
    assert_eq!(engine.health().snapshots_shared, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_returns_with_its_position_gets_messages_and_one_that_lost_some_gets_the_state() {
    let (app, gate) = gated(app(config(|config| config.bus = small_log(10))), "t", Sharing::User);
    let (engine, host) = (app.engine().clone(), app.host());
    gate.add_permits(100);
    let top = publish(&engine, "t", 50).await;
    let mut client = connect(&engine, &host, "alice").await;
    let epoch = client.subscribe("t", json!({})).await["e"].clone();
    client.next().await;
    for (seq, status) in [(top, "live"), (top - 3, "recovered")] {
        let mut back = connect(&engine, &host, "alice").await;
        let entry = back.subscribe("t", json!({"positions": {"t": {"e": epoch, "seq": seq}}})).await;
        assert_eq!((&entry["status"], &entry["snapshot"]), (&json!(status), &Value::Null));
        if status == "recovered" {
            assert_eq!(back.next().await["seq"], top - 2);
        }
    }
    let mut late = connect(&engine, &host, "alice").await;
    let entry = late.subscribe("t", json!({"positions": {"t": {"e": epoch, "seq": 1}}})).await;
    assert_eq!((&entry["status"], &entry["reason"], &entry["snapshot"]), (&json!("resync"), &json!("history"), &json!(true)));
    let state = late.next().await;
    assert_eq!((&state["c"], &state["seq"]), (&json!("S"), &entry["seq"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_fails_is_told_the_stream_goes_on_and_it_can_be_asked_for_again() {
    let tries = Arc::new(AtomicU64::new(0));
    let app = app(EngineConfig::default()).snapshot("t", Sharing::User, move |_| {
        let attempt = tries.fetch_add(1, SeqCst);
        async move {
            match attempt {
                0 => Err(WireError::new(ErrorCode::Internal, "the database is away")),
                1 => panic!("a bug"),
                _ => Ok(wse_protocol::Value::from(attempt)),
            }
        }
    });
    let app = app.unwrap();
    let (engine, host) = (app.engine().clone(), app.host());
    let mut client = connect(&engine, &host, "alice").await;
    let entry = client.subscribe("t", json!({})).await;
    let error = client.next().await;
    assert_eq!((&error["t"], &error["p"]["code"], &error["p"]["topic"]), (&json!("error"), &json!("SNAPSHOT_FAILED"), &json!("t")));
    assert!(error["p"]["message"].as_str().unwrap().contains("the database is away"));
    let top = publish(&engine, "t", 2).await;
    assert_eq!([client.next().await["seq"].clone(), client.next().await["seq"].clone()], [json!(top - 1), json!(top)]);
    client.send("snapshot_request", json!({"topics": ["t"]})).await;
    let error = client.next().await;
    assert_eq!((&error["cid"], &error["p"]["code"]), (&json!("q"), &json!("SNAPSHOT_FAILED")), "a panic is a failure");
    client.send("snapshot_request", json!({"topics": ["t", "other"]})).await;
    let mut got = [client.next().await, client.next().await];
    got.sort_by_key(|message| message["t"].to_string());
    assert_eq!((&got[0]["p"]["code"], &got[0]["p"]["topic"]), (&json!("NO_SNAPSHOT"), &json!("other")));
    assert_eq!((&got[1]["c"], &got[1]["p"], &got[1]["seq"], &got[1]["e"]), (&json!("S"), &json!(2), &json!(top), &entry["e"]));
    assert_eq!(engine.health().snapshots_failed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_answers_is_an_error_in_time_and_others_wait_their_turn() {
    let mut config = EngineConfig::default();
    config.snapshots.timeout = Duration::from_millis(300);
    config.snapshots.calls = 1;
    let (app, _gate) = gated(app(config), "slow:*", Sharing::User);
    let app = app.snapshot("fast", Sharing::User, |_| async { Ok(wse_protocol::Value::from(1)) }).unwrap();
    let (engine, host) = (app.engine().clone(), app.host());
    let mut client = connect(&engine, &host, "alice").await;
    client.subscribe("slow:1", json!({})).await;
    let error = client.next().await;
    assert_eq!((&error["p"]["code"], &error["p"]["topic"]), (&json!("SNAPSHOT_FAILED"), &json!("slow:1")));
    assert_eq!(client.subscribe("fast", json!({})).await["snapshot"], true);
    assert_eq!(client.next().await["p"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_runs_away_three_times_is_an_error_and_each_loss_is_told() {
    let (calls, held) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(0)));
    let config = config(|config| {
        config.bus = small_log(5);
        config.snapshots.pin_bytes = 200;
    });
    let (counted, gate) = (calls.clone(), held.clone());
    let app = app(config).snapshot("t", Sharing::User, move |_| {
        counted.fetch_add(1, SeqCst);
        let gate = gate.clone();
        async move {
            gate.acquire().await.expect("never closed").forget();
            Ok(wse_protocol::Value::from(true))
        }
    });
    let app = app.unwrap();
    let (engine, host) = (app.engine().clone(), app.host());
    let mut client = connect(&engine, &host, "alice").await;
    client.subscribe("t", json!({})).await;
    let mut top = 0;
    for attempt in 1..=3 {
        until(|| calls.load(SeqCst) == attempt).await;
        top = publish(&engine, "t", 20).await;
        until(|| engine.health().snapshot_pins_broken == attempt).await;
        held.add_permits(1);
        let told = client.next().await;
        if attempt < 3 {
            let entry = &told["p"]["topics"][0];
            assert_eq!(
                (&entry["status"], &entry["reason"], &entry["snapshot"]),
                (&json!("resync"), &json!("history"), &json!(true)),
                "{told}"
            );
        } else {
            assert_eq!(told["p"]["code"], "SNAPSHOT_FAILED", "{told}");
        }
    }
    let resync = client.next().await;
    assert_eq!((&resync["p"]["topics"][0]["reason"], &resync["p"]["topics"][0]["seq"]), (&json!("history"), &json!(top)), "{resync}");
    assert_eq!(resync["p"]["topics"][0]["snapshot"], true, "what follows cannot be had either, so the state is needed");
    held.add_permits(1);
    assert_eq!((client.next().await["c"].clone(), engine.health().snapshots_again), (json!("S"), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_pass_a_forced_filter_and_the_clients_own_and_what_is_no_rows_is_an_error() {
    let forced = Filter::compile_json(br#"{"tenant":"a"}"#).unwrap();
    let policy = TopicPolicy { slow: SlowPolicy::Recover, filter: Some(forced.into()), ..TopicPolicy::default() };
    let policies = Policies::default().with(TopicScope::parse("tenant:*").unwrap(), policy);
    let app = app(config(|config| config.policies = policies)).snapshot("*", Sharing::Everyone, |request| async move {
        // Of a key that stands twice the last value counts.
        let rows = r#"[{"tenant":"b","n":1,"tenant":"a"},{"tenant":"b","n":2},{"tenant":"a","n":3},7]"#;
        let text = if request.topic.as_str().ends_with("none") { r#"{"tenant":"a"}"# } else { rows };
        Payload::new(Format::Json, text.as_bytes())
    });
    let app = app.unwrap();
    let (engine, host) = (app.engine().clone(), app.host());
    let mut client = connect(&engine, &host, "alice").await;
    client.subscribe("tenant:x", json!({})).await;
    assert_eq!(client.next().await["p"], json!([{"tenant": "a", "n": 1}, {"tenant": "a", "n": 3}]));
    let wide = json!({"filters": {"tenant:x": {"$or": [{"tenant": "b"}, {"n": {"$gte": 2}}]}}});
    client.subscribe("tenant:x", wide).await;
    assert_eq!(client.next().await["p"], json!([{"tenant": "a", "n": 3}]));
    client.subscribe("tenant:none", json!({})).await;
    assert_eq!(client.next().await["p"]["code"], "SNAPSHOT_FAILED");
    client.subscribe("open:x", json!({"filters": {"open:x": {"n": 2}}})).await;
    assert_eq!(client.next().await["p"], json!([{"tenant": "b", "n": 2}]));
    client.subscribe("open:none", json!({"filters": {"open:none": {"n": 2}}})).await;
    assert_eq!(client.next().await["p"], json!({"tenant": "a"}), "the client's own filter is about messages where the state is no list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_asked_for_in_the_middle_of_a_stream_costs_no_message() {
    let (app, gate) = gated(app(EngineConfig::default()), "t", Sharing::User);
    let (engine, host) = (app.engine().clone(), app.host());
    let mut client = connect(&engine, &host, "alice").await;
    let start = client.subscribe("t", json!({})).await["seq"].as_u64().unwrap();
    gate.add_permits(100);
    assert_eq!(client.next().await["c"], "S");
    let publisher = engine.clone();
    let streaming = tokio::spawn(async move {
        for _ in 0..40 {
            publish(&publisher, "t", 50).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let (mut seq, mut asked, mut states) = (start, start, 0);
    while seq < start + 2000 {
        if seq >= asked {
            asked = seq + 300;
            client.send("snapshot_request", json!({"topics": ["t"]})).await;
        }
        let message = client.next().await;
        if message["c"] == "S" {
            assert_eq!(message["seq"], seq, "it stands where the client is");
            states += 1;
        } else {
            seq += 1;
            assert_eq!(message["seq"], seq, "{message}");
        }
    }
    streaming.await.unwrap();
    assert!(states >= 2, "{states}: only those under way at the same time are one");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_a_pattern_have_their_states_and_so_have_those_born_later() {
    let (app, gate) = gated(app(EngineConfig::default()), "orders:*", Sharing::User);
    let (engine, host) = (app.engine().clone(), app.host());
    publish(&engine, "orders:1", 2).await;
    let mut client = connect(&engine, &host, "alice").await;
    let entry = client.subscribe("orders:*", json!({})).await;
    assert_eq!((&entry["snapshot"], &entry["topics"][0]["snapshot"]), (&Value::Null, &json!(true)));
    gate.add_permits(1);
    let state = client.next().await;
    assert_eq!((&state["tp"], &state["seq"]), (&json!("orders:1"), &json!(2)));
    publish(&engine, "orders:2", 1).await;
    let born = client.next().await;
    assert_eq!(born["p"]["topics"][0]["topics"][0]["snapshot"], true, "{born}");
    gate.add_permits(1);
    let (state, first) = (client.next().await, client.next().await);
    assert_eq!((&state["tp"], &state["c"], &state["seq"]), (&json!("orders:2"), &json!("S"), &json!(0)));
    assert_eq!((&first["tp"], &first["seq"]), (&json!("orders:2"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_the_state_is_made_hears_no_more_of_the_topic() {
    let (app, gate) = gated(app(EngineConfig::default()), "*", Sharing::User);
    let (engine, host) = (app.engine().clone(), app.host());
    let mut client = connect(&engine, &host, "alice").await;
    client.subscribe("t", json!({})).await;
    client.send("subscription", json!({"action": "unsubscribe", "topics": ["t"]})).await;
    assert_eq!(client.next().await["p"]["topics"][0]["status"], "unsubscribed");
    gate.add_permits(1);
    publish(&engine, "t", 1).await;
    client.subscribe("other", json!({})).await;
    gate.add_permits(1);
    assert_eq!(client.next().await["tp"], "other", "nothing of t between");
    until(|| engine.health().snapshot_pinned_bytes == 0).await;
}
