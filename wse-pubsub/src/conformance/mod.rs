//! What every bus must do, as a suite that each one runs: [`conformance_suite!`](crate::conformance_suite) makes the tests.
mod consumers;
mod dead_letters;
mod direct;
mod outcomes;
mod patterns;
mod presence;

pub use consumers::*;
pub use dead_letters::*;
pub use direct::*;
pub use outcomes::*;
pub use patterns::*;
pub use presence::*;

use crate::{
    Bus, BusError, BusEvent, Consumer, DeadLetterLimits, DirectLimits, Entry, EventReceiver, History, HistoryGap, OutcomeLimits,
    PresenceLimits, Receipt,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use wse_core::log::{LogLimits, PageLimit};
use wse_protocol::{Format, Position, Priority, Publication, Seq, Topic, UnixMillis};

/// What a case asks of the bus that it runs on.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// What each log holds.
    pub history: LogLimits,
    /// What may wait for each consumer.
    pub handover_bytes: usize,
    /// How many consumers.
    pub consumers: usize,
    /// Births that a namespace remembers.
    pub births: usize,
    /// What is kept of outcomes.
    pub outcomes: OutcomeLimits,
    /// What is kept of dead letters.
    pub dead_letters: DeadLetterLimits,
    /// What is kept of messages to users and sessions.
    pub direct: DirectLimits,
    /// What is kept of members.
    pub presence: PresenceLimits,
}

/// Makes the bus under test. The test owns it; it must be empty.
#[async_trait::async_trait]
pub trait Factory: Sync {
    /// A new bus and each consumer's events.
    async fn make(&self, setup: Setup) -> (Arc<dyn Bus>, Vec<EventReceiver>);

    /// Whether the hub of this process is the only place where messages can wait, so that `publish` waits for it.
    fn publish_waits_for_hub(&self) -> bool;
}

/// Makes one test per case in a module: `conformance_suite!(memory, Factory)`, in a crate that has tokio's `macros` and
/// `rt-multi-thread`. The expression is evaluated for each case.
#[macro_export]
macro_rules! conformance_suite {
    ($module:ident, $factory:expr) => {
        $crate::conformance_suite!(@ $module, $factory,
            concurrent_publishers_get_one_order,
            events_begin_after_the_position_that_subscribe_returned,
            a_subscribe_amid_publishes_misses_none,
            no_events_without_interest,
            interest_is_counted,
            a_retry_key_stores_once,
            history_answers_since_limit_and_gaps,
            an_aged_entry_is_a_gap,
            a_full_handover_loses_nothing,
            every_field_of_a_message_arrives,
            each_consumer_gets_what_it_wants_and_no_more,
            a_full_queue_of_one_consumer_loses_nothing_of_the_other,
            what_waits_of_a_topic_is_one_run,
            a_batch_is_stored_in_order_with_an_outcome_for_each,
            a_batch_that_has_no_room_is_left_for_later,
            a_receiver_can_be_polled,
            births_follow_the_position_that_follow_returned,
            follow_lists_every_topic_of_its_namespace_alone,
            births_amid_a_follow_are_listed_or_told,
            births_while_nobody_follows_are_read_later,
            births_past_the_bound_are_a_gap,
            a_message_runs_once_and_its_repetition_gets_the_outcome,
            a_begin_that_is_asked_again_is_the_same_and_others_are_told_that_it_runs,
            a_begin_that_led_to_nothing_is_taken_back,
            of_many_that_begin_at_once_one_runs,
            a_lease_that_lapsed_makes_an_outcome_unknown_and_renewing_keeps_it,
            a_repetition_under_another_epoch_is_unknown_unless_it_is_known,
            outcomes_that_were_seen_are_forgotten_and_never_run_again,
            what_is_forgotten_for_want_of_room_is_unknown,
            producers_of_two_users_are_two,
            a_reply_too_large_to_keep_is_told_as_handled,
            outcomes_are_kept_as_they_were,
            dead_letters_are_listed_claimed_and_removed,
            dead_letters_are_bounded,
            a_bus_is_not_among_its_own_others,
            the_first_message_makes_a_users_log,
            one_who_was_away_reads_from_before_the_log,
            users_logs_have_their_own_bounds,
            a_member_of_several_incarnations_comes_once_and_leaves_once,
            of_two_that_are_equally_new_the_same_one_is_shown,
            a_member_that_moves_is_not_seen_to_leave,
            the_count_is_told_where_it_changes,
            a_topic_without_watchers_has_members_and_no_log,
            many_members_are_told_in_messages_of_bounded_size,
            a_full_topic_refuses_newcomers,
            what_a_lapsed_incarnation_holds_leaves_once_though_several_remove_it,
            an_incarnation_that_nobody_has_missed_goes_on,
            a_new_incarnation_takes_over_from_the_old_one_unseen,
            a_trimmed_log_is_a_gap_and_the_state_is_whole,
            what_is_told_after_a_state_leads_to_the_later_state,
            closing_ends_calls_and_events);
    };
    (@ $module:ident, $factory:expr, $($case:ident),*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::conformance::within_a_minute($crate::conformance::$case(&$factory)).await;
                }
            )*
        }
    };
}

