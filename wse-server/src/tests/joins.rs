//! Joining and catching up, on a bus that is slow or fails (G1, G2).
use super::{Call, Client, Rig, on_a_shard, settle};
use crate::EngineConfig;
use serde_json::{Value, json};
use std::{sync::atomic::Ordering::Relaxed, time::Duration};
use wse_core::{log::LogLimits, session::Offer};
use wse_protocol::{SessionId, Topic};
use wse_pubsub::{BusError, MemoryConfig};

#[tokio::test]
async fn what_a_client_missed_comes_within_its_bound_from_the_first_page_on() {
    on_a_shard(async {
        let mut config = EngineConfig::default();
        config.session.outbound_bytes = 20_000;
        let mut rig = Rig::new(&config);
        let mut positions = serde_json::Map::new();
        let topics = ["a", "b", "c"];
        for topic in topics {
            positions.insert(topic.to_owned(), rig.publish(topic, 10).await);
            for _ in 0..60 {
                rig.publish(topic, 1_000).await;
            }
        }
        let client = rig.connect();
        client.request("subscribe", json!({"topics": topics, "positions": positions}));
        let mut messages = 0;
        for _ in 0..200 {
            settle().await;
            let waiting = client.connection.session().waiting_bytes();
            assert!(waiting <= 20_000, "{waiting} bytes wait after {messages} messages");
            messages += client.take().iter().filter(|frame| frame["t"] == "m").count();
        }
        assert_eq!(messages, 180);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_is_left_alone_for_a_while() {
    on_a_shard(async {
        let mut config = EngineConfig::default();
        config.session.outbound_bytes = 4_000;
        let mut rig = Rig::new(&config);
        let client = rig.connect();
        client.request("subscribe", json!({"topics": ["t"]}));
        settle().await;
        for _ in 0..20 {
            rig.publish("t", 1_000).await;
        }
        // More than would be needed if none were spaced.
        rig.bus.fail(Call::History, 1_000);
        assert!(client.connection.behind.borrow().len() == 1, "it fell behind");
        client.take();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let calls = rig.bus.calls(Call::History);
        assert!((20..=50).contains(&calls), "{calls} reads in ten seconds");
        rig.bus.fail(Call::History, 0);
        let mut last = json!(null);
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            last = client.take().last().map_or(last, |frame| frame["seq"].clone());
        }
        assert_eq!(last, 20);
    })
    .await;
}

/// Frames that come within so many seconds.
async fn within(client: &Client, seconds: u64) -> Vec<Value> {
    let mut frames = Vec::new();
    for _ in 0..seconds * 4 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        frames.extend(client.take());
    }
    frames
}

/// What of them is news of a subscription, and the numbers of the messages.
fn sorted(frames: &[Value]) -> (Vec<Value>, Vec<u64>) {
    let updates = frames.iter().filter(|frame| frame["t"] == "subscription_update");
    let told = updates.flat_map(|update| update["p"]["topics"].as_array().unwrap().clone()).collect();
    (told, frames.iter().filter(|frame| frame["t"] == "m").map(|frame| frame["seq"].as_u64().unwrap()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resumes_while_the_log_cannot_be_read_gets_what_it_missed_later_and_is_not_told_of_a_loss() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let follows = rig.connect();
        follows.request("subscribe", json!({"topics": ["t", "n:1"]}));
        settle().await;
        let mut positions = serde_json::Map::new();
        for topic in ["t", "n:1"] {
            positions.insert(topic.to_owned(), rig.publish(topic, 10).await);
            for _ in 0..3 {
                rig.publish(topic, 10).await;
            }
        }
        for asked in [json!(["t"]), json!(["n:*"])] {
            let returns = rig.connect();
            rig.bus.fail(Call::History, 5);
            returns.request("subscribe", json!({"topics": asked, "positions": positions}));
            settle().await;
            let answer = returns.told().remove(0);
            let entry = if answer["tp"] == "n:*" { &answer["topics"][0] } else { &answer };
            assert_eq!((&entry["status"], &entry["seq"], &entry["recovered"]), (&json!("recovered"), &json!(1), &json!(3)), "{answer}");
            rig.publish(entry["tp"].as_str().unwrap(), 10).await;
            assert_eq!(sorted(&within(&returns, 5).await), (Vec::new(), vec![2, 3, 4, 5]));
            rig.publish(entry["tp"].as_str().unwrap(), 10).await;
            assert_eq!(sorted(&returns.take()).1, [6], "it is live");
        }
        assert_eq!(rig.shard.counters.resyncs.load(Relaxed), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_log_has_lost_by_the_time_that_it_can_be_read_is_told_once() {
    on_a_shard(async {
        let limits = LogLimits { messages: 5, ..LogLimits::default() };
        let mut rig = Rig::over(&EngineConfig::default(), MemoryConfig::default().history(limits));
        let follows = rig.connect();
        follows.request("subscribe", json!({"topics": ["t"]}));
        settle().await;
        let before = rig.publish("t", 10).await;
        rig.publish("t", 10).await;
        // The second is of a log that is no more.
        for (position, reason) in [(before, "history"), (json!({"e": "another", "seq": 1}), "epoch")] {
            let returns = rig.connect();
            rig.bus.fail(Call::History, 5);
            returns.request("subscribe", json!({"topics": ["t"], "positions": {"t": position}}));
            settle().await;
            assert_eq!(returns.told()[0]["e"], position["e"], "it is where it was");
            for _ in 0..10 {
                rig.publish("t", 10).await;
            }
            let (told, messages) = sorted(&within(&returns, 5).await);
            assert_eq!((told.len(), &told[0]["status"], &told[0]["reason"]), (1, &json!("resync"), &json!(reason)), "{told:?}");
            assert!(messages.is_empty(), "{messages:?}");
            rig.publish("t", 10).await;
            assert_eq!(sorted(&returns.take()).1, [told[0]["seq"].as_u64().unwrap() + 1], "it is live");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_resumed_while_its_log_cannot_be_read_gets_what_it_missed_later() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let hello = |p: Value| json!({"v": 2, "c": "WSE", "t": "client_hello", "p": p});
        let offer = || Offer { hello_promised: true, secret: 7, ..Offer::default() };
        let first = rig.connect_with(offer());
        first.say(hello(json!({"session": ""})));
        settle().await;
        let frames = first.take();
        let secret = frames.iter().find(|frame| frame["t"] == "server_ready").unwrap()["p"]["session"].clone();
        let name = sorted(&frames).0[0]["tp"].as_str().unwrap().to_owned();
        let topic = Topic::of_session(&SessionId::parse(name.strip_prefix("@session:").unwrap()).unwrap());
        let position = rig.publish_to(&topic, "1").await;
        rig.publish_to(&topic, "2").await;
        // The first connection is still there: the server does not know yet that it is gone.
        let returns = rig.connect_with(offer());
        rig.bus.fail(Call::History, 5);
        returns.say(hello(json!({"session": secret, "positions": {&name: position}, "away_ms": 1})));
        settle().await;
        let told = returns.told();
        assert_eq!((&told[0]["tp"], &told[0]["status"], &told[0]["recovered"]), (&json!(name), &json!("recovered"), &json!(1)), "{told:?}");
        assert_eq!(sorted(&within(&returns, 5).await), (Vec::new(), vec![2]));
    })
    .await;
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_will_never_be_readable_is_told_as_a_loss_to_who_joins_and_to_who_is_behind() {
    on_a_shard(async {
        let mut config = EngineConfig::default();
        config.session.outbound_bytes = 4_000;
        let mut rig = Rig::new(&config);
        let behind = rig.connect();
        behind.request("subscribe", json!({"topics": ["t"]}));
        settle().await;
        behind.take();
        let position = rig.publish("t", 10).await;
        for _ in 0..20 {
            rig.publish("t", 1_000).await;
        }
        rig.bus.break_log(&topic("t"), Some(BusError::Corrupt { topic: "t".into(), why: "it was told so".into() }));
        let joins = rig.connect();
        joins.request("subscribe", json!({"topics": ["t"], "positions": {"t": position}}));
        settle().await;
        for client in [joins, behind] {
            let (told, _) = sorted(&within(&client, 2).await);
            assert_eq!((told.len(), &told[0]["status"], &told[0]["reason"]), (1, &json!("resync"), &json!("history")), "{told:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_keeps_no_other_of_its_connection_waiting() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let topics = ["a", "b", "c"];
        let follows = rig.connect();
        follows.request("subscribe", json!({"topics": topics}));
        settle().await;
        let mut positions = serde_json::Map::new();
        for topic in topics {
            positions.insert(topic.to_owned(), rig.publish(topic, 10).await);
            rig.publish(topic, 10).await;
        }
        let away = BusError::Unavailable { at: "test".into(), why: "it was told to fail".into() };
        rig.bus.break_log(&topic("c"), Some(away));
        let returns = rig.connect();
        rig.bus.fail(Call::History, 2);
        returns.request("subscribe", json!({"topics": topics, "positions": positions}));
        let came =
            |frames: Vec<Value>| frames.iter().filter(|frame| frame["t"] == "m").map(|frame| frame["tp"].clone()).collect::<Vec<_>>();
        let mut first = came(within(&returns, 3).await);
        first.sort_by_key(Value::to_string);
        assert_eq!(first, ["a", "b"]);
        rig.bus.break_log(&topic("c"), None);
        assert_eq!(came(within(&returns, 3).await), ["c"]);
    })
    .await;
}
