//! Joining and catching up, on a bus that is slow or fails.
use super::{Call, Rig, on_a_shard, settle};
use crate::EngineConfig;
use serde_json::json;
use std::time::Duration;

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
