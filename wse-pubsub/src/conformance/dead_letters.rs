//! Dead letters: a bounded list that is looked at, replayed and emptied (G5).
use super::{make_one, roomy};
use crate::conformance::{Factory, Setup};
use crate::{Bus, Claim, DeadLetter, DeadLetterLimits};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use wse_protocol::UnixMillis;

/// A letter with this id.
#[must_use]
pub fn letter(id: &str, payload: &str) -> DeadLetter {
    DeadLetter {
        id: id.into(),
        at: UnixMillis(1_700_000_000_000),
        attempts: 0,
        user: Some("ada".into()),
        event_type: "order".into(),
        message_id: None,
        error: "it failed".into(),
        payload: payload.as_bytes().to_vec().into(),
    }
}

async fn ids(bus: &Arc<dyn Bus>) -> Vec<String> {
    bus.dead_letters(100).await.expect("the bus answers").into_iter().map(|letter| letter.id.to_string()).collect()
}

/// In their order, whole; one replay at a time; a claim is given back or lapses.
pub async fn dead_letters_are_listed_claimed_and_removed(factory: &dyn Factory) {
    let dead_letters = DeadLetterLimits { claim: Duration::from_millis(300), ..DeadLetterLimits::default() };
    let (bus, _receiver) = make_one(factory, Setup { dead_letters, ..roomy() }).await;
    let plain = DeadLetter { user: None, message_id: Some("m1".into()), ..letter("2", r#"{"b":[1,2]}"#) };
    for one in [&letter("1", "1"), &plain, &letter("3", "null"), &letter("1", "again")] {
        assert_eq!(bus.bury(one).await.expect("the bus answers"), 0);
    }
    assert_eq!(bus.dead_letters(2).await.expect("the bus answers"), [letter("1", "1"), plain.clone()]);
    let claimed = Claim::Letter(DeadLetter { attempts: 1, ..plain.clone() });
    assert_eq!(bus.claim_dead_letter("2").await.expect("the bus answers"), claimed);
    assert_eq!(bus.claim_dead_letter("2").await.expect("the bus answers"), Claim::Taken);
    bus.release_dead_letter("2").await.expect("the bus answers");
    let claimed = Claim::Letter(DeadLetter { attempts: 2, ..plain.clone() });
    assert_eq!(bus.claim_dead_letter("2").await.expect("the bus answers"), claimed);
    sleep(Duration::from_millis(400)).await;
    assert!(matches!(bus.claim_dead_letter("2").await, Ok(Claim::Letter(_))), "the claim has lapsed");
    assert!(bus.remove_dead_letter("2").await.expect("the bus answers"));
    assert!(!bus.remove_dead_letter("2").await.expect("the bus answers"));
    assert_eq!(bus.claim_dead_letter("2").await.expect("the bus answers"), Claim::Gone);
    bus.release_dead_letter("2").await.expect("the bus answers");
    assert_eq!(ids(&bus).await, ["1", "3"]);
}

/// By count, bytes and age, the oldest first; told how many.
pub async fn dead_letters_are_bounded(factory: &dyn Factory) {
    let dead_letters = DeadLetterLimits { letters: 3, bytes: 2000, age: Duration::from_millis(500), ..DeadLetterLimits::default() };
    let (bus, _receiver) = make_one(factory, Setup { dead_letters, ..roomy() }).await;
    let mut dropped = 0;
    for id in ["1", "2", "3", "4"] {
        dropped += bus.bury(&letter(id, "1")).await.expect("the bus answers");
    }
    assert_eq!((ids(&bus).await, dropped), (["2", "3", "4"].map(String::from).to_vec(), 1));
    assert_eq!(bus.bury(&letter("5", &"x".repeat(1600))).await.expect("the bus answers"), 2, "one for the count, one for the bytes");
    assert_eq!(ids(&bus).await, ["4", "5"]);
    sleep(Duration::from_millis(700)).await;
    assert!(ids(&bus).await.is_empty());
    bus.bury(&letter("6", "1")).await.expect("the bus answers");
    assert_eq!(ids(&bus).await, ["6"]);
}
