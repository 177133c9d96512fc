//! What joins, resumes and ends bring over real sockets: each message once, in order, and no gap that there is none ([P-33], [P-34]).
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
use bytes::{Bytes, BytesMut};
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use serde_json::{Value, json};
use std::{
    io::Write,
    net::Shutdown,
    sync::OnceLock,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use wse_protocol::{CloseCode, Format, Topic, envelope::Envelope};
use wse_server::{App, ConnectionId, Engine, EngineConfig, Host, NewMessage, RequestHead, token};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client that keeps its position in one topic.
struct Client {
    socket: WebSocket<TcpStream>,
    seq: u64,
}

/// Both ends of a connection over loopback.
async fn ends() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (ours.unwrap(), theirs.unwrap().0.into_std().unwrap())
}

fn adopt(engine: &Engine, socket: std::net::TcpStream) {
    let headers = http::HeaderMap::new();
    let admission = engine.admit(RequestHead { headers: (&headers).into(), query: "" });
    engine.adopt(App::new(engine.clone()).host(), admission, socket, Bytes::new(), None);
}

async fn connect(engine: &Engine) -> Client {
    let (ours, theirs) = ends().await;
    adopt(engine, theirs);
    let mut socket = WebSocket::after_handshake(ours, Role::Client);
    socket.set_auto_close(false);
    let mut client = Client { socket, seq: 0 };
    while client.next().await["t"] != "server_ready" {}
    client
}

impl Client {
    async fn next(&mut self) -> Value {
        let frame = timeout(PATIENCE, self.socket.read_frame()).await.expect("something comes in time").expect("a whole frame");
        assert_eq!(frame.opcode, OpCode::Text, "{:?}", &frame.payload[..]);
        serde_json::from_slice(&frame.payload).expect("JSON")
    }

    async fn subscribe(&mut self, request: Value) {
        let mut p = json!({"action": "subscribe"});
        p.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let text = json!({"v": 2, "c": "WSE", "t": "subscription", "p": p}).to_string();
        self.socket.write_frame(Frame::text(Payload::Bytes(BytesMut::from(text.as_bytes())))).await.unwrap();
    }

    async fn answer(&mut self) -> Value {
        loop {
            let message = self.next().await;
            if message["t"] == "subscription_update" {
                return message["p"]["topics"].clone();
            }
        }
    }

    /// The next message of the topic; fails at a gap and at what came before.
    async fn message(&mut self) -> Value {
        loop {
            let message = self.next().await;
            let Some(seq) = message["seq"].as_u64() else { continue };
            let previous = message["ps"].as_u64().unwrap_or(seq - 1);
            assert!(previous <= self.seq && seq >= self.seq, "a gap at {}: {message}", self.seq);
            assert!(seq > self.seq || message["t"] == "beacon", "twice: {message}");
            self.seq = seq;
            if message["t"] != "beacon" {
                return message;
            }
        }
    }
}

async fn publish(engine: &Engine, topic: &str, payload: &Value) -> Value {
    let receipt = engine.publish(&Topic::parse(topic).unwrap(), NewMessage::new(payload.to_string())).await.unwrap();
    json!({"e": receipt.position.epoch.as_str(), "seq": receipt.position.seq.number()})
}

