//! Word of where filtered topics stand: at the latest so long after the first message that was kept back ([P-38]).
use super::{Client, Rig, on_a_shard, settle};
use crate::EngineConfig;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wse_protocol::defaults;

const BEACON: Duration = Duration::from_millis(defaults::BEACON_MS);

async fn filtering(rig: &Rig) -> Client {
    let client = rig.connect();
    client.request("subscribe", json!({"topics": ["t"], "filters": {"t": {"pass": 1}}}));
    settle().await;
    assert_eq!(client.told()[0]["status"], "live");
    client
}

/// The payload is a string or an object that passes.
async fn publish(rig: &mut Rig, passes: bool) -> Instant {
    let payload = if passes { r#"{"pass":1}"# } else { "1" };
    rig.publish_payload("t", payload).await;
    Instant::now()
}

fn beacon(frames: &[Value]) -> (u64, u64) {
    let [beacon] = frames else { panic!("one beacon: {frames:?}") };
    assert_eq!((&beacon["t"], &beacon["tp"]), (&json!("beacon"), &json!("t")));
    (beacon["seq"].as_u64().unwrap(), beacon["ps"].as_u64().unwrap())
}

#[tokio::test]
async fn a_busy_topic_of_which_nothing_passes_is_told_of_in_time_after_the_first() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let client = filtering(&rig).await;
        let first = publish(&mut rig, false).await;
        let due = rig.shard.hub.next_quiet().expect("something was kept back");
        assert!(due <= first + BEACON);
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            publish(&mut rig, false).await;
        }
        assert_eq!(rig.shard.hub.next_quiet(), Some(due), "whatever is kept back after it");
        rig.shard.hub.tell_quiet(due - Duration::from_millis(1));
        assert!(client.take().is_empty(), "not before");
        rig.shard.hub.tell_quiet(due);
        assert_eq!((beacon(&client.take()), rig.shard.hub.next_quiet()), ((21, 0), None));
    })
    .await;
}

#[tokio::test]
async fn a_message_that_passes_is_word_enough_until_the_next_one_is_kept_back() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let client = filtering(&rig).await;
        let first = publish(&mut rig, false).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        publish(&mut rig, true).await;
        assert_eq!(client.take()[0]["seq"], 2);
        rig.shard.hub.tell_quiet(first + BEACON);
        assert!(client.take().is_empty() && rig.shard.hub.next_quiet().is_none());
        publish(&mut rig, false).await;
        let due = rig.shard.hub.next_quiet().expect("something was kept back");
        assert!(due > first + BEACON);
        rig.shard.hub.tell_quiet(due);
        assert_eq!(beacon(&client.take()), (3, 2));
    })
    .await;
}

#[tokio::test]
async fn a_beacon_that_would_overtake_what_waits_is_told_later() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let client = filtering(&rig).await;
        publish(&mut rig, true).await;
        publish(&mut rig, false).await;
        let due = rig.shard.hub.next_quiet().expect("something was kept back");
        rig.shard.hub.tell_quiet(due);
        let read = client.take();
        assert_eq!((read.len(), &read[0]["seq"]), (1, &json!(1)), "{read:?}");
        rig.shard.hub.tell_positions(&client.connection);
        assert_eq!(beacon(&client.take()), (2, 1), "with the heartbeat");
        publish(&mut rig, true).await;
        publish(&mut rig, false).await;
        let due = rig.shard.hub.next_quiet().expect("what was not told is due again").max(Instant::now() + BEACON);
        rig.shard.hub.tell_quiet(due);
        client.take();
        rig.shard.hub.tell_quiet(rig.shard.hub.next_quiet().expect("it was not told"));
        assert_eq!(beacon(&client.take()), (4, 3));
    })
    .await;
}
