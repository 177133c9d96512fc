//! Outcomes of clients' messages: what `begin` and `done` must say together (clause G3).
use super::{make_one, roomy};
use crate::conformance::{Factory, Setup};
use crate::{Begin, Begun, Bus, Outcome, OutcomeLimits, Producer};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use wse_protocol::{Epoch, ErrorCode, Format, Seq};

/// A producer of a user.
#[must_use]
pub fn producer(user: Option<&str>, id: &str) -> Producer {
    Producer { user: user.map(Arc::from), id: id.into() }
}

/// The first sending of a message.
#[must_use]
pub fn first(producer: &Producer, number: u64, run: u64) -> Begin<'_> {
    Begin { producer, number: seq(number), seen: Seq::ZERO, sent: None, run, again: false }
}

/// A reply in JSON.
#[must_use]
pub fn reply(json: &str) -> Outcome {
    Outcome::Reply { format: Format::Json, payload: Bytes::copy_from_slice(json.as_bytes()) }
}

fn seq(number: u64) -> Seq {
    Seq::new(number).expect("small")
}

async fn begin(bus: &Arc<dyn Bus>, begin: Begin<'_>) -> Begun {
    bus.begin(&begin).await.expect("the bus answers")
}

async fn run(bus: &Arc<dyn Bus>, of: &Producer, number: u64, outcome: &Outcome) {
    assert_eq!(begin(bus, first(of, number, number)).await, Begun::Run, "message {number} was never sent");
    bus.done(of, seq(number), outcome).await.expect("the bus answers");
}

