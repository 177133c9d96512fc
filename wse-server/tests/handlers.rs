//! Handlers of a Rust service over real sockets: payloads of its own types, and what it returns.
mod support;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{Client, connect, service};
use tokio::net::TcpStream;
use wse_server::EngineConfig;

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

async fn client() -> Client<TcpStream> {
    let (_, address) = service(EngineConfig::default(), |app| {
        app.on("order", |message| async move { message.payload.parse().map(|Order { item, count }| Bill { item, total: count * 2 }) })
            .on("echo", |message| async move { Ok(message.payload) })
            .on("nothing", |_| async { Ok(()) })
            .on("pairs", |_| async { Ok(BTreeMap::from([((1, 2), 3)])) })
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
    for (payload, what) in [(json!({"item": "tea"}), "count"), (json!({"item": "tea", "count": -1}), "-1"), (json!(null), "Order")] {
        let answer = ask(&mut client, "order", payload).await;
        assert_eq!((&answer[0], &answer[1]["code"]), (&json!("error"), &json!("INVALID_MESSAGE")));
        let text = answer[1]["message"].as_str().unwrap();
        assert!(text.starts_with("the payload does not fit: ") && text.contains(what), "{text}");
    }
    let answer = ask(&mut client, "pairs", json!(null)).await;
    assert_eq!((&answer[0], &answer[1]["code"]), (&json!("error"), &json!("HANDLER_FAILED")));
    assert!(answer[1]["message"].as_str().unwrap().contains("key must be a string"), "{answer}");
    assert_eq!(ask(&mut client, "nothing", json!(null)).await, json!(["reply", null]));
}
