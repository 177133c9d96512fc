//! Bounds of the store, and the laws of its indexes.
use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use wse_core::log::PageLimit;
use wse_protocol::{Format, Priority, Seq, UnixMillis};

const HOUR: Duration = Duration::from_secs(3600);

fn store(budget_bytes: usize, topics: usize) -> Store {
    Store::new(StoreLimits {
        log: LogLimits::default(),
        compress_after: Duration::from_secs(30),
        budget_bytes,
        meta_age: HOUR,
        topics,
        births: 100,
    })
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("valid")
}

fn publication(size: usize) -> Publication {
    Publication {
        id: "m".into(),
        event_type: "t".into(),
        ts: UnixMillis(0),
        expires: None,
        key: None,
        priority: Priority::Normal,
        format: Format::Json,
        payload: Bytes::from(vec![b'1'; size]),
    }
}

fn open(store: &mut Store, now: Duration, name: &str) -> TopicId {
    let topic = topic(name);
    store.find(&topic).unwrap_or_else(|| store.begin(now, &topic).0)
}

fn push(store: &mut Store, now: Duration, name: &str, size: usize) {
    let id = open(store, now, name);
    store.push(now, id, [Arc::new(publication(size))]);
}

fn log<'a>(store: &'a mut Store, now: Duration, name: &str) -> &'a TopicLog {
    let id = open(store, now, name);
    store.log(now, id)
}

fn held(store: &mut Store, now: Duration, name: &str) -> usize {
    log(store, now, name).len()
}

#[test]
fn above_the_budget_the_largest_log_gives_up_its_oldest() {
    let mut store = store(10_000, 100);
    push(&mut store, Duration::ZERO, "small", 100);
    for _ in 0..100 {
        push(&mut store, Duration::ZERO, "large", 1000);
        assert!(store.bytes <= 10_000);
    }
    assert_eq!(held(&mut store, Duration::ZERO, "small"), 1);
    assert_eq!(held(&mut store, Duration::ZERO, "large"), 8);
    assert_eq!(log(&mut store, Duration::ZERO, "large").position().seq.number(), 100);
}

#[test]
fn old_payloads_of_a_quiet_topic_are_packed_by_other_topics_calls() {
    let mut store = store(1 << 30, 100);
    (0..50).for_each(|_| push(&mut store, Duration::ZERO, "quiet", 4000));
    let (before, now) = (store.bytes, Duration::from_secs(31));
    (0..20).for_each(|_| push(&mut store, now, "busy", 1));
    assert!(store.bytes * 4 < before, "{} of {before}", store.bytes);
    assert_eq!(store.pack_counts().packed, 50);
    let run = log(&mut store, now, "quiet");
    let all = run.since(now, &Position { seq: Seq::ZERO, ..run.position() }, PageLimit::entries(99)).expect("all are held");
    assert!(all.len() == 50 && all.iter().all(|(_, held)| **held == publication(4000)));
}

#[test]
fn an_aged_topic_is_emptied_by_other_topics_calls_and_its_position_remembered_until_meta_age() {
    let mut store = store(1 << 20, 100);
    push(&mut store, Duration::ZERO, "a", 1000);
    let before = log(&mut store, Duration::ZERO, "a").position();
    push(&mut store, Duration::from_secs(301), "b", 1);
    assert!(store.bytes < 1000, "a's entry is gone");
    assert_eq!(log(&mut store, Duration::from_secs(302), "a").position(), before);
    push(&mut store, HOUR * 2, "b", 1);
    assert!(!store.ids.contains_key("a"));
    let after: Position = log(&mut store, HOUR * 2, "a").position();
    assert!(after.epoch != before.epoch && after.seq == Seq::ZERO);
}

