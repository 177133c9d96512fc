//! Handlers of a Rust service over real sockets: payloads of its own types, and what it returns.
mod support;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use support::{Client, connect, service};
use tokio::net::TcpStream;
use wse_protocol::{Format, Payload};
use wse_server::{EngineConfig, Sharing};

#[derive(Deserialize)]
struct Order {
    item: String,
    count: u32,
}

#[derive(Serialize)]
struct Bill {
    item: String,
    total: u32,
}

/// What JSON cannot have.
fn pairs() -> BTreeMap<(u8, u8), u8> {
    BTreeMap::from([((1, 2), 3)])
}

async fn client() -> Client<TcpStream> {
    let (_, address) = service(EngineConfig::default(), |app| {
        app.on("order", |message| async move { message.payload.parse().map(|Order { item, count }| Bill { item, total: count * 2 }) })
            .on("echo", |message| async move { Ok(message.payload) })
            .on("nothing", |_| async { Ok(()) })
            .on("pairs", |_| async { Ok(pairs()) })
            .snapshot("state", Sharing::User, |_| async { Payload::new(Format::Json, br#"{"n":[1]}"#) })
            .expect("a scope")
            .snapshot("pairs", Sharing::User, |_| async { Ok(pairs()) })
            .expect("a scope")
    })
    .await;
    connect(address).await
}

async fn ask(client: &mut Client<TcpStream>, event_type: &str, payload: Value) -> Value {
    client.send(json!({"v": 2, "t": event_type, "cid": "c", "p": payload})).await;
    let answer = loop {
        let message = client.next().await.expect("open");
        if message["cid"] == "c" {
            break message;
        }
    };
    json!([answer["t"], answer["p"]])
}

#[tokio::test]
async fn a_payload_is_read_as_a_type_and_what_is_returned_is_written_as_json() {
    let mut client = client().await;
    assert_eq!(
        ask(&mut client, "order", json!({"item": "tea", "count": 3, "more": [1]})).await,
        json!(["reply", {"item": "tea", "total": 6}])
    );
    assert_eq!(ask(&mut client, "nothing", json!(1)).await, json!(["reply", null]));
    let deep = json!({"a\n\"\u{1F600}": [1, -2, 0.5, 1e300, 18446744073709551615_u64, null, true, {"": {}}]});
    assert_eq!(ask(&mut client, "echo", deep.clone()).await, json!(["reply", deep]));
}

#[tokio::test]
async fn one_that_does_not_fit_is_the_clients_fault_and_a_reply_that_json_cannot_have_the_services() {
    let mut client = client().await;
    for (payload, what) in [
        (json!({"item": "tea"}), "missing field `count`"),
        (json!({"item": "tea", "count": "3"}), r#"count: invalid type: string "3", expected u32"#),
        (json!(null), "Order"),
    ] {
        let answer = ask(&mut client, "order", payload).await;
        assert_eq!((&answer[0], &answer[1]["code"]), (&json!("error"), &json!("INVALID_MESSAGE")));
        let text = answer[1]["message"].as_str().unwrap();
        assert!(text.starts_with("the payload does not fit: ") && text.contains(what), "{text}");
    }
    let answer = ask(&mut client, "pairs", json!(null)).await;
    assert_eq!((&answer[0], &answer[1]["code"]), (&json!("error"), &json!("HANDLER_FAILED")));
    assert_eq!(answer[1]["message"], "the handler failed; the server's log says why");
    assert_eq!(ask(&mut client, "nothing", json!(null)).await, json!(["reply", null]));
}

#[tokio::test]
async fn a_state_may_be_a_payload_and_one_that_json_cannot_have_has_failed() {
    let mut client = client().await;
    client.send(json!({"v": 2, "c": "WSE", "t": "subscription", "p": {"action": "subscribe", "topics": ["state", "pairs"]}})).await;
    let (mut state, mut failed) = (Value::Null, Value::Null);
    while state.is_null() || failed.is_null() {
        let message = client.next().await.expect("open");
        if message["c"] == "S" {
            state = message["p"].clone();
        } else if message["t"] == "error" {
            failed = message["p"].clone();
        }
    }
    assert_eq!(state, json!({"n": [1]}));
    assert_eq!(
        (&failed["code"], &failed["message"]),
        (&json!("SNAPSHOT_FAILED"), &json!("the snapshot failed; the service's log says why"))
    );
}

/// Written only where somebody waits for it.
struct Counted(Arc<AtomicUsize>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.fetch_add(1, SeqCst) as u64)
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_written() {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let (_, address) = service(EngineConfig::default(), |app| {
        app.on("count", move |_| {
            let counted = Counted(counted.clone());
            async { Ok(counted) }
        })
    })
    .await;
    let mut client = connect(address).await;
    for _ in 0..3 {
        client.send(json!({"v": 2, "t": "count"})).await;
    }
    assert_eq!(ask(&mut client, "count", json!(null)).await, json!(["reply", 0]));
    assert_eq!(written.load(SeqCst), 1);
}
