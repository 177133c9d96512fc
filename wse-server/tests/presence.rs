//! Who is in a topic, as a service asks for it, and what becomes of those who are too many ([P-60], [P-62]).
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
use bytes::{Bytes, BytesMut};
use fastwebsockets::{Frame, Payload, Role, WebSocket};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use wse_protocol::{ErrorCode, Topic};
use wse_pubsub::{MemoryConfig, PresenceLimits};
use wse_server::{App, BusChoice, Engine, EngineConfig, Policies, PresenceError, RequestHead, SharedHost, TopicPolicy, TopicScope};

const PATIENCE: Duration = Duration::from_secs(20);

struct Client(WebSocket<TcpStream>);

async fn connect(engine: &Engine, host: &SharedHost) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let admission = engine.admit(RequestHead { headers: (&http::HeaderMap::new()).into(), query: "" });
    engine.adopt(host.clone(), admission, theirs.unwrap().0.into_std().unwrap(), Bytes::new(), None);
    let mut socket = WebSocket::after_handshake(ours.unwrap(), Role::Client);
    socket.set_auto_close(false);
    let mut client = Client(socket);
    while client.next().await["t"] != "server_ready" {}
    client
}

impl Client {
    async fn next(&mut self) -> Value {
        let frame = timeout(PATIENCE, self.0.read_frame()).await.expect("something comes in time").expect("a whole frame");
        serde_json::from_slice(&frame.payload).expect("JSON")
    }

    /// The answer to a change.
    async fn presence(&mut self, action: &str, key: &str) -> Value {
        let p = json!({"action": action, "topic": "room:1", "data": key, "key": key});
        let text = json!({"v": 2, "c": "WSE", "t": "presence", "cid": "q", "p": p}).to_string();
        self.0.write_frame(Frame::text(Payload::Bytes(BytesMut::from(text.as_bytes())))).await.unwrap();
        loop {
            let message = self.next().await;
            if message["cid"] == "q" {
                return message["p"].clone();
            }
        }
    }
}

async fn started() -> (Engine, SharedHost) {
    let mut config = EngineConfig::default();
    let policy = TopicPolicy { presence: true, ..TopicPolicy::default() };
    config.policies = Policies::default().with(TopicScope::parse("room:*").unwrap(), policy);
    let limits = PresenceLimits { members: 2, ..PresenceLimits::default() };
    config.bus = BusChoice::Memory(MemoryConfig::default().presence(limits));
    let engine = tokio::task::spawn_blocking(|| Engine::start(config).unwrap()).await.unwrap();
    let host = App::new(engine.clone()).host();
    (engine, host)
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

#[tokio::test]
async fn one_too_many_is_refused_and_comes_in_once_somebody_has_left() {
    let (engine, host) = started().await;
    let (mut one, mut two, mut three) = (connect(&engine, &host).await, connect(&engine, &host).await, connect(&engine, &host).await);
    assert!(one.presence("enter", "a").await["id"].is_string() && two.presence("enter", "b").await["id"].is_string());
    assert_eq!(three.presence("enter", "c").await["code"], "PRESENCE_FULL");
    assert!(one.presence("update", "a").await["id"].is_string(), "those inside change their data");
    let health = engine.health();
    assert_eq!((health.presence_members, health.presence_refused, health.presence_changes), (2, 1, 4));
    two.presence("leave", "b").await;
    assert!(three.presence("enter", "c").await["id"].is_string());
    let present = engine.presence(&topic("room:1")).await.unwrap();
    let mut data: Vec<_> = present.members.iter().map(|member| member.data.clone()).collect();
    data.sort();
    assert_eq!((present.count, data), (2, vec![Bytes::from("\"a\""), Bytes::from("\"c\"")]));
    assert_eq!(engine.presence_count(&topic("room:1")).await.unwrap(), 2);
    assert!(health.presence_stores >= 3 && health.presence_failures == 0);
}

#[tokio::test]
async fn of_a_topic_without_presence_nothing_can_be_said() {
    let (engine, _) = started().await;
    let codes = ["plain", &format!("room:{}", "x".repeat(190))].map(topic);
    for (topic, code) in codes.iter().zip([ErrorCode::PresenceOff, ErrorCode::InvalidTopic]) {
        match engine.presence(topic).await {
            Err(PresenceError::Topic(error)) => assert_eq!(error.code, code),
            other => panic!("{other:?}"),
        }
        assert!(engine.presence_count(topic).await.is_err());
    }
}

#[tokio::test]
async fn an_engine_that_ends_has_told_who_has_left() {
    let (engine, host) = started().await;
    let mut one = connect(&engine, &host).await;
    for n in 0..20 {
        one.presence(if n % 2 == 0 { "enter" } else { "leave" }, "a").await;
    }
    one.presence("enter", "a").await;
    // The interval holds this back, and the end does not.
    one.0.write_frame(Frame::close(1000, b"")).await.unwrap();
    while engine.health().connections > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    engine.close_bus().await;
    assert_eq!(engine.health().presence_members, 0);
}
