//! Births logs: what `follow`, `births` and the events of a pattern must say together ([P-39]).
use super::{ONE, after, events, make_one, publication, publish_many, roomy, silent, topic};
use crate::conformance::{Factory, Setup};
use crate::{Births, Bus, BusError, BusEvent, Consumer, EventReceiver, HistoryGap};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::sleep;
use wse_protocol::{Epoch, Pattern, Position, Seq, Topic};

const TWO: Consumer = Consumer(1);

/// A pattern by name.
#[must_use]
pub fn pattern(name: &str) -> Pattern {
    Pattern::parse(name).expect("a valid pattern")
}

/// The next `count` births of a pattern, contiguous from `since`, and nothing else.
pub async fn births(receiver: &mut EventReceiver, of: &Pattern, since: &Position, count: usize) -> Vec<(Topic, Position)> {
    let mut last = since.clone();
    let born = events(receiver, count).await.into_iter().map(|event| match event {
        BusEvent::Born { pattern, position, topic, start } => {
            last.seq = last.seq.next();
            assert_eq!((&pattern, &position), (of, &last), "contiguous and ascending");
            assert_eq!(start.seq, Seq::ZERO);
            (topic, start)
        }
        other => panic!("not a birth: {other:?}"),
    });
    born.collect()
}

async fn publish(bus: &Arc<dyn Bus>, name: &str) -> Position {
    bus.publish(&topic(name), publication("m"), None).await.expect("published").position
}

fn names(topics: &[(Topic, Position)]) -> Vec<&str> {
    let mut names: Vec<_> = topics.iter().map(|(topic, _)| topic.as_str()).collect();
    names.sort_unstable();
    names
}

/// A topic is born by its first publish or subscribe, once; each consumer that follows is told.
pub async fn births_follow_the_position_that_follow_returned(factory: &dyn Factory) {
    let (bus, mut receivers) = factory.make(Setup { consumers: 2, ..roomy() }).await;
    let orders = pattern("orders:*");
    let early = bus.follow(&orders, ONE).await.expect("followed");
    assert_eq!((early.position.seq, early.topics.len(), bus.health().patterns), (Seq::ZERO, 0, 1));
    let first = publish(&bus, "orders:1").await;
    let born = births(&mut receivers[0], &orders, &early.position, 1).await;
    assert_eq!(born, [(topic("orders:1"), Position { seq: Seq::ZERO, ..first })]);
    publish(&bus, "orders:1").await;
    let late = bus.follow(&orders, TWO).await.expect("followed");
    assert_eq!(late.position, after(&early.position, 1));
    assert_eq!(late.topics, [(topic("orders:1"), after(&born[0].1, 2))]);
    let asked = bus.subscribe(&topic("orders:2"), TWO).await.expect("subscribed");
    for receiver in &mut receivers {
        assert_eq!(births(receiver, &orders, &late.position, 1).await, [(topic("orders:2"), asked.clone())]);
    }
    bus.unfollow(&orders, TWO);
    for name in ["other:1", "orders", "order:1", "orders:3"] {
        publish(&bus, name).await;
    }
    assert_eq!(names(&births(&mut receivers[0], &orders, &after(&late.position, 1), 1).await), ["orders:3"]);
    silent(&mut receivers[1]).await;
    let unknown = bus.follow(&orders, Consumer(2)).await;
    assert!(matches!(unknown, Err(BusError::NoConsumer(Consumer(2)))), "{unknown:?}");
}

/// Topics that begin otherwise, and deeper names, each where they belong; follows are counted.
pub async fn follow_lists_every_topic_of_its_namespace_alone(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    for name in ["a:1", "a:b:2", "ab:3", "a", "b:a:4", "{a}:5", "a:%7B"] {
        publish(&bus, name).await;
    }
    let following = bus.follow(&pattern("a:*"), ONE).await.expect("followed");
    assert_eq!((names(&following.topics), following.position.seq.number()), (vec!["a:%7B", "a:1", "a:b:2"], 3));
    assert_eq!(names(&bus.follow(&pattern("{a}:*"), ONE).await.expect("followed").topics), ["{a}:5"]);
    assert_eq!(bus.follow(&pattern("a:*"), ONE).await.expect("followed"), following);
    bus.unfollow(&pattern("a:*"), ONE);
    publish(&bus, "a:6").await;
    assert_eq!(names(&births(&mut receiver, &pattern("a:*"), &following.position, 1).await), ["a:6"]);
    bus.unfollow(&pattern("a:*"), ONE);
    bus.unfollow(&pattern("{a}:*"), ONE);
    publish(&bus, "a:7").await;
    silent(&mut receiver).await;
    assert_eq!(bus.health().patterns, 0);
}

