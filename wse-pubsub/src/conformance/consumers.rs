//! Several consumers, batches, and how a consumer takes (G1, G5).
use super::{ONE, after, assert_follows, entries, make_one, publication, publish_many, roomy, silent, topic};
use crate::conformance::{Factory, Setup};
use crate::{BusError, BusEvent, Consumer, NewEntry, Receipt};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tokio::time::sleep;
use wse_protocol::Topic;

const TWO: Consumer = Consumer(1);

fn batch(topics: &[&Topic], prefix: &str, count: usize) -> Vec<NewEntry> {
    let of = |number| {
        let each = |topic: &&Topic| {
            let publication = publication(&format!("{prefix}-{}-{number}", topic.as_str()));
            NewEntry { topic: (*topic).clone(), publication, retry_key: None }
        };
        topics.iter().map(each).collect::<Vec<_>>()
    };
    (0..count).flat_map(of).collect()
}

/// Two consumers: each topic reaches the queues of those that want it, beginning where each asked.
pub async fn each_consumer_gets_what_it_wants_and_no_more(factory: &dyn Factory) {
    let (bus, mut receivers) = factory.make(Setup { consumers: 2, ..roomy() }).await;
    let (both, first, none) = (topic("both"), topic("first"), topic("none"));
    let start = bus.subscribe(&both, ONE).await.expect("subscribed");
    let first_start = bus.subscribe(&first, ONE).await.expect("subscribed");
    publish_many(&bus, &both, "early", 3).await;
    assert_follows(&entries(&mut receivers[0], 3).await, &start);
    let late = bus.subscribe(&both, TWO).await.expect("subscribed");
    assert_eq!(late, after(&start, 3));
    for topic in [&both, &none, &first, &both] {
        publish_many(&bus, topic, "m", 1).await;
    }
    let of = |entries: Vec<crate::Entry>, topic: &Topic| entries.into_iter().filter(|entry| entry.topic == *topic).collect::<Vec<_>>();
    let got = entries(&mut receivers[0], 3).await;
    assert_follows(&of(got.clone(), &both), &late);
    assert_follows(&of(got, &first), &first_start);
    assert_follows(&entries(&mut receivers[1], 2).await, &late);
    bus.unsubscribe(&both, ONE);
    publish_many(&bus, &both, "m", 1).await;
    assert_follows(&entries(&mut receivers[1], 1).await, &after(&late, 2));
    silent(&mut receivers[0]).await;
    silent(&mut receivers[1]).await;
    let unknown = bus.subscribe(&both, Consumer(2)).await;
    assert!(matches!(unknown, Err(BusError::NoConsumer(Consumer(2)))), "{unknown:?}");
    assert_eq!(bus.health().topics, 2);
}

/// One consumer takes nothing: its queue is bounded, and both get everything in the end.
pub async fn a_full_queue_of_one_consumer_loses_nothing_of_the_other(factory: &dyn Factory) {
    const COUNT: usize = 200;
    let (bus, mut receivers) = factory.make(Setup { consumers: 2, handover_bytes: 4096, ..roomy() }).await;
    let topic = topic("t");
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    assert_eq!(bus.subscribe(&topic, TWO).await.expect("subscribed"), start);
    let publisher = {
        let (bus, topic) = (bus.clone(), topic.clone());
        tokio::spawn(async move { publish_many(&bus, &topic, "m", COUNT).await })
    };
    sleep(Duration::from_millis(300)).await;
    let mut slow = receivers.pop().expect("two consumers");
    let waits = slow.backlog();
    assert!(waits >= 4096 && waits <= 4096 + publication("m-199").cost(), "{waits} bytes wait");
    let one = tokio::spawn(async move { entries(&mut receivers[0], COUNT).await });
    assert_follows(&entries(&mut slow, COUNT).await, &start);
    assert_follows(&one.await.expect("no panic"), &start);
    publisher.await.expect("no panic");
}

/// However messages of several topics were mixed, what waits of one is one event.
pub async fn what_waits_of_a_topic_is_one_run(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topics = [topic("a"), topic("b")];
    for topic in &topics {
        bus.subscribe(topic, ONE).await.expect("subscribed");
    }
    let mixed = batch(&[&topics[0], &topics[1]], "m", 20);
    let bytes: usize = mixed.iter().map(|entry| entry.publication.cost()).sum();
    assert!(bus.publish_many(mixed).await.iter().all(Result::is_ok));
    while receiver.backlog() < bytes {
        sleep(Duration::from_millis(2)).await;
    }
    let mut events = Vec::new();
    assert_eq!(receiver.try_recv_many(&mut events, 40), Some(2));
    let runs = events.iter().map(|event| match event {
        BusEvent::Run(run) => (run.topic.as_str(), run.first.number(), run.publications.len(), run.last().seq.number()),
        other => panic!("not a run: {other:?}"),
    });
    let mut runs: Vec<_> = runs.collect();
    runs.sort_unstable();
    assert_eq!(runs, [("a", 1, 20, 20), ("b", 1, 20, 20)]);
    assert_eq!(receiver.try_recv_many(&mut events, 40), Some(0));
    bus.publish(&topics[0], publication("after"), None).await.expect("published");
    assert_eq!(entries(&mut receiver, 1).await[0].position.seq.number(), 21);
}

