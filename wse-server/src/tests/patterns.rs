//! Patterns whose bus is slow or fails: order of births, whose interest is whose, what is told of what was lost.
use super::{Call, Client, Rig, on_a_shard, settle};
use crate::{EngineConfig, Policies, TopicPolicy, TopicScope};
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::sleep;
use wse_core::filter::Filter;
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

/// `n:1` and `n:2` are born to a client that follows their pattern, and so many subscriptions are not answered.
async fn born_while_away(failures: usize) -> (Rig, Client) {
    let mut rig = Rig::new(&EngineConfig::default());
    let client = rig.connect();
    follows(&rig, &client, all()).await;
    rig.bus.fail(Call::Subscribe, failures);
    rig.publish("n:1", 10).await;
    rig.publish("n:2", 10).await;
    (rig, client)
}

#[tokio::test(start_paused = true)]
async fn a_birth_while_the_bus_does_not_answer_is_joined_once_it_does_and_later_ones_wait_behind_it() {
    on_a_shard(async {
        let (_rig, client) = born_while_away(3).await;
        settle().await;
        assert_eq!(client.take().len(), 0, "nothing is said of it");
        sleep(Duration::from_secs(2)).await;
        settle().await;
        let (messages, updates): (Vec<_>, Vec<_>) = client.take().into_iter().partition(|frame| frame.get("tp").is_some());
        let told: Vec<_> = updates.iter().map(|update| update["p"]["topics"][0].clone()).collect();
        assert_eq!(born(&told), [(1, "n:1".to_owned()), (2, "n:2".to_owned())]);
        let came: Vec<_> = messages.iter().map(|message| (&message["tp"], &message["seq"])).collect();
        assert_eq!(came, [(&json!("n:1"), &json!(1)), (&json!("n:2"), &json!(1))]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_birth_that_cannot_be_joined_for_long_is_told_as_lost_and_later_ones_are_joined() {
    on_a_shard(async {
        let (_rig, client) = born_while_away(60).await;
        sleep(Duration::from_secs(40)).await;
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

fn by_name(filter: &Value) -> Value {
    json!({"topics": ["n:1"], "filters": {"n:1": filter}})
}

fn by_pattern(filter: &Value) -> Value {
    json!({"topics": ["n:*"], "filters": {"n:*": filter}})
}

/// A client of `n:1` by these requests.
async fn joins(rig: &Rig, requests: [Value; 2]) -> Client {
    let client = rig.connect();
    for request in requests {
        client.request("subscribe", request);
        settle().await;
        assert_eq!(client.told()[0]["status"], "live");
    }
    client
}

async fn ends_by_name(client: &Client) {
    client.request("unsubscribe", json!({"topics": ["n:1"]}));
    settle().await;
}

/// Messages of `n:1` that say these, of about so many bytes.
async fn says(rig: &mut Rig, all: &[u64], bytes: usize) {
    for x in all {
        rig.publish_payload("n:1", &json!({"x": x, "y": "y".repeat(bytes)}).to_string()).await;
    }
}

/// What the messages of `n:1` that wait say to a client that is at `at`; nothing is missing to it and nothing comes again ([P-34]).
async fn hears(client: &Client, at: &mut u64) -> Vec<u64> {
    let mut heard = Vec::new();
    for frame in client.take().iter().filter(|frame| frame["tp"] == "n:1") {
        let seq = frame["seq"].as_u64().unwrap();
        assert!(frame["ps"].as_u64().unwrap_or(seq - 1) <= *at, "at {at}: {frame}");
        assert!(*at < seq || frame["t"] == "beacon", "at {at}: {frame}");
        *at = seq;
        heard.extend(frame["p"]["x"].as_u64());
    }
    settle().await;
    heard
}

/// The same of all that comes.
async fn hears_all(client: &Client, at: &mut u64) -> Vec<u64> {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(hears(client, at).await);
    }
    all
}

#[tokio::test]
async fn a_topic_whose_subscription_by_name_ends_goes_on_with_its_patterns_filter() {
    on_a_shard(async {
        let (any, two, above) = (json!({}), json!({"x": 2}), json!({"x": {"$gt": 2}}));
        let cases: [(_, _, &[u64]); 3] = [(&two, &any, &[2, 1, 2, 3]), (&any, &two, &[1, 2, 3, 2]), (&two, &above, &[2, 3])];
        for (named, pattern, expected) in cases {
            for requests in [[by_name(named), by_pattern(pattern)], [by_pattern(pattern), by_name(named)]] {
                let mut rig = Rig::new(&EngineConfig::default());
                says(&mut rig, &[0], 0).await;
                let (reads, waits, mut at) = (joins(&rig, requests.clone()).await, joins(&rig, requests).await, 1);
                says(&mut rig, &[1, 2, 3], 0).await;
                let before = hears_all(&reads, &mut at).await;
                ends_by_name(&reads).await;
                ends_by_name(&waits).await;
                says(&mut rig, &[1, 2, 3], 0).await;
                assert_eq!([before, hears_all(&reads, &mut at).await].concat(), expected, "{named} beside {pattern}");
                assert_eq!(hears_all(&waits, &mut 1).await, expected, "{named} beside {pattern}, where all of it waits");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_behind_when_its_subscription_by_name_ends_misses_nothing_of_its_pattern() {
    on_a_shard(async {
        for read in [0, 1, 7] {
            let mut config = EngineConfig::default();
            config.session.outbound_bytes = 4_000;
            let mut rig = Rig::new(&config);
            says(&mut rig, &[0], 0).await;
            let client = joins(&rig, [by_name(&json!({"x": 2})), by_pattern(&json!({"x": {"$ne": 3}}))]).await;
            let (mut at, mut all) = (1, Vec::new());
            says(&mut rig, &[2; 10], 1_000).await;
            // Three wait, and seven are read one by one; the last read that there is to be has not arrived.
            for n in 1..=read {
                rig.bus.hold(Call::Answer, n == read);
                all.extend(hears(&client, &mut at).await);
                assert_eq!(rig.bus.calls(Call::History), n);
            }
            says(&mut rig, &[1, 2], 10).await;
            ends_by_name(&client).await;
            says(&mut rig, &[1, 2, 3, 1], 10).await;
            rig.bus.hold(Call::Answer, false);
            all.extend(hears_all(&client, &mut at).await);
            assert_eq!((&all[..10], &all[10..]), (&[2; 10][..], &[1, 2, 1, 2, 1][..]), "after {read} reads");
        }
    })
    .await;
}

#[tokio::test]
async fn a_forced_filter_holds_on_where_a_subscription_by_name_ends() {
    on_a_shard(async {
        let forced = Filter::compile_json(br#"{"x":{"$ne":3}}"#).unwrap();
        let policy = TopicPolicy { filter: Some(Arc::new(forced)), ..TopicPolicy::default() };
        let mut rig = Rig::new(&EngineConfig { policies: Policies::default().with(TopicScope::All, policy), ..EngineConfig::default() });
        says(&mut rig, &[0], 0).await;
        let client = joins(&rig, [by_name(&json!({"x": 2})), all()]).await;
        ends_by_name(&client).await;
        says(&mut rig, &[1, 2, 3, 4], 0).await;
        assert_eq!(hears_all(&client, &mut 1).await, [1, 2, 4]);
    })
    .await;
}

#[tokio::test]
async fn a_topic_that_has_no_place_for_its_patterns_filter_is_left_and_told_as_lost() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig { filter_limit: 1, ..EngineConfig::default() });
        says(&mut rig, &[0], 0).await;
        let named = by_name(&json!({"x": 2}));
        let (other, client) = (rig.connect(), joins(&rig, [named.clone(), by_pattern(&json!({"x": 1}))]).await);
        other.request("subscribe", named);
        settle().await;
        ends_by_name(&client).await;
        let told = client.told();
        assert_eq!(
            (&told[1]["tp"], &told[1]["status"], &told[1]["reason"]),
            (&json!("n:*"), &json!("resync"), &json!("births")),
            "{told:?}"
        );
        client.request("subscribe", by_pattern(&json!({"x": 1})));
        settle().await;
        assert_eq!(client.told()[0]["topics"][0]["code"], "FILTER_LIMIT");
    })
    .await;
}
