//! Lanes against a naive model: what comes out, with what is told of, is what was put in.
use super::*;
use crate::{Moment, Numbered, Variant, Wire, WireConfig};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc, time::Duration};
use wse_protocol::{Format, Publication, UnixMillis};

const LIMIT: usize = 2000;

fn topic(name: usize) -> Topic {
    Topic::parse(&format!("t{name}")).expect("a name")
}

fn seq(number: u64) -> Seq {
    Seq::new(number).expect("small")
}

/// A message: priority, key, bytes, and when it expires.
type Message = (usize, Option<u8>, usize, Option<u64>);

/// Consecutive messages after `after`; times are milliseconds after `began`.
fn chunk(began: Instant, name: usize, after: u64, messages: &[Message]) -> Chunk {
    let publication = |&(priority, key, size, until): &Message| Publication {
        id: "m".into(),
        event_type: "t".into(),
        ts: UnixMillis(0),
        expires: until.map(UnixMillis),
        key: key.map(|key| key.to_string().into()),
        priority: Priority::ALL[priority],
        format: Format::Json,
        payload: format!("\"{}\"", "x".repeat(size)).into_bytes().into(),
    };
    let publications: Vec<_> = messages.iter().map(publication).collect();
    let numbered: Vec<_> =
        (after + 1..).zip(&publications).map(|(number, publication)| Numbered { seq: seq(number), previous: None, publication }).collect();
    let epoch = Epoch::parse("e").expect("short");
    let at = Moment { now: began, unix: UnixMillis(0) };
    Arc::new(Wire::new(WireConfig::default()).run(at, Variant::default(), &topic(name), &epoch, &numbered)).whole()
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, Vec<Message>),
    Pop,
    Wait(u64),
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let message = (0..LEVELS, prop::option::of(0..3_u8), 0..400_usize, prop::option::of(0..100_u64));
    let push = (0..4_usize, prop::collection::vec(message, 1..4)).prop_map(|(name, messages)| Step::Push(name, messages));
    let drop = (0..4_usize).prop_map(Step::Drop);
    prop::collection::vec(prop_oneof![5 => push, 2 => Just(Step::Pop), 1 => (1..30_u64).prop_map(Step::Wait), 1 => drop], 1..80)
}

/// What a reader of every topic has, and what was put in.
#[derive(Default)]
struct Model {
    pushed: HashMap<usize, u64>,
    messages: HashMap<usize, Vec<Message>>,
    /// Everything up to it was had, told of as left out, or dropped with its topic.
    had: HashMap<usize, u64>,
}

impl Model {
    fn pop(&mut self, next: Next, now: Instant) {
        let (name, spans) = match next {
            Next::Frames(chunk) => {
                assert!(chunk.marks().iter().all(|mark| mark.until.is_none_or(|until| until > now)), "what has expired does not come out");
                let text = chunk.payloads().map(|(_, payload)| String::from_utf8_lossy(&payload).into_owned()).collect::<String>();
                let name = (0..4).find(|name| text.contains(&format!("\"t{name}\""))).expect("its topic");
                (name, chunk.marks().iter().map(|mark| (mark.previous, mark.first, mark.last)).collect::<Vec<_>>())
            }
            Next::Hole(topic, _, hole) => {
                let name = (0..4).find(|name| self::topic(*name) == topic).expect("its topic");
                self.judge(name, &hole);
                (name, vec![(hole.previous, hole.from, hole.to)])
            }
        };
        let had = self.had.entry(name).or_default();
        for (previous, first, last) in spans {
            assert_eq!((previous.number(), first.number()), (*had, *had + 1), "t{name} goes on where it was");
            *had = last.number();
        }
    }

    /// What is left out is what its reason allows.
    fn judge(&self, name: usize, hole: &Hole) {
        let messages = &self.messages[&name];
        for number in hole.from.number()..=hole.to.number() {
            let (message, newer) = messages[number as usize - 1..].split_first().expect("it was pushed");
            match hole.reason {
                SkipReason::DropLow => assert_ne!(Priority::ALL[message.0], Priority::Critical, "t{name}: {number}"),
                // Of whatever priority: the newer one is the state of its key.
                SkipReason::Latest => {
                    assert!(newer.iter().any(|newer| newer.1 == message.1), "t{name}: {number} was the newest of its key")
                }
                SkipReason::Ttl => assert!(message.3.is_some(), "t{name}: {number} never expires"),
                SkipReason::Other => panic!("nothing is left out for another reason"),
            }
        }
    }
}