/// Runs a case; panics after 60 s.
pub async fn within_a_minute(case: impl Future<Output = ()>) {
    timeout(Duration::from_secs(60), case).await.expect("the case ends within a minute");
}

fn roomy() -> Setup {
    let (outcomes, dead_letters, direct) = (OutcomeLimits::default(), DeadLetterLimits::default(), DirectLimits::default());
    let presence = PresenceLimits::default();
    Setup { history: LogLimits::default(), handover_bytes: 1 << 22, consumers: 1, births: 16_384, outcomes, dead_letters, direct, presence }
}

/// The consumer of cases that need one.
const ONE: Consumer = Consumer(0);

async fn make_one(factory: &dyn Factory, setup: Setup) -> (Arc<dyn Bus>, EventReceiver) {
    let (bus, mut receivers) = factory.make(setup).await;
    (bus, receivers.pop().expect("one consumer"))
}

/// A topic by name.
#[must_use]
pub fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a valid name")
}

/// A small publication with this id.
#[must_use]
pub fn publication(id: &str) -> Publication {
    let (id, event_type, payload) = (id.into(), "price".into(), Bytes::from_static(br#"{"x":1}"#));
    Publication { id, event_type, ts: UnixMillis(1), expires: None, key: None, priority: Priority::Normal, format: Format::Json, payload }
}

/// The next events, which hold `count` messages; panics if they take longer than 20 s or the bus closes.
pub async fn events(receiver: &mut EventReceiver, count: usize) -> Vec<BusEvent> {
    let (mut out, mut have) = (Vec::new(), 0);
    while have < count {
        let waiting = timeout(Duration::from_secs(20), receiver.recv_many(&mut out, count - have)).await;
        assert_ne!(waiting.unwrap_or_else(|_| panic!("only {have} of {count} messages came")), 0, "the bus closed");
        have = out.iter().map(BusEvent::messages).sum();
    }
    out
}

/// The next `count` entries, and nothing else.
pub async fn entries(receiver: &mut EventReceiver, count: usize) -> Vec<Entry> {
    let entries = |event| match event {
        BusEvent::Run(run) => run.into_entries(),
        other => panic!("not an entry: {other:?}"),
    };
    events(receiver, count).await.into_iter().flat_map(entries).collect()
}

async fn silent(receiver: &mut EventReceiver) {
    let mut out = Vec::new();
    let waiting = timeout(Duration::from_millis(200), receiver.recv_many(&mut out, 1)).await;
    assert!(waiting.is_err(), "nothing is to come, but {out:?} came");
}

fn assert_follows(entries: &[Entry], position: &Position) {
    let mut last = position.clone();
    for entry in entries {
        last.seq = last.seq.next();
        assert_eq!(entry.position, last, "contiguous and ascending");
    }
}

fn after(position: &Position, more: u64) -> Position {
    Position { epoch: position.epoch.clone(), seq: Seq::new(position.seq.number() + more).expect("small") }
}

async fn publish_many(bus: &Arc<dyn Bus>, topic: &Topic, prefix: &str, count: usize) -> Vec<Receipt> {
    let mut receipts = Vec::with_capacity(count);
    for number in 0..count {
        receipts.push(bus.publish(topic, publication(&format!("{prefix}-{number}")), None).await.expect("published"));
    }
    receipts
}

/// Eight publishers at once: positions are contiguous and those of the receipts, events come in their order, each publisher's own order
/// is kept.
pub async fn concurrent_publishers_get_one_order(factory: &dyn Factory) {
    const EACH: usize = 100;
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topic = topic("t");
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    let publishers: Vec<_> = (0..8)
        .map(|number| {
            let (bus, topic) = (bus.clone(), topic.clone());
            tokio::spawn(async move { publish_many(&bus, &topic, &number.to_string(), EACH).await })
        })
        .collect();
    let got = entries(&mut receiver, 8 * EACH).await;
    assert_follows(&got, &start);
    for (number, publisher) in publishers.into_iter().enumerate() {
        let receipts = publisher.await.expect("no panic");
        let prefix = format!("{number}-");
        let own = got.iter().filter(|entry| entry.publication.id.starts_with(&prefix));
        let own: Vec<_> = own.map(|entry| (&*entry.publication.id, &entry.position)).collect();
        assert_eq!(own, receipts.iter().map(|receipt| (&*receipt.id, &receipt.position)).collect::<Vec<_>>());
    }
}

/// Messages before the subscribe are in the position, those after it are events.
pub async fn events_begin_after_the_position_that_subscribe_returned(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topic = topic("t");
    publish_many(&bus, &topic, "before", 3).await;
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    assert_eq!(start.seq.number(), 3);
    let receipt = bus.publish(&topic, publication("after"), None).await.expect("published");
    assert_eq!(receipt.position, after(&start, 1));
    let got = entries(&mut receiver, 1).await;
    assert_eq!((&*got[0].publication.id, &got[0].position), ("after", &receipt.position));
    silent(&mut receiver).await;
}

/// A subscribe while others publish: the first event is the one right after its position.
pub async fn a_subscribe_amid_publishes_misses_none(factory: &dyn Factory) {
    const COUNT: usize = 300;
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topic = topic("t");
    let publisher = {
        let (bus, topic) = (bus.clone(), topic.clone());
        tokio::spawn(async move {
            for number in 0..COUNT {
                bus.publish(&topic, publication(&number.to_string()), None).await.expect("published");
                sleep(Duration::from_micros(100)).await;
            }
        })
    };
    sleep(Duration::from_millis(10)).await;
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    let missing = COUNT - usize::try_from(start.seq.number()).expect("small");
    assert_follows(&entries(&mut receiver, missing).await, &start);
    publisher.await.expect("no panic");
}

/// A topic nobody asked for is stored and not delivered.
pub async fn no_events_without_interest(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    bus.subscribe(&topic("wanted"), ONE).await.expect("subscribed");
    let other = bus.publish(&topic("other"), publication("o"), None).await.expect("published");
    bus.publish(&topic("wanted"), publication("w"), None).await.expect("published");
    assert_eq!(entries(&mut receiver, 1).await[0].topic, topic("wanted"));
    silent(&mut receiver).await;
    let since = Position { seq: Seq::ZERO, ..other.position };
    let stored = bus.history(&topic("other"), &since, PageLimit::entries(10)).await.expect("read");
    assert!(matches!(stored, History::Entries { entries, .. } if entries.len() == 1));
    assert_eq!(bus.health().topics, 1);
}

/// Events end with the last `unsubscribe` and begin again with the next `subscribe`.
pub async fn interest_is_counted(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topic = topic("t");
    bus.subscribe(&topic, ONE).await.expect("subscribed");
    bus.subscribe(&topic, ONE).await.expect("subscribed");
    bus.unsubscribe(&topic, ONE);
    bus.publish(&topic, publication("one left"), None).await.expect("published");
    assert_eq!(&*entries(&mut receiver, 1).await[0].publication.id, "one left");
    bus.unsubscribe(&topic, ONE);
    bus.publish(&topic, publication("none left"), None).await.expect("published");
    silent(&mut receiver).await;
    assert_eq!(bus.health().topics, 0);
    assert_eq!(bus.subscribe(&topic, ONE).await.expect("subscribed").seq.number(), 2);
    bus.publish(&topic, publication("back"), None).await.expect("published");
    assert_eq!(&*entries(&mut receiver, 1).await[0].publication.id, "back");
}

/// A second publish with the same key gets the first receipt and stores nothing; another topic's key is another key.
pub async fn a_retry_key_stores_once(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topic = topic("t");
    bus.subscribe(&topic, ONE).await.expect("subscribed");
    let first = bus.publish(&topic, publication("first"), Some("k")).await.expect("published");
    let again = bus.publish(&topic, publication("second"), Some("k")).await.expect("published");
    assert_eq!((again, &*first.id), (first.clone(), "first"));
    bus.publish(&self::topic("u"), publication("elsewhere"), Some("k")).await.expect("published");
    let other = bus.publish(&topic, publication("third"), Some("other")).await.expect("published");
    assert_eq!(other.position, after(&first.position, 1));
    let ids: Vec<_> = entries(&mut receiver, 2).await.iter().map(|entry| entry.publication.id.to_string()).collect();
    assert_eq!(ids, ["first", "third"]);
    silent(&mut receiver).await;
}

/// `since`, `limit`, and each reason of a gap.
pub async fn history_answers_since_limit_and_gaps(factory: &dyn Factory) {
    // Redis trims whole nodes of about 100 entries: publish several, so that every bus has trimmed.
    let history = LogLimits { messages: 10, ..LogLimits::default() };
    let (bus, _receiver) = make_one(factory, Setup { history, ..roomy() }).await;
    let topic = topic("t");
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    publish_many(&bus, &topic, "m", 500).await;
    let read = async |since: &Position, limit| bus.history(&topic, since, limit).await.expect("read");
    let History::Entries { entries, top } = read(&after(&start, 495), PageLimit::entries(3)).await else { panic!("entries are held") };
    assert_follows(&entries, &after(&start, 495));
    for (bytes, count) in [(1, 1), (publication("m-495").cost() + 1, 2)] {
        let page = read(&after(&start, 495), PageLimit { entries: 9, bytes }).await;
        assert!(matches!(&page, History::Entries { entries, .. } if entries.len() == count), "{bytes}: {page:?}");
    }
    assert_eq!((entries.len(), top.number(), &*entries[0].publication.id), (3, 500, "m-495"));
    let reason = |history| match history {
        History::Gap { top, reason } => (top.seq.number(), reason),
        History::Entries { .. } => panic!("a gap is told"),
    };
    assert_eq!(reason(read(&start, PageLimit::entries(1000)).await), (500, HistoryGap::Trimmed));
    assert_eq!(reason(read(&after(&start, 501), PageLimit::entries(9)).await), (500, HistoryGap::Fork));
    let other = Position { epoch: wse_protocol::Epoch::parse("other").expect("valid"), seq: Seq::ZERO };
    assert_eq!(reason(read(&other, PageLimit::entries(9)).await), (500, HistoryGap::Epoch));
    assert_eq!(read(&after(&start, 500), PageLimit::entries(9)).await, History::Entries { entries: vec![], top });
}

/// What is older than the log's age is a gap, and the position is still known.
pub async fn an_aged_entry_is_a_gap(factory: &dyn Factory) {
    let history = LogLimits { age: Duration::from_millis(300), ..LogLimits::default() };
    let (bus, _receiver) = make_one(factory, Setup { history, ..roomy() }).await;
    let topic = topic("t");
    let first = bus.publish(&topic, publication("old"), None).await.expect("published").position;
    let since = Position { seq: Seq::ZERO, ..first.clone() };
    assert!(
        matches!(bus.history(&topic, &since, PageLimit::entries(9)).await.expect("read"), History::Entries { entries, .. } if entries.len() == 1)
    );
    sleep(Duration::from_millis(400)).await;
    let gap = History::Gap { top: first.clone(), reason: HistoryGap::Trimmed };
    assert_eq!(bus.history(&topic, &since, PageLimit::entries(9)).await.expect("read"), gap);
    assert_eq!(bus.publish(&topic, publication("new"), None).await.expect("published").position, after(&first, 1));
}

/// A hub that takes nothing: what waits is bounded, and when it takes again everything comes, in order.
pub async fn a_full_handover_loses_nothing(factory: &dyn Factory) {
    const COUNT: usize = 200;
    let (bus, mut receiver) = make_one(factory, Setup { handover_bytes: 4096, ..roomy() }).await;
    let topic = topic("t");
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    let publisher = {
        let (bus, topic) = (bus.clone(), topic.clone());
        tokio::spawn(async move { publish_many(&bus, &topic, "m", COUNT).await })
    };
    sleep(Duration::from_millis(500)).await;
    let one = publication("m-199").cost();
    assert!(receiver.backlog() >= 4096 && receiver.backlog() <= 4096 + one, "{} bytes wait", receiver.backlog());
    assert_eq!(publisher.is_finished(), !factory.publish_waits_for_hub());
    if factory.publish_waits_for_hub() {
        assert!(bus.try_publish(&topic, publication("no room"), None).is_err());
        let unheard = bus.try_publish(&self::topic("u"), publication("u"), None);
        assert!(matches!(unheard, Ok(Ok(_))), "a topic without interest needs no room");
    }
    assert_follows(&entries(&mut receiver, COUNT).await, &start);
    publisher.await.expect("no panic");
    silent(&mut receiver).await;
}

/// Id, type, key, priority, time and a large payload, as event and as history.
pub async fn every_field_of_a_message_arrives(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topic = topic("{o}dd%:näme");
    let start = bus.subscribe(&topic, ONE).await.expect("subscribed");
    let sent = Publication {
        id: "0196-x".into(),
        event_type: "Größe".into(),
        ts: UnixMillis(1_768_473_000_123),
        expires: Some(UnixMillis(u64::MAX)),
        key: Some("k 1".into()),
        priority: Priority::Critical,
        format: Format::Json,
        payload: Bytes::from(vec![b'\n'; 1 << 20]),
    };
    bus.publish(&topic, sent.clone(), None).await.expect("published");
    let got = entries(&mut receiver, 1).await;
    assert_eq!((&*got[0].publication, &got[0].topic), (&sent, &topic));
    let History::Entries { entries, .. } = bus.history(&topic, &start, PageLimit::entries(1)).await.expect("read") else { panic!("held") };
    assert_eq!(entries, got);
}

/// Whether it serves or not; and it may say so again.
pub async fn a_bus_is_not_among_its_own_others(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    for serves in [false, true, true, false] {
        bus.serve(serves);
        assert_eq!(bus.others().await.expect("an answer"), 0);
    }
    bus.close().await;
    assert!(matches!(bus.others().await, Err(BusError::Closed)));
}

/// After `close`: what was handed over can still be taken, then the end; every call says `Closed`.
pub async fn closing_ends_calls_and_events(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let topic = topic("t");
    let position = bus.subscribe(&topic, ONE).await.expect("subscribed");
    bus.publish(&topic, publication("last"), None).await.expect("published");
    while receiver.backlog() == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    bus.close().await;
    assert_eq!(entries(&mut receiver, 1).await.len(), 1);
    assert_eq!(receiver.recv_many(&mut Vec::new(), 1).await, 0);
    assert!(matches!(bus.publish(&topic, publication("x"), None).await, Err(BusError::Closed)));
    assert!(matches!(bus.try_publish(&topic, publication("x"), None), Ok(Err(BusError::Closed))));
    assert!(matches!(bus.subscribe(&topic, ONE).await, Err(BusError::Closed)));
    assert!(matches!(bus.history(&topic, &position, PageLimit::entries(1)).await, Err(BusError::Closed)));
    assert!(!bus.health().up);
    bus.close().await;
}