#[test]
fn above_the_topic_bound_the_longest_unused_is_forgotten_but_never_one_with_interest() {
    let mut store = store(1 << 20, 3);
    let kept = open(&mut store, Duration::ZERO, "kept");
    store.add_interest(Duration::ZERO, kept, Consumer(0));
    for number in 0..10u64 {
        push(&mut store, Duration::from_secs(number), &format!("t{number}"), 1);
        assert!(store.slots.len() <= 3);
    }
    assert!(store.ids.contains_key("kept") && store.ids.contains_key("t9") && store.ids.contains_key("t8"));
    assert_eq!((store.by_size.len(), store.by_due.len(), store.idle.len()), (2, 3, 2));
}

#[derive(Debug, Clone)]
enum Use {
    Push(u8, u16),
    Subscribe(u8),
    Unsubscribe(u8),
    Read(u8),
    Wait(u16),
}

fn uses() -> impl Strategy<Value = Vec<Use>> {
    let topic = 0..40u8;
    let one = prop_oneof![
        5 => (topic.clone(), 0..3000u16).prop_map(|(topic, size)| Use::Push(topic, size)),
        1 => topic.clone().prop_map(Use::Subscribe),
        1 => topic.clone().prop_map(Use::Unsubscribe),
        1 => topic.prop_map(Use::Read),
        1 => (0..200u16).prop_map(Use::Wait),
    ];
    proptest::collection::vec(one, 0..200)
}

fn carry_out(store: &mut Store, now: Duration, step: &Use) {
    let name = |number: &u8| format!("n{}:{number}", number % 3);
    match step {
        Use::Push(topic, size) => push(store, now, &name(topic), usize::from(*size)),
        Use::Subscribe(topic) => {
            let id = open(store, now, &name(topic));
            store.add_interest(now, id, Consumer(0));
        }
        Use::Unsubscribe(number) => store.remove_interest(now, &topic(&name(number)), Consumer(0)),
        Use::Read(topic) => drop(log(store, now, &name(topic)).position()),
        Use::Wait(_) => {}
    }
}

/// Every key is where its rule wants it, however late it is put right.
fn assert_indexed(store: &Store, now: Duration) {
    assert_eq!(store.slots.iter().map(|(_, slot)| slot.log.bytes()).sum::<usize>(), store.bytes);
    assert!(store.bytes <= store.limits.budget_bytes);
    let wanted = store.slots.iter().filter(|(_, slot)| !slot.interests.is_empty()).count();
    assert_eq!(wanted, store.interests);
    assert!(store.slots.len() <= store.limits.topics.max(wanted + 1));
    for (id, slot) in &store.slots {
        let (size, key) = (slot.log.bytes(), slot.keys.size);
        assert!(size.abs_diff(key) <= SLACK_BYTES.max(key / 8) && (size == 0) == (key == 0));
        assert_eq!(store.by_size.contains(&(key, id)), key > 0);
        assert_eq!(store.idle.contains(&(slot.keys.idle.unwrap_or(now), id)), slot.interests.is_empty());
        assert!(slot.keys.idle.is_none_or(|key| key <= slot.used));
        let due = slot.due(store.limits.meta_age);
        assert!(due.is_none_or(|due| slot.keys.due.is_some_and(|key| key <= due && store.by_due.contains(&(key, id)))));
        assert!(slot.namespace.is_some_and(|at| store.namespaces.members(at).any(|member| member == id)));
    }
    let [sizes, dues, idles] = [store.by_size.len(), store.by_due.len(), store.idle.len()];
    assert!(sizes.max(dues).max(idles) <= store.slots.len());
}

proptest! {
    #[test]
    fn bounds_and_indexes_hold_whatever_is_done(steps in uses(), topics in 1..20usize, budget in 4000..40_000usize) {
        let mut store = store(budget, topics);
        let mut now = Duration::ZERO;
        for step in steps {
            if let Use::Wait(minutes) = step {
                now += Duration::from_secs(60 * u64::from(minutes));
            }
            carry_out(&mut store, now, &step);
            assert_indexed(&store, now);
        }
    }
}