fn policy(name: usize) -> SlowPolicy {
    [SlowPolicy::Recover, SlowPolicy::Latest, SlowPolicy::DropLow, SlowPolicy::Recover][name]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_comes_out_and_what_is_told_of_is_what_was_put_in(steps in steps()) {
        let (mut lanes, mut model, began) = (Lanes::default(), Model::default(), Moment::origin().now);
        let mut now = began;
        for step in steps {
            match step {
                Step::Push(name, messages) => {
                    let after = *model.pushed.entry(name).or_default();
                    *model.pushed.entry(name).or_default() += messages.len() as u64;
                    model.messages.entry(name).or_default().extend(&messages);
                    let shed = lanes.push(&topic(name), policy(name), chunk(began, name, after, &messages), LIMIT);
                    if shed == [Shed::Full] {
                        return Ok(());
                    }
                    for word in shed {
                        let Shed::Behind { topic, after } = word else { panic!("alone") };
                        let name = (0..4).find(|name| self::topic(*name) == topic).expect("a topic");
                        prop_assert_eq!(policy(name), SlowPolicy::Recover);
                        // The log is read from there: for the model the topic goes on with it.
                        model.pushed.insert(name, after.number());
                        model.messages.entry(name).or_default().truncate(after.number() as usize);
                    }
                    prop_assert!(lanes.bytes() <= LIMIT || lanes.frames() <= 1 || lanes.only.is_some());
                }
                Step::Pop => lanes.pop(now).into_iter().for_each(|next| model.pop(next, now)),
                Step::Wait(ms) => now += Duration::from_millis(ms),
                Step::Drop(name) => {
                    lanes.drop_topic(&topic(name));
                    let pushed = model.pushed.get(&name).copied().unwrap_or_default();
                    model.had.insert(name, pushed);
                }
            }
            let waiting: usize = lanes.lanes.iter().flat_map(|lane| &lane.items).flat_map(Item::sizes).map(|(_, size)| size).sum();
            prop_assert_eq!(lanes.bytes(), waiting + lanes.only.as_ref().map_or(0, |(_, _, chunk)| chunk.len()));
        }
        while let Some(next) = lanes.pop(now) {
            model.pop(next, now);
        }
        prop_assert_eq!((lanes.bytes(), lanes.lanes.capacity()), (0, 0), "idle it holds no memory");
        for (name, pushed) in &model.pushed {
            prop_assert_eq!(model.had.get(name).copied().unwrap_or_default(), *pushed, "all of t{}", name);
        }
    }
}

#[test]
fn a_topic_that_has_nothing_to_leave_out_does_not_end_the_connection_while_another_can() {
    for policy in [SlowPolicy::Latest, SlowPolicy::DropLow] {
        let (mut lanes, now) = (Lanes::default(), Moment::origin().now);
        let (low, critical) = ((1, None, 100, None), (LEVELS - 1, None, 100, None));
        let first = if policy == SlowPolicy::Latest { low } else { critical };
        assert_eq!(lanes.push(&topic(0), policy, chunk(now, 0, 0, &[first]), LIMIT), []);
        let mut behind = None;
        for n in 0..30 {
            match &lanes.push(&topic(1), SlowPolicy::Recover, chunk(now, 1, n, &[critical]), LIMIT)[..] {
                [] => {}
                [Shed::Behind { topic: name, after }] => {
                    assert_eq!(*name, topic(1));
                    behind = Some(*after);
                    break;
                }
                other => panic!("{policy:?}: {other:?}"),
            }
        }
        assert!(behind.is_some(), "{policy:?}");
    }
}

#[test]
fn what_expires_while_it_waits_is_one_hole_and_counted_and_what_does_not_comes() {
    let (mut lanes, began) = (Lanes::default(), Moment::origin().now);
    let (fresh, short, long) = ((2, None, 10, None), (2, None, 10, Some(50)), (2, None, 10, Some(90)));
    lanes.put(&topic(0), SlowPolicy::Recover, chunk(began, 0, 0, &[fresh, short]));
    lanes.put(&topic(0), SlowPolicy::Recover, chunk(began, 0, 2, &[short, long]));
    let mut next = |after| match lanes.pop(began + Duration::from_millis(after))? {
        Next::Frames(chunk) => Some((None, chunk.marks()[0].first.number(), chunk.marks().last()?.last.number())),
        Next::Hole(_, _, hole) => Some((Some(hole.reason), hole.from.number(), hole.to.number())),
    };
    assert_eq!([next(60), next(60), next(60)], [Some((None, 1, 1)), Some((Some(SkipReason::Ttl), 2, 3)), Some((None, 4, 4))]);
    assert_eq!((next(60), lanes.counts().expired, lanes.bytes()), (None, 2, 0));
    lanes.put(&topic(0), SlowPolicy::Recover, chunk(began, 0, 4, &[short]));
    assert!(matches!(lanes.pop(began + Duration::from_millis(50)), Some(Next::Hole(..))), "alone too");
}

#[test]
fn of_latest_the_newest_of_each_key_stays_and_what_gave_way_is_told_in_its_place() {
    let (mut lanes, now) = (Lanes::default(), Moment::origin().now);
    let (one, two) = ((2, Some(1), 500, None), (2, Some(2), 500, None));
    for (n, message) in [one, two, one, one].into_iter().enumerate() {
        assert_eq!(lanes.push(&topic(1), SlowPolicy::Latest, chunk(now, 1, n as u64, &[message]), LIMIT), []);
    }
    let mut next = || match lanes.pop(now)? {
        Next::Frames(chunk) => Some((None, chunk.marks()[0].first.number(), chunk.marks().last()?.last.number())),
        Next::Hole(_, _, hole) => Some((Some(hole.reason), hole.from.number(), hole.to.number())),
    };
    let left_out = Some(SkipReason::Latest);
    assert_eq!(
        [next(), next(), next(), next(), next()],
        [Some((left_out, 1, 1)), Some((None, 2, 2)), Some((left_out, 3, 3)), Some((None, 4, 4)), None]
    );
}
