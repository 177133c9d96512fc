//! Patterns whose bus is slow or fails: order of births, whose interest is whose, what is told of what was lost.
use super::{Call, Client, Rig, on_a_shard, settle};
use crate::EngineConfig;
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;
use wse_pubsub::Bus;

async fn follows(rig: &Rig, client: &Client, request: Value) {
    client.request("subscribe", request);
    settle().await;
    let told = client.told();
    assert_eq!((&told[0]["tp"], &told[0]["status"]), (&json!("n:*"), &json!("live")), "{told:?}");
    assert!(rig.bus.health().patterns > 0);
}

fn all() -> Value {
    json!({"topics": ["n:*"]})
}

/// The topics that were told of under a pattern, with the numbers of their births.
fn born(told: &[Value]) -> Vec<(u64, String)> {
    let topics = |entry: &Value| {
        let seq = entry["seq"].as_u64().unwrap();
        entry["topics"].as_array().into_iter().flatten().map(|topic| (seq, topic["tp"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    told.iter().flat_map(topics).collect()
}

#[tokio::test]
async fn a_follow_that_fails_after_its_client_left_takes_nothing_from_the_others() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let (stays, leaves) = (rig.connect(), rig.connect());
        follows(&rig, &stays, all()).await;
        rig.bus.hold(Call::Follow, true);
        leaves.request("subscribe", all());
        settle().await;
        leaves.close();
        rig.bus.fail(Call::Follow, 1);
        rig.bus.hold(Call::Follow, false);
        settle().await;
        rig.publish("n:1", 10).await;
        settle().await;
        assert_eq!(born(&stays.told()), [(1, "n:1".to_owned())]);
        stays.close();
        settle().await;
        assert_eq!(rig.bus.health().patterns, 0, "and every interest is given back");
    })
    .await;
}

#[tokio::test]
async fn a_follow_that_is_answered_after_its_client_left_is_given_back() {
    on_a_shard(async {
        let rig = Rig::new(&EngineConfig::default());
        let leaves = rig.connect();
        rig.bus.hold(Call::Follow, true);
        leaves.request("subscribe", all());
        settle().await;
        leaves.close();
        rig.bus.hold(Call::Follow, false);
        settle().await;
        assert_eq!(rig.bus.health().patterns, 0);
    })
    .await;
}

#[tokio::test]
async fn a_pattern_that_is_refused_anew_stays_as_it_was() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let client = rig.connect();
        follows(&rig, &client, all()).await;
        rig.bus.fail(Call::Follow, 1);
        client.request("subscribe", json!({"topics": ["n:*"], "filters": {"n:*": {"a": 1}}}));
        settle().await;
        assert_eq!(client.told()[0]["code"], "UNAVAILABLE");
        rig.publish("n:1", 10).await;
        settle().await;
        let frames = client.take();
        assert_eq!((frames.len(), &frames[1]["t"], &frames[1]["tp"]), (2, &json!("m"), &json!("n:1")), "{frames:?}");
        client.request("unsubscribe", all());
        settle().await;
        assert_eq!((rig.bus.health().patterns, rig.bus.health().topics), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_pattern_left_and_followed_again_tells_each_birth_once_and_in_order() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let client = rig.connect();
        follows(&rig, &client, all()).await;
        rig.bus.hold(Call::Subscribe, true);
        rig.publish("n:1", 10).await;
        settle().await;
        assert_eq!(rig.bus.calls(Call::Subscribe), 1, "its birth is being joined");
        client.request("unsubscribe", all());
        client.request("subscribe", all());
        settle().await;
        for n in 2..=5 {
            rig.publish(&format!("n:{n}"), 10).await;
            settle().await;
        }
        rig.bus.hold(Call::Subscribe, false);
        settle().await;
        let frames = client.take();
        let told: Vec<_> =
            frames.iter().filter(|frame| frame["t"] == "subscription_update").map(|update| update["p"]["topics"][0].clone()).collect();
        assert_eq!(told[0]["status"], "unsubscribed");
        let births = born(&told[1..]);
        assert!(births.is_sorted_by_key(|(seq, _)| *seq), "{births:?}");
        let mut topics: Vec<_> = births.into_iter().map(|(_, topic)| topic).collect();
        topics.sort();
        assert_eq!(topics, ["n:1", "n:2", "n:3", "n:4", "n:5"]);
        let messages = frames.iter().filter(|frame| frame["t"] == "m").count();
        for n in 1..=5 {
            rig.publish(&format!("n:{n}"), 10).await;
        }
        assert_eq!(client.take().len(), 5, "every topic is joined; {messages} came before");
    })
    .await;
}