async fn settled(engine: &Engine, connections: usize, limit: Duration) {
    let reached = async {
        while engine.health().connections != connections {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(limit, reached).await.unwrap_or_else(|_| panic!("{:?}", engine.health()));
}

/// A client's frame, masked with zeros.
fn framed(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_filter_has_no_gap_where_the_end_of_a_page_did_not_pass() {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let start = publish(&engine, "t", &json!({"n": 1})).await;
    for n in 2..=700 {
        publish(&engine, "t", &json!({"n": n})).await;
    }
    let mut client = connect(&engine).await;
    let wanted = [100, 400, 650, 701, 703];
    client.subscribe(json!({"topics": ["t"], "positions": {"t": start}, "filters": {"t": {"n": {"$in": wanted}}}})).await;
    let answer = client.answer().await;
    assert_eq!((&answer[0]["status"], &answer[0]["seq"], &answer[0]["recovered"]), (&json!("recovered"), &json!(1), &json!(699)));
    client.seq = 1;
    for expected in &wanted[..3] {
        assert_eq!(client.message().await["p"]["n"], *expected);
    }
    for n in 701..=703 {
        publish(&engine, "t", &json!({"n": n})).await;
    }
    for expected in &wanted[3..] {
        assert_eq!(client.message().await["p"]["n"], *expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_who_is_in_a_topic_already_passes_over_nothing_that_waits() {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let mut client = connect(&engine).await;
    client.subscribe(json!({"topics": ["t"]})).await;
    client.answer().await;
    let payload = json!("x".repeat(1000));
    for _ in 0..8_000 {
        publish(&engine, "t", &payload).await;
    }
    client.subscribe(json!({"topics": ["t"]})).await;
    let mut answered = false;
    while client.seq < 8_000 {
        let message = client.next().await;
        if message["t"] == "subscription_update" {
            assert_eq!(message["p"]["topics"][0]["seq"], client.seq, "the position after which messages follow");
            answered = true;
        } else if let Some(seq) = message["seq"].as_u64().filter(|_| message["t"] == "t") {
            assert_eq!(seq, client.seq + 1);
            client.seq = seq;
        }
    }
    assert!(answered, "while messages waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_named_and_under_a_pattern_of_the_same_request_is_joined_once() {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let mut at = json!(null);
    for n in 1..=10 {
        let position = publish(&engine, "a:1", &json!(n)).await;
        at = if n == 3 { position } else { at };
    }
    for topics in [["a:*", "a:1"], ["a:1", "a:*"], ["a:1", "a:1"]] {
        let mut client = connect(&engine).await;
        client.subscribe(json!({"topics": topics, "positions": {"a:1": at}})).await;
        let answer = client.answer().await;
        for entry in answer.as_array().unwrap() {
            let entry = if entry["tp"] == "a:*" { &entry["topics"][0] } else { entry };
            assert_eq!((&entry["tp"], &entry["seq"]), (&json!("a:1"), &json!(3)), "{answer}");
        }
        client.seq = 3;
        for n in 4..=10 {
            assert_eq!(client.message().await["p"], n);
        }
        let last = publish(&engine, "b", &json!(0)).await;
        client.subscribe(json!({"topics": ["b"]})).await;
        let next = client.next().await;
        assert_eq!((&next["t"], &next["p"]["topics"][0]["seq"]), (&json!("subscription_update"), &last["seq"]), "nothing came twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_comes_with_the_last_message_is_noticed_at_once() {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let (ours, theirs) = ends().await;
    let mut ours = ours.into_std().unwrap();
    ours.write_all(&framed(r#"{"v":2,"c":"WSE","t":"ping"}"#)).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    adopt(&engine, theirs);
    settled(&engine, 0, Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_waited_for_room_are_read_when_their_answers_are_written() {
    const COUNT: usize = 200;
    let mut config = EngineConfig::default();
    config.session.outbound_bytes = 1000;
    let engine = Engine::start(config).unwrap();
    let (ours, theirs) = ends().await;
    let mut ours = ours.into_std().unwrap();
    let frames: Vec<u8> = (0..COUNT).flat_map(|n| framed(&format!(r#"{{"v":2,"c":"WSE","t":"ping","p":{n}}}"#))).collect();
    ours.write_all(&frames).unwrap();
    adopt(&engine, theirs);
    ours.set_nonblocking(true).unwrap();
    let mut socket = WebSocket::after_handshake(TcpStream::from_std(ours).unwrap(), Role::Client);
    let (mut answered, begun) = (0, Instant::now());
    while answered < COUNT {
        let frame = timeout(PATIENCE, socket.read_frame()).await.expect("an answer in time").unwrap();
        let message: Value = serde_json::from_slice(&frame.payload).unwrap();
        if message["t"] == "pong" {
            assert_eq!(message["p"], answered);
            answered += 1;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "not with the next heartbeat: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_on_every_shard_have_everything_in_order() {
    const COUNT: u64 = 300;
    for shards in [2, 3] {
        let mut config = EngineConfig::default();
        config.shards = shards;
        let engine = Engine::start(config).unwrap();
        let mut clients = futures_util::future::join_all((0..12).map(|_| connect(&engine))).await;
        for client in &mut clients {
            client.subscribe(json!({"topics": ["t"]})).await;
            assert_eq!(client.answer().await[0]["seq"], 0);
        }
        for n in 1..=COUNT {
            publish(&engine, "t", &json!(n)).await;
        }
        for client in &mut clients {
            for n in 1..=COUNT {
                assert_eq!(client.message().await["p"], n);
            }
        }
        let inspection = engine.inspect().await;
        assert_eq!((inspection.shards_silent, inspection.health.subscriptions, inspection.health.deliveries), (0, 12, 12 * COUNT));
        let drained = tokio::spawn({
            let engine = engine.clone();
            async move { engine.drain(Duration::ZERO, PATIENCE).await }
        });
        for mut client in clients {
            let end = timeout(PATIENCE, client.socket.read_frame()).await.unwrap().unwrap();
            assert_eq!((end.opcode, &end.payload[..2]), (OpCode::Close, &1012_u16.to_be_bytes()[..]));
        }
        timeout(PATIENCE, drained).await.unwrap().unwrap();
        settled(&engine, 0, PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_has_its_most_filters_over_all_shards_together() {
    let mut config = EngineConfig::default();
    (config.shards, config.filter_limit) = (2, 3);
    let engine = Engine::start(config).unwrap();
    let mut clients = futures_util::future::join_all((0..10).map(|_| connect(&engine))).await;
    let asking = |n: usize| json!({"topics": ["t"], "filters": {"t": {"n": n}}});
    for (n, client) in clients.iter_mut().enumerate() {
        client.subscribe(asking(n)).await;
        let answer = client.answer().await;
        let wanted = if n < 3 { json!(null) } else { json!("FILTER_LIMIT") };
        assert_eq!(answer[0]["code"], wanted, "{n}: {answer}");
    }
    // One that is there is for everybody, on the other shard too.
    for client in &mut clients[3..7] {
        client.subscribe(asking(2)).await;
        assert_eq!(client.answer().await[0]["status"], "live");
    }
    assert_eq!(engine.inspect().await.tally.filter_classes, 4, "the third one is judged by on both shards");
    let mut late = clients.split_off(7);
    drop(clients);
    settled(&engine, 3, PATIENCE).await;
    for (n, client) in late.iter_mut().enumerate() {
        client.subscribe(asking(20 + n)).await;
        assert_eq!(client.answer().await[0]["status"], "live", "places are given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_comes_after_the_drain_began_is_told_so_at_once() {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let headers = http::HeaderMap::new();
    let admissions = [(); 2].map(|()| engine.admit(RequestHead { headers: (&headers).into(), query: "" }));
    engine.drain(Duration::ZERO, PATIENCE).await;
    for (admission, plain) in admissions.into_iter().zip([true, false]) {
        let (ours, theirs) = ends().await;
        let host = App::new(engine.clone()).host();
        if plain {
            engine.adopt(host, admission, theirs, Bytes::new(), None);
        } else {
            engine.adopt_any(host, admission, TcpStream::from_std(theirs).unwrap(), Bytes::new());
        }
        let mut socket = WebSocket::after_handshake(ours, Role::Client);
        socket.set_auto_close(false);
        let error = timeout(PATIENCE, socket.read_frame()).await.expect("at once").unwrap();
        let error: Value = serde_json::from_slice(&error.payload).unwrap();
        let end = timeout(PATIENCE, socket.read_frame()).await.expect("at once").unwrap();
        assert_eq!((&error["t"], &error["p"]["code"]), (&json!("error"), &json!("SERVER_RESTART")));
        assert_eq!((end.opcode, &end.payload[..2]), (OpCode::Close, &1012_u16.to_be_bytes()[..]));
    }
    settled(&engine, 0, PATIENCE).await;
}

/// A host that answers one message with more than may wait, before the shard can take any of it.
#[derive(Debug, Default)]
struct Talker(OnceLock<Engine>);

impl Host for Talker {
    fn authenticate(&self, _: ConnectionId, _: Option<String>, _: Option<token::Identity>) {}
    fn opened(&self, _: ConnectionId, _: Option<token::Identity>, _: Option<wse_protocol::SessionId>) {}
    fn messages(&self, id: ConnectionId, _: Vec<Box<Envelope>>) {
        let payload = Bytes::from(format!("\"{}\"", "x".repeat(1 << 20)));
        (0..80).for_each(|_| self.0.get().unwrap().reply(id, "q", Format::Json, payload.clone()));
    }
    fn closed(&self, _: ConnectionId, _: CloseCode, _: String, _: bool) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn more_answers_than_may_wait_for_a_shard_close_their_connection_and_no_other() {
    let mut config = EngineConfig::default();
    config.shards = 1;
    let engine = Engine::start(config).unwrap();
    let mut other = connect(&engine).await;
    other.subscribe(json!({"topics": ["t"]})).await;
    other.answer().await;
    let (ours, theirs) = ends().await;
    let headers = http::HeaderMap::new();
    let host = std::sync::Arc::new(Talker::default());
    host.0.set(engine.clone()).unwrap();
    engine.adopt(host, engine.admit(RequestHead { headers: (&headers).into(), query: "" }), theirs, Bytes::new(), None);
    let mut socket = WebSocket::after_handshake(ours, Role::Client);
    socket.set_auto_close(false);
    socket.set_max_message_size(2 << 20);
    socket.write_frame(Frame::text(Payload::Borrowed(br#"{"v":2,"t":"talk"}"#))).await.unwrap();
    let end = loop {
        let frame = timeout(PATIENCE, socket.read_frame()).await.expect("an end in time").unwrap();
        if frame.opcode == OpCode::Close {
            break frame;
        }
    };
    assert_eq!(&end.payload[..2], &1013_u16.to_be_bytes()[..]);
    assert!(engine.health().overloads > 0);
    publish(&engine, "t", &json!(1)).await;
    assert_eq!(other.message().await["p"], 1);
}