/// Two follows while topics are born without pause: each topic is in the list or comes as a birth, not both.
pub async fn births_amid_a_follow_are_listed_or_told(factory: &dyn Factory) {
    const COUNT: usize = 300;
    let (bus, mut receivers) = factory.make(Setup { consumers: 2, ..roomy() }).await;
    let of = pattern("n:*");
    let publisher = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for number in 0..COUNT {
                publish(&bus, &format!("n:{number}")).await;
                sleep(Duration::from_micros(100)).await;
            }
        })
    };
    for (consumer, receiver) in [ONE, TWO].into_iter().zip(&mut receivers) {
        sleep(Duration::from_millis(10)).await;
        let following = bus.follow(&of, consumer).await.expect("followed");
        let listed = following.topics.len();
        assert_eq!(following.position.seq.number(), listed as u64);
        let told = births(receiver, &of, &following.position, COUNT - listed).await;
        let all: HashSet<_> = following.topics.iter().chain(&told).map(|(topic, _)| topic.clone()).collect();
        assert_eq!(all.len(), COUNT);
    }
    publisher.await.expect("no panic");
}

/// A follower that goes and comes back reads what was born meanwhile; a position that is not of this log is a gap.
pub async fn births_while_nobody_follows_are_read_later(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let of = pattern("n:*");
    let start = bus.follow(&of, ONE).await.expect("followed").position;
    bus.unfollow(&of, ONE);
    for name in ["n:1", "n:2", "n:3"] {
        publish(&bus, name).await;
    }
    let seq = |number| Seq::new(number).expect("small");
    let two = vec![(seq(2), topic("n:2")), (seq(3), topic("n:3"))];
    let read = async |since: &Position, limit| bus.births(&of, since, limit).await.expect("read");
    assert_eq!(read(&after(&start, 1), 9).await, Births::Topics { topics: two.clone(), top: seq(3) });
    assert_eq!(read(&after(&start, 1), 1).await, Births::Topics { topics: two[..1].to_vec(), top: seq(3) });
    assert_eq!(read(&after(&start, 3), 9).await, Births::Topics { topics: vec![], top: seq(3) });
    let top = after(&start, 3);
    assert_eq!(read(&after(&start, 4), 9).await, Births::Gap { top: top.clone(), reason: HistoryGap::Fork });
    let other = Position { epoch: Epoch::parse("other").expect("valid"), seq: Seq::ZERO };
    assert_eq!(read(&other, 9).await, Births::Gap { top: top.clone(), reason: HistoryGap::Epoch });
    assert_eq!(bus.follow(&of, ONE).await.expect("followed").position, top);
    publish(&bus, "n:4").await;
    assert_eq!(names(&births(&mut receiver, &of, &top, 1).await), ["n:4"]);
}

/// More births than a namespace remembers: the oldest cannot be read, and the topics are still listed.
pub async fn births_past_the_bound_are_a_gap(factory: &dyn Factory) {
    // Redis trims whole nodes of about 100 entries: several, so that every bus has trimmed.
    let (bus, _receiver) = make_one(factory, Setup { births: 10, ..roomy() }).await;
    let of = pattern("n:*");
    let start = bus.follow(&of, ONE).await.expect("followed").position;
    for number in 0..500 {
        publish_many(&bus, &topic(&format!("n:{number}")), "m", 1).await;
    }
    let gap = Births::Gap { top: after(&start, 500), reason: HistoryGap::Trimmed };
    assert_eq!(bus.births(&of, &start, 1000).await.expect("read"), gap);
    let Births::Topics { topics, .. } = bus.births(&of, &after(&start, 495), 9).await.expect("read") else { panic!("held") };
    assert_eq!(topics.len(), 5);
    assert_eq!(bus.follow(&of, ONE).await.expect("followed").topics.len(), 500);
}
