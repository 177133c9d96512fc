//! The order contract of one log, step by step.
use super::*;
use wse_protocol::{Epoch, Format, Priority, Publication, UnixMillis};

const AHEAD: ReorderLimits = ReorderLimits { items: 4096, bytes: 256 * 1024, wait: Duration::ZERO };

fn at(epoch: &str, seq: u64) -> Position {
    Position { epoch: Epoch::parse(epoch).expect("not empty"), seq: Seq::new(seq).expect("small") }
}

fn message() -> Content {
    let (id, event_type) = ("m".into(), "t".into());
    let (key, priority, payload) = (None, Priority::Normal, Bytes::from_static(b"1"));
    Content::Message(Publication { id, event_type, ts: UnixMillis(0), expires: None, key, priority, format: Format::Json, payload }.into())
}

fn entry(epoch: &str, seq: u64) -> Rung {
    Rung { position: at(epoch, seq), content: message() }
}

/// What the server would answer: the log holds `first..=top`.
fn read(epoch: &str, first: u64, top: u64, since: &Position) -> Read {
    let follows = since.epoch.as_str() == epoch && (first..=top + 1).contains(&(since.seq.number() + 1));
    let seqs = if follows { since.seq.number() + 1..top + 1 } else { 0..0 };
    let first = if follows { since.seq.number() + 1 } else { first };
    let entries = seqs.map(|seq| (at(epoch, seq).seq, message())).collect();
    Read { top: at(epoch, top), first: at(epoch, first).seq, entries }
}

fn shown(events: &[Told]) -> Vec<String> {
    let show = |event: &Told| match event {
        Told::Entry(entry) => format!("{}{}", entry.position.epoch.as_str(), entry.position.seq.number()),
        Told::Reset(position, reason) => format!("{}>{}{}", reason.as_str(), position.epoch.as_str(), position.seq.number()),
    };
    events.iter().map(show).collect()
}

fn established(seq: u64) -> Track {
    let mut track = Track::new(Followed::Topic(Topic::parse("t").expect("valid")), AHEAD);
    assert_eq!(track.establish(at("a", seq), &mut Vec::new()), Step::Rest);
    track
}

#[test]
fn contiguous_bells_need_no_read_and_old_ones_are_dropped() {
    let (mut track, mut out) = (established(3), Vec::new());
    for seq in [3, 4, 4, 5] {
        assert_eq!(track.handle_bell(entry("a", seq), true, &mut out), Step::Rest);
    }
    assert_eq!(shown(&out), ["a4", "a5"]);
}

#[test]
fn a_lost_bell_is_read_and_what_was_rung_meanwhile_follows() {
    let (mut track, mut out) = (established(3), Vec::new());
    assert_eq!(track.handle_bell(entry("a", 6), true, &mut out), Step::Read);
    let since = track.begin_read().expect("established");
    assert_eq!(track.handle_bell(entry("a", 7), true, &mut out), Step::Rest);
    assert_eq!(track.handle_read(&since, read("a", 1, 6, &since), &mut out), Step::Rest);
    assert_eq!(shown(&out), ["a4", "a5", "a6", "a7"]);
    let one = ReorderCounts { reordered: 1, dropped: 0 };
    assert_eq!((track.take_counts(), track.take_counts()), (one, ReorderCounts::default()));
}

#[test]
fn what_was_rung_before_the_position_was_known_is_not_lost() {
    let (mut track, mut out) = (Track::new(Followed::Topic(Topic::parse("t").expect("valid")), AHEAD), Vec::new());
    for seq in 4..=6 {
        assert_eq!(track.handle_bell(entry("a", seq), true, &mut out), Step::Rest);
    }
    assert_eq!(track.establish(at("a", 4), &mut out), Step::Rest);
    assert_eq!(shown(&out), ["a5", "a6"]);
}

#[test]
fn what_was_rung_twice_during_a_read_follows_once_and_what_had_no_room_is_read_again() {
    let (mut track, mut out) = (established(3), Vec::new());
    track.suspect();
    let since = track.begin_read().expect("established");
    for seq in [4, 5, 5, 4] {
        assert_eq!(track.handle_bell(entry("a", seq), true, &mut out), Step::Rest);
    }
    assert_eq!(track.handle_read(&since, read("a", 1, 3, &since), &mut out), Step::Rest);
    assert_eq!(shown(&out), ["a4", "a5"]);
    track.suspect();
    let since = track.begin_read().expect("established");
    for seq in 6..6 + AHEAD.items as u64 {
        track.handle_bell(entry("a", seq), true, &mut out);
    }
    out.clear();
    assert_eq!(track.handle_read(&since, read("a", 1, 5, &since), &mut out), Step::Read);
    let held = out.len() as u64;
    assert!(held > 1000 && held < AHEAD.items as u64, "the bound of bytes holds {held} of them");
    let since = track.begin_read().expect("established");
    assert_eq!(track.handle_read(&since, read("a", 1, 5 + AHEAD.items as u64, &since), &mut out), Step::Rest);
    assert!(out.len() == AHEAD.items && shown(&out).iter().zip(6..).all(|(told, seq)| *told == format!("a{seq}")));
}