/// Begun once, done once; every repetition, under any epoch, gets the first outcome.
pub async fn a_message_runs_once_and_its_repetition_gets_the_outcome(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let (of, elsewhere) = (producer(Some("ada"), "p"), Epoch::parse("another").expect("short"));
    run(&bus, &of, 1, &reply(r#"{"a":1}"#)).await;
    bus.done(&of, seq(1), &reply("2")).await.expect("the bus answers");
    for sent in [None, Some(bus.producers_epoch()), Some(elsewhere)] {
        for again in [false, true] {
            let repetition = Begin { sent: sent.as_ref(), again, ..first(&of, 1, 7) };
            assert_eq!(begin(&bus, repetition).await, Begun::Done(reply(r#"{"a":1}"#)));
        }
    }
    run(&bus, &of, 2, &reply("null")).await;
}

/// The answer to a begin may be lost: the same run asks again, and has leave.
pub async fn a_begin_that_is_asked_again_is_the_same_and_others_are_told_that_it_runs(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let of = producer(None, "p");
    assert_eq!(begin(&bus, first(&of, 1, 1)).await, Begun::Run);
    assert_eq!(begin(&bus, first(&of, 1, 1)).await, Begun::Run);
    assert_eq!(begin(&bus, first(&of, 1, 2)).await, Begun::Running);
    assert_eq!(begin(&bus, Begin { again: true, ..first(&of, 1, 2) }).await, Begun::Running);
    bus.done(&of, seq(1), &reply("1")).await.expect("the bus answers");
    assert_eq!(begin(&bus, first(&of, 1, 2)).await, Begun::Done(reply("1")));
}

/// What no handler saw is as new; what one has, or had, stays.
pub async fn a_begin_that_led_to_nothing_is_taken_back(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let (of, here) = (producer(None, "p"), bus.producers_epoch());
    let repetition = |run| Begin { sent: Some(&here), ..first(&of, 1, run) };
    assert_eq!(begin(&bus, first(&of, 1, 1)).await, Begun::Run);
    bus.undo(&of, seq(1), 2).await.expect("the bus answers");
    assert_eq!(begin(&bus, repetition(3)).await, Begun::Running, "another run's begin stays");
    bus.undo(&of, seq(1), 1).await.expect("the bus answers");
    assert_eq!(begin(&bus, repetition(3)).await, Begun::Run);
    bus.done(&of, seq(1), &reply("1")).await.expect("the bus answers");
    bus.undo(&of, seq(1), 3).await.expect("the bus answers");
    assert_eq!(begin(&bus, repetition(4)).await, Begun::Done(reply("1")));
}

/// Two tabs, two workers: one of them has it.
pub async fn of_many_that_begin_at_once_one_runs(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    for number in 1..=20 {
        let tasks = (0..8).map(|run| {
            let bus = bus.clone();
            tokio::spawn(async move { begin(&bus, first(&producer(None, "p"), number, 100 + run)).await })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut runs = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Begun::Run => runs += 1,
                other => assert_eq!(other, Begun::Running),
            }
        }
        assert_eq!(runs, 1);
    }
}

/// Who is not heard of any more may have done it or not; an idempotent handler runs again.
pub async fn a_lease_that_lapsed_makes_an_outcome_unknown_and_renewing_keeps_it(factory: &dyn Factory) {
    let outcomes = OutcomeLimits { lease: Duration::from_millis(400), ..OutcomeLimits::default() };
    let (bus, _receiver) = make_one(factory, Setup { outcomes, ..roomy() }).await;
    let of = producer(None, "p");
    assert_eq!(begin(&bus, first(&of, 1, 1)).await, Begun::Run);
    for _ in 0..6 {
        sleep(Duration::from_millis(100)).await;
        bus.renew().await.expect("the bus answers");
    }
    assert_eq!(begin(&bus, first(&of, 1, 2)).await, Begun::Running);
    sleep(Duration::from_millis(600)).await;
    assert_eq!(begin(&bus, first(&of, 1, 2)).await, Begun::Unknown);
    assert_eq!(begin(&bus, Begin { again: true, ..first(&of, 1, 3) }).await, Begun::Run);
    bus.done(&of, seq(1), &reply("1")).await.expect("the bus answers");
    assert_eq!(begin(&bus, first(&of, 1, 4)).await, Begun::Done(reply("1")));
}

/// State that may have been lost is not taken for state that never was.
pub async fn a_repetition_under_another_epoch_is_unknown_unless_it_is_known(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let (of, here, elsewhere) = (producer(None, "p"), bus.producers_epoch(), Epoch::parse("another").expect("short"));
    assert_eq!(begin(&bus, Begin { sent: Some(&elsewhere), ..first(&of, 1, 1) }).await, Begun::Unknown);
    assert_eq!(begin(&bus, Begin { sent: Some(&here), ..first(&of, 1, 1) }).await, Begun::Run);
    assert_eq!(begin(&bus, Begin { sent: Some(&elsewhere), again: true, ..first(&of, 2, 1) }).await, Begun::Run);
}

/// The client says how far it has seen outcomes; a late repetition of one of these is unknown, not new.
pub async fn outcomes_that_were_seen_are_forgotten_and_never_run_again(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let of = producer(None, "p");
    for number in 1..=5 {
        run(&bus, &of, number, &reply("1")).await;
    }
    assert_eq!(begin(&bus, Begin { seen: seq(4), ..first(&of, 6, 6) }).await, Begun::Run);
    for number in 1..=4 {
        assert_eq!(begin(&bus, first(&of, number, 9)).await, Begun::Unknown);
        bus.done(&of, seq(number), &reply("2")).await.expect("the bus answers");
        assert_eq!(begin(&bus, first(&of, number, 9)).await, Begun::Unknown);
    }
    assert_eq!(begin(&bus, first(&of, 5, 9)).await, Begun::Done(reply("1")));
}

/// Every bound forgets, and what it forgot is never run again.
pub async fn what_is_forgotten_for_want_of_room_is_unknown(factory: &dyn Factory) {
    let outcomes = OutcomeLimits { messages: 4, bytes: 4096, producers: 3, budget_bytes: 10_000, ..OutcomeLimits::default() };
    let (bus, _receiver) = make_one(factory, Setup { outcomes, ..roomy() }).await;
    let (many, large, here) = (producer(None, "many"), producer(None, "large"), bus.producers_epoch());
    for number in 1..=6 {
        run(&bus, &many, number, &reply("1")).await;
    }
    let repetition = |of, number| Begin { sent: Some(&here), ..first(of, number, 99) };
    assert_eq!(begin(&bus, repetition(&many, 2)).await, Begun::Unknown);
    assert_eq!(begin(&bus, repetition(&many, 3)).await, Begun::Done(reply("1")));
    let kilobyte = format!("\"{}\"", "x".repeat(1500));
    for number in 1..=4 {
        run(&bus, &large, number, &reply(&kilobyte)).await;
    }
    assert_eq!(begin(&bus, repetition(&large, 1)).await, Begun::Unknown);
    assert_eq!(begin(&bus, repetition(&large, 4)).await, Begun::Done(reply(&kilobyte)));
    for name in ["a", "b", "c"] {
        run(&bus, &producer(None, name), 1, &reply("1")).await;
    }
    assert_eq!(begin(&bus, repetition(&many, 6)).await, Begun::Unknown, "a fourth producer made it give way");
    assert_eq!(begin(&bus, first(&producer(None, "new"), 1, 1)).await, Begun::Run, "what is sent for the first time is new");
    assert!(bus.health().outcomes_forgotten >= 5, "{:?}", bus.health());
}

/// A producer's name is its user's own.
pub async fn producers_of_two_users_are_two(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let users =
        [producer(Some("ada"), "p"), producer(Some("bob"), "p"), producer(None, "p"), producer(Some(""), "p"), producer(Some("a"), "dap")];
    for (of, answer) in users.iter().zip(["1", "2", "3", "4", "5"]) {
        run(&bus, of, 1, &reply(answer)).await;
    }
    for (of, answer) in users.iter().zip(["1", "2", "3", "4", "5"]) {
        assert_eq!(begin(&bus, first(of, 1, 9)).await, Begun::Done(reply(answer)));
    }
}

/// It is known that it was handled, if not with which reply; of an error's sentence so much is kept.
pub async fn a_reply_too_large_to_keep_is_told_as_handled(factory: &dyn Factory) {
    let outcomes = OutcomeLimits { reply_bytes: 100, ..OutcomeLimits::default() };
    let (bus, _receiver) = make_one(factory, Setup { outcomes, ..roomy() }).await;
    let of = producer(None, "p");
    run(&bus, &of, 1, &reply(&format!("\"{}\"", "x".repeat(200)))).await;
    let Begun::Done(Outcome::Error { code, .. }) = begin(&bus, first(&of, 1, 9)).await else { panic!("it is done") };
    assert_eq!(code, ErrorCode::ReplyNotKept);
    let failed = |text: String| Outcome::Error { code: ErrorCode::HandlerFailed, message: text.into() };
    run(&bus, &of, 2, &failed(format!("x{}", "é".repeat(100)))).await;
    assert_eq!(begin(&bus, first(&of, 2, 9)).await, Begun::Done(failed(format!("x{}", "é".repeat(49)))), "cut between two characters");
}

/// Replies in both formats, and errors, to the byte.
pub async fn outcomes_are_kept_as_they_were(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let of = producer(Some("größe:{1}"), "p:{}");
    let outcomes = [
        Outcome::Reply { format: Format::Msgpack, payload: Bytes::from_static(b"\x93\x00\xff\n") },
        reply("\"r e s 7\""),
        reply(""),
        Outcome::Error { code: ErrorCode::HandlerFailed, message: "it failed: \n no".into() },
        Outcome::Error { code: ErrorCode::NoHandler, message: "".into() },
    ];
    for (outcome, number) in outcomes.iter().zip(1..) {
        run(&bus, &of, number, outcome).await;
    }
    for (outcome, number) in outcomes.into_iter().zip(1..) {
        assert_eq!(begin(&bus, first(&of, number, 99)).await, Begun::Done(outcome));
    }
}
