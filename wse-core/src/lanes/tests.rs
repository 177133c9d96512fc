//! Lanes against a naive model: what comes out, with what is told of, is what was put in.
use super::*;
use crate::{Numbered, Variant, Wire, WireConfig};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc};
use wse_protocol::{Format, Publication, UnixMillis};

const LIMIT: usize = 2000;

fn topic(name: usize) -> Topic {
    Topic::parse(&format!("t{name}")).expect("a name")
}

fn seq(number: u64) -> Seq {
    Seq::new(number).expect("small")
}

/// Consecutive messages of these priorities and keys after `after`.
fn chunk(name: usize, after: u64, messages: &[(usize, Option<u8>, usize)]) -> Chunk {
    let publication = |&(priority, key, size): &(usize, Option<u8>, usize)| Publication {
        id: "m".into(),
        event_type: "t".into(),
        ts: UnixMillis(0),
        expires: None,
        key: key.map(|key| key.to_string().into()),
        priority: Priority::ALL[priority],
        format: Format::Json,
        payload: format!("\"{}\"", "x".repeat(size)).into_bytes().into(),
    };
    let publications: Vec<_> = messages.iter().map(publication).collect();
    let numbered: Vec<_> =
        (after + 1..).zip(&publications).map(|(number, publication)| Numbered { seq: seq(number), previous: None, publication }).collect();
    let epoch = Epoch::parse("e").expect("short");
    Arc::new(Wire::new(WireConfig::default()).run(Variant::default(), &topic(name), &epoch, &numbered)).whole()
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, Vec<(usize, Option<u8>, usize)>),
    Pop,
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let message = (0..LEVELS, prop::option::of(0..3_u8), 0..400_usize);
    let push = (0..4_usize, prop::collection::vec(message, 1..4)).prop_map(|(name, messages)| Step::Push(name, messages));
    prop::collection::vec(prop_oneof![5 => push, 2 => Just(Step::Pop), 1 => (0..4_usize).prop_map(Step::Drop)], 1..80)
}

/// What a reader of every topic has, and what was put in.
#[derive(Default)]
struct Model {
    pushed: HashMap<usize, u64>,
    /// Everything up to it was had, told of as left out, or dropped with its topic.
    had: HashMap<usize, u64>,
}

impl Model {
    fn pop(&mut self, next: Next) {
        let (name, spans) = match next {
            Next::Frames(chunk) => {
                let text = chunk.payloads().map(|(_, payload)| String::from_utf8_lossy(&payload).into_owned()).collect::<String>();
                let name = (0..4).find(|name| text.contains(&format!("\"t{name}\""))).expect("its topic");
                (name, chunk.marks().iter().map(|mark| (mark.previous, mark.first, mark.last)).collect::<Vec<_>>())
            }
            Next::Hole(topic, _, hole) => {
                ((0..4).find(|name| self::topic(*name) == topic).expect("its topic"), vec![(hole.previous, hole.from, hole.to)])
            }
        };
        let had = self.had.entry(name).or_default();
        for (previous, first, last) in spans {
            assert_eq!((previous.number(), first.number()), (*had, *had + 1), "t{name} goes on where it was");
            *had = last.number();
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
        let (mut lanes, mut model) = (Lanes::default(), Model::default());
        for step in steps {
            match step {
                Step::Push(name, messages) => {
                    let after = *model.pushed.entry(name).or_default();
                    *model.pushed.entry(name).or_default() += messages.len() as u64;
                    let shed = lanes.push(&topic(name), policy(name), chunk(name, after, &messages), LIMIT);
                    if shed == [Shed::Full] {
                        return Ok(());
                    }
                    for word in shed {
                        let Shed::Behind { topic, after } = word else { panic!("alone") };
                        let name = (0..4).find(|name| self::topic(*name) == topic).expect("a topic");
                        prop_assert_eq!(policy(name), SlowPolicy::Recover);
                        // The log is read from there: for the model the topic goes on with it.
                        model.pushed.insert(name, after.number());
                    }
                    prop_assert!(lanes.bytes() <= LIMIT || lanes.frames() <= 1 || lanes.only.is_some());
                }
                Step::Pop => lanes.pop().into_iter().for_each(|next| model.pop(next)),
                Step::Drop(name) => {
                    lanes.drop_topic(&topic(name));
                    let pushed = model.pushed.get(&name).copied().unwrap_or_default();
                    model.had.insert(name, pushed);
                }
            }
            let waiting: usize = lanes.lanes.iter().flat_map(|lane| &lane.items).flat_map(Item::sizes).map(|(_, size)| size).sum();
            prop_assert_eq!(lanes.bytes(), waiting + lanes.only.as_ref().map_or(0, |(_, _, chunk)| chunk.len()));
        }
        while let Some(next) = lanes.pop() {
            model.pop(next);
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
        let mut lanes = Lanes::default();
        let (low, critical) = ((1, None, 100), (LEVELS - 1, None, 100));
        let first = if policy == SlowPolicy::Latest { low } else { critical };
        assert_eq!(lanes.push(&topic(0), policy, chunk(0, 0, &[first]), LIMIT), []);
        let mut behind = None;
        for n in 0..30 {
            match &lanes.push(&topic(1), SlowPolicy::Recover, chunk(1, n, &[critical]), LIMIT)[..] {
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
