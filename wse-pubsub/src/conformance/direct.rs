//! Messages to users and sessions: logs that their first message makes ([P-65]).
use super::{Factory, ONE, Setup, entries, make_one, publication, publish_many, roomy, silent};
use crate::{Bus, Consumer, DirectLimits, EventReceiver, History, HistoryGap};
use std::{sync::Arc, time::Duration};
use wse_core::log::{LogLimits, PageLimit};
use wse_protocol::{Position, Seq, SessionId, Topic};

fn user(id: &str) -> Topic {
    Topic::of_user(id).expect("an id")
}

async fn all(bus: &Arc<dyn Bus>, topic: &Topic, since: &Position) -> History {
    bus.history(topic, since, PageLimit::entries(1000)).await.expect("read")
}

fn count(history: &History) -> Option<usize> {
    match history {
        History::Entries { entries, .. } => Some(entries.len()),
        History::Gap { .. } => None,
    }
}

/// Interest makes no log, and the first message comes to those with interest without a reset.
pub async fn the_first_message_makes_a_users_log(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    for topic in [user("ada"), Topic::of_session(&SessionId(7))] {
        let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
        assert_eq!(start.seq, Seq::ZERO);
        assert_eq!(all(&bus, &topic, &start).await, History::Entries { entries: vec![], top: Seq::ZERO });
        bus.unsubscribe(&topic, ONE);
        assert_eq!(bus.subscribe(&topic, ONE).await.expect("subscribed"), start, "nothing was made");
        let first = bus.publish(&topic, publication("first"), None).await.expect("published").position;
        assert!(start.epoch.precedes(&first.epoch) && first.seq.number() == 1, "{start:?} {first:?}");
        bus.publish(&topic, publication("second"), None).await.expect("published");
        let came = entries(&mut receiver, 2).await;
        assert_eq!((&came[0].position, &*came[1].publication.id), (&first, "second"));
        assert_eq!(count(&all(&bus, &topic, &start).await), Some(2));
        assert_eq!(bus.health().topics, 0, "the server's own are not counted");
    }
    silent(&mut receiver).await;
}

/// What is sent to one who is away is had from the position before the log; another life of the bus, or of the log, is told.
pub async fn one_who_was_away_reads_from_before_the_log(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let topic = user("ada");
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    bus.unsubscribe(&topic, ONE);
    publish_many(&bus, &topic, "m", 3).await;
    assert_eq!(count(&all(&bus, &topic, &start).await), Some(3));
    assert_eq!(count(&all(&bus, &user("bob"), &start).await), Some(0), "another user has none of it");
    let top = bus.subscribe(&topic, ONE).await.expect("subscribed");
    assert_eq!(top.seq.number(), 3);
    let other = Position { epoch: wse_protocol::Epoch::parse("another-life").expect("short"), seq: Seq::ZERO };
    for since in [other, Position { epoch: top.epoch.clone(), seq: Seq::new(9).expect("small") }] {
        assert!(matches!(all(&bus, &topic, &since).await, History::Gap { top: at, .. } if at == top));
    }
    assert!(matches!(all(&bus, &user("bob"), &top).await, History::Gap { reason: HistoryGap::Epoch, .. }));
}

/// Users and sessions have bounds of their own, and every consumer with interest gets what is sent.
pub async fn users_logs_have_their_own_bounds(factory: &dyn Factory) {
    let small = LogLimits { messages: 10, ..LogLimits::default() };
    let direct = DirectLimits { user: small, meta_age: Duration::from_secs(600), ..DirectLimits::default() };
    let (bus, mut receivers) = factory.make(Setup { direct, consumers: 2, ..roomy() }).await;
    let (ada, session) = (user("ada"), Topic::of_session(&SessionId(7)));
    for topic in [&ada, &session] {
        let start = bus.subscribe(topic, Consumer(0)).await.expect("subscribed");
        bus.subscribe(topic, Consumer(1)).await.expect("subscribed");
        publish_many(&bus, topic, "m", 250).await;
        let kept = count(&all(&bus, topic, &start).await);
        assert_eq!(kept, if *topic == ada { None } else { Some(250) });
    }
    for receiver in &mut receivers {
        assert_eq!(came(receiver).await, 500);
    }
    assert!(!bus.may_have_forgotten(&ada, Duration::from_secs(599)));
    assert!(bus.may_have_forgotten(&ada, Duration::from_secs(600)));
}

async fn came(receiver: &mut EventReceiver) -> usize {
    entries(receiver, 500).await.len()
}
