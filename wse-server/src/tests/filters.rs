//! A topic's filters: what becomes of a subscription whose change has no place ([P-24], G5).
use super::{Rig, on_a_shard, settle};
use crate::EngineConfig;
use serde_json::{Value, json};

fn asking(filter: &Value) -> Value {
    json!({"topics": ["t"], "filters": {"t": filter}})
}

#[tokio::test]
async fn a_filter_that_has_no_place_leaves_the_earlier_subscription_as_it_was() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig { filter_limit: 2, ..EngineConfig::default() });
        let (one, two) = (rig.connect(), rig.connect());
        let any = json!({"$or": [{"a": 1}, {"a": {"$exists": false}}]});
        for client in [&one, &two] {
            client.request("subscribe", asking(&any));
        }
        settle().await;
        assert_eq!((&one.told()[0]["status"], &two.told()[0]["status"]), (&json!("live"), &json!("live")));
        let other = rig.connect();
        other.request("subscribe", asking(&json!({"b": 1})));
        settle().await;
        assert_eq!(other.told()[0]["status"], "live");
        one.request("subscribe", asking(&json!({"c": 1})));
        settle().await;
        assert_eq!(one.told()[0]["code"], "FILTER_LIMIT");
        rig.publish("t", 10).await;
        for client in [&one, &two] {
            let frames = client.take();
            assert_eq!((frames.len(), &frames[0]["t"], &frames[0]["seq"]), (1, &json!("m"), &json!(1)), "{frames:?}");
        }
        // Who alone has a filter gives its place to the one that it wants instead.
        other.request("subscribe", asking(&json!({"c": 1})));
        one.request("unsubscribe", json!({"topics": ["t"]}));
        two.request("unsubscribe", json!({"topics": ["t"]}));
        settle().await;
        assert_eq!((&other.told()[0]["status"], &one.told()[0]["status"]), (&json!("live"), &json!("unsubscribed")));
        other.request("unsubscribe", json!({"topics": ["t"]}));
        settle().await;
        assert_eq!((rig.shard.counters.topics.load(std::sync::atomic::Ordering::Relaxed), other.told().len()), (0, 1));
    })
    .await;
}