/// Outcomes stand in the batch's order; a retry key within it or before it stores once.
pub async fn a_batch_is_stored_in_order_with_an_outcome_for_each(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let (one, two) = (topic("a"), topic("b"));
    let start = bus.subscribe(&one, ONE).await.expect("subscribed");
    let mut entries_of = batch(&[&one, &two], "m", 300);
    entries_of[0].retry_key = Some("first".into());
    entries_of[4].retry_key = Some("first".into());
    let ids: Vec<_> = entries_of.iter().map(|entry| entry.publication.id.clone()).collect();
    let receipts: Vec<Receipt> = bus.publish_many(entries_of).await.into_iter().map(|outcome| outcome.expect("stored")).collect();
    assert_eq!(receipts.len(), 600);
    assert_eq!(receipts[4], receipts[0], "the same key, so the same message");
    let of = |topic: usize| (0..600).skip(topic).step_by(2).filter(|at| *at != 4);
    for topic in 0..2 {
        let mut seqs = of(topic).map(|at| receipts[at].position.seq.number());
        assert!((1..).zip(&mut seqs).all(|(wanted, seq)| wanted == seq), "in order");
        assert!(of(topic).all(|at| receipts[at].id == ids[at]));
    }
    let got = entries(&mut receiver, 299).await;
    assert_follows(&got, &start);
    assert!(got.iter().zip(of(0)).all(|(entry, at)| entry.publication.id == ids[at]));
    let again = NewEntry { topic: one.clone(), publication: publication("again"), retry_key: Some("first".into()) };
    let outcomes = bus.publish_many(vec![again]).await;
    assert!(matches!(&outcomes[..], [Ok(receipt)] if *receipt == receipts[0]), "{outcomes:?}");
    silent(&mut receiver).await;
    assert!(bus.publish_many(Vec::new()).await.is_empty());
}

/// `try_publish_many` takes from the front what needs no waiting; `publish_many` waits for the rest.
pub async fn a_batch_that_has_no_room_is_left_for_later(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, Setup { handover_bytes: 4096, ..roomy() }).await;
    let topic = topic("t");
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    let mut rest = batch(&[&topic], "m", 200);
    let done = bus.try_publish_many(&mut rest);
    assert_eq!(done.len() + rest.len(), 200);
    assert!(done.iter().all(Result::is_ok));
    if factory.publish_waits_for_hub() {
        assert!(!done.is_empty() && !rest.is_empty(), "{} done", done.len());
        assert_eq!(rest[0].publication.id.strip_prefix("m-t-"), Some(&*done.len().to_string()));
    } else {
        assert!(done.is_empty(), "a server is never asked without waiting");
    }
    let waiting = {
        let bus = bus.clone();
        tokio::spawn(async move { bus.publish_many(rest).await })
    };
    let got = entries(&mut receiver, 200).await;
    assert_follows(&got, &start);
    assert!(got.iter().enumerate().all(|(number, entry)| *entry.publication.id == *format!("m-t-{number}")));
    assert!(waiting.await.expect("no panic").iter().all(Result::is_ok));
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A loop of one's own registers a waker, which is woken when something comes.
pub async fn a_receiver_can_be_polled(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    bus.subscribe(&topic("t"), ONE).await.expect("subscribed");
    let (wakes, mut out) = (Arc::new(Count(AtomicUsize::new(0))), Vec::new());
    let waker = Waker::from(wakes.clone());
    assert_eq!(receiver.poll_recv_many(&mut Context::from_waker(&waker), &mut out, 9), Poll::Pending);
    assert_eq!(receiver.try_recv_many(&mut out, 9), Some(0));
    publish_many(&bus, &topic("t"), "m", 1).await;
    while wakes.0.load(SeqCst) == 0 {
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(receiver.poll_recv_many(&mut Context::from_waker(&waker), &mut out, 9), Poll::Ready(1));
    bus.close().await;
    assert_eq!(receiver.try_recv_many(&mut out, 9), None);
    assert_eq!(pin!(receiver.recv_many(&mut out, 9)).await, 0);
    assert_eq!(events_of(&out), 1);
}

fn events_of(out: &[BusEvent]) -> usize {
    out.iter().map(BusEvent::messages).sum()
}