#[tokio::test]
async fn a_birth_that_is_given_up_while_it_is_joined_leaves_nothing() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let client = rig.connect();
        for held in [Call::Subscribe, Call::History] {
            follows(&rig, &client, all()).await;
            let before = rig.bus.calls(held);
            rig.bus.hold(held, true);
            rig.publish(&format!("n:{held:?}"), 10).await;
            settle().await;
            assert_eq!(rig.bus.calls(held), before + 1, "its birth is being joined");
            client.request("unsubscribe", all());
            rig.bus.hold(held, false);
            settle().await;
            let told = client.told();
            assert_eq!((told.len(), &told[0]["status"]), (1, &json!("unsubscribed")), "{told:?}");
            rig.publish(&format!("n:{held:?}"), 10).await;
            assert_eq!((client.take().len(), rig.bus.health().topics, rig.bus.health().patterns), (0, 0, 0));
        }
    })
    .await;
}

#[tokio::test]
async fn a_birth_that_cannot_be_joined_is_told_as_lost_and_later_ones_are_joined() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let client = rig.connect();
        follows(&rig, &client, all()).await;
        rig.bus.fail(Call::Subscribe, 1);
        rig.publish("n:1", 10).await;
        rig.publish("n:2", 10).await;
        settle().await;
        let told = client.told();
        assert_eq!((&told[0]["status"], &told[0]["reason"], &told[0]["seq"]), (&json!("resync"), &json!("births"), &json!(1)), "{told:?}");
        assert_eq!(born(&told[1..]), [(2, "n:2".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn the_birth_of_a_topic_that_is_asked_for_by_name_is_joined_where_no_other_has_a_place() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig { pattern_topics: 2, ..EngineConfig::default() });
        let client = rig.connect();
        follows(&rig, &client, all()).await;
        rig.publish("n:1", 10).await;
        client.request("subscribe", json!({"topics": ["n:2"]}));
        settle().await;
        client.take();
        rig.publish("n:2", 10).await;
        settle().await;
        assert_eq!(born(&client.told()), [(2, "n:2".to_owned())]);
        rig.publish("n:3", 10).await;
        settle().await;
        let told = client.told();
        assert_eq!((&told[0]["status"], &told[0]["reason"]), (&json!("resync"), &json!("births")), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn births_that_nobody_reads_of_wait_within_a_bound_and_past_it_are_told_as_lost() {
    on_a_shard(async {
        let mut config = EngineConfig::default();
        (config.pattern_topics, config.session.outbound_bytes) = (20, 4_000);
        let mut rig = Rig::new(&config);
        let client = rig.connect();
        follows(&rig, &client, all()).await;
        for n in 1..=500 {
            rig.publish(&format!("n:{n}"), 10).await;
            settle().await;
            assert!(client.connection.session().waiting_bytes() <= 4_000, "after {n}");
        }
        let lost = rig.shard.counters.births_lost.load(Relaxed);
        assert!(lost > 0, "they were counted");
        let mut told = Vec::new();
        for _ in 0..50 {
            told.extend(client.told());
            settle().await;
        }
        let news: Vec<_> = told.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        assert!(news.is_sorted() && news.last() == Some(&500), "{news:?}");
        assert!(told.iter().any(|entry| entry["status"] == "resync" && entry["reason"] == "births"), "{told:?}");
        assert_eq!(born(&told).len(), client.connection.topics.borrow().len());
    })
    .await;
}

#[tokio::test]
async fn a_pattern_that_is_asked_for_again_without_positions_loses_nothing_that_waits_of_its_topics() {
    on_a_shard(async {
        let mut config = EngineConfig::default();
        config.session.outbound_bytes = 4_000;
        let mut rig = Rig::new(&config);
        let client = rig.connect();
        follows(&rig, &client, all()).await;
        // Of the first all waits, of the second more than has room.
        for (topic, messages, bytes) in [("n:1", 5, 10), ("n:2", 20, 1_000)] {
            rig.publish(topic, bytes).await;
            settle().await;
            assert_eq!(client.take().iter().filter(|frame| frame["t"] == "m").count(), 1, "its birth, and its first message");
            for _ in 1..messages {
                rig.publish(topic, bytes).await;
            }
            client.request("subscribe", all());
            settle().await;
            let mut frames = client.take();
            let told = frames.remove(0)["p"]["topics"][0]["topics"].clone();
            let entry = told.as_array().unwrap().iter().find(|entry| entry["tp"] == topic).unwrap();
            assert_eq!((&entry["status"], &entry["seq"]), (&json!("live"), &json!(1)), "it is where the client is: {told}");
            for _ in 0..messages {
                settle().await;
                frames.extend(client.take());
            }
            let seqs: Vec<_> = frames.iter().filter(|frame| frame["t"] == "m").map(|frame| frame["seq"].as_u64().unwrap()).collect();
            assert_eq!(seqs, (2..=messages).collect::<Vec<_>>());
        }
    })
    .await;
}