#[test]
fn what_was_rung_of_a_new_epoch_follows_its_reset() {
    let (mut track, mut out) = (established(5), Vec::new());
    assert_eq!(track.handle_bell(entry("b", 2), true, &mut out), Step::Read);
    let since = track.begin_read().expect("established");
    assert_eq!(track.handle_bell(entry("b", 3), true, &mut out), Step::Rest);
    let mut step = track.handle_read(&since, read("b", 1, 2, &since), &mut out);
    while step == Step::Read {
        let since = track.begin_read().expect("established");
        step = track.handle_read(&since, read("b", 1, 3, &since), &mut out);
    }
    assert_eq!(shown(&out), ["epoch>b0", "b1", "b2", "b3"]);
}

#[test]
fn without_room_a_message_is_read_later() {
    let (mut track, mut out) = (established(3), Vec::new());
    assert_eq!(track.handle_bell(entry("a", 4), false, &mut out), Step::Read);
    let since = track.begin_read().expect("established");
    assert_eq!(track.handle_read(&since, read("a", 1, 4, &since), &mut out), Step::Rest);
    assert_eq!(shown(&out), ["a4"]);
}

#[test]
fn a_new_epoch_or_a_trimmed_or_shorter_log_is_told_once() {
    for (epoch, first, top, told) in [("b", 1, 2, "epoch>b0"), ("a", 9, 10, "history>a8"), ("a", 3, 2, "fork>a2")] {
        let (mut track, mut out) = (established(5), Vec::new());
        let mut step = track.suspect();
        while step == Step::Read {
            let since = track.begin_read().expect("established");
            step = track.handle_read(&since, read(epoch, first, top, &since), &mut out);
        }
        let mut wanted = vec![told.to_owned()];
        wanted.extend((first..=top).map(|seq| format!("{epoch}{seq}")));
        assert_eq!(shown(&out), wanted);
    }
}

#[test]
fn a_bell_missed_during_the_read_makes_another_read() {
    let (mut track, mut out) = (established(3), Vec::new());
    track.suspect();
    let since = track.begin_read().expect("established");
    track.suspect();
    assert_eq!(track.handle_read(&since, read("a", 1, 3, &since), &mut out), Step::Read);
}

fn wanted(track: &Track, out: &[Told], consumer: u16) -> Vec<String> {
    let interest = track.interests.iter().find(|interest| interest.consumer == Consumer(consumer)).expect("it has interest");
    shown(&out.iter().filter(|told| interest.wants(told)).cloned().collect::<Vec<_>>())
}

/// Followed by consumer 0 up to a3.
fn followed() -> Track {
    let mut track = Track::new(Followed::parse("n:*").expect("a pattern"), AHEAD);
    track.add_interest(Consumer(0));
    track.hold();
    assert!(!track.held, "nobody else is there to be held");
    assert_eq!(track.join(&[Consumer(0)], &at("a", 3), &mut Vec::new()), Step::Rest);
    track
}

/// Followed by consumer 0 up to a3; consumer 1 comes, and is told that the log stands at `told`.
fn joined(told: Position, out: &mut Vec<Told>) -> Track {
    let mut track = followed();
    track.add_interest(Consumer(1));
    assert!(!track.interests[1].wants(&Told::Entry(entry("a", 4))), "nothing comes before it is told");
    track.hold();
    assert!(track.held, "nothing is handed over meanwhile");
    assert_eq!(track.join(&[Consumer(1)], &told, out), Step::Read);
    assert!(!track.held);
    track
}

#[test]
fn one_that_comes_later_gets_what_is_above_its_list_and_the_others_everything() {
    let mut out = Vec::new();
    let mut track = joined(at("a", 5), &mut out);
    let since = track.begin_read().expect("established");
    track.handle_read(&since, read("a", 1, 7, &since), &mut out);
    assert_eq!(wanted(&track, &out, 0), ["a4", "a5", "a6", "a7"]);
    assert_eq!(wanted(&track, &out, 1), ["a6", "a7"]);
}

#[test]
fn one_that_was_told_of_a_newer_epoch_hears_nothing_of_the_old_one() {
    let mut out = vec![Told::Entry(entry("a", 4))];
    let mut track = joined(at("b", 1), &mut out);
    let mut step = Step::Read;
    while step == Step::Read {
        let since = track.begin_read().expect("established");
        step = track.handle_read(&since, read("b", 1, 2, &since), &mut out);
    }
    assert_eq!(wanted(&track, &out, 0), ["a4", "epoch>b0", "b1", "b2"]);
    assert_eq!(wanted(&track, &out, 1), ["b2"]);
}

#[test]
fn a_second_interest_of_the_same_consumer_holds_nothing() {
    let mut track = followed();
    track.add_interest(Consumer(0));
    track.hold();
    assert!(!track.held);
    track.join(&[Consumer(0)], &at("a", 5), &mut Vec::new());
    assert_eq!(wanted(&track, &[Told::Entry(entry("a", 4))], 0), ["a4"]);
    assert!(!track.remove_interest(Consumer(0)) && track.remove_interest(Consumer(0)));
}
