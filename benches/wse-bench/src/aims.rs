//! What is aimed for, each by the trial that shows it, and whether a report reached it.
use crate::{
    compare::Spread,
    judged::Judged,
    report::{Report, number, spread},
};

/// One aim.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// In words.
    pub what: &'static str,
    /// The trial, as the list of the full form has it.
    pub trial: &'static str,
    /// The server.
    pub server: &'static str,
    /// What of it.
    pub figure: Figure,
    /// What it is to be.
    pub bound: Bound,
}

/// Which of a server's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Against the floor.
    Ratio,
    /// Against another server.
    Against(&'static str),
    /// What the trial compares, by itself.
    Cost,
    /// Events per second.
    Rate,
    /// One of its numbers.
    Number(&'static str),
    /// Messages lost, doubled or late.
    Faults,
}

/// What it is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Or more.
    Least(f64),
    /// Or less.
    Most(f64),
}

/// What a report says of an aim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The median is there.
    Yes,
    /// It is so near that the floor against itself differs as much.
    Equal,
    /// It is not.
    No,
    /// Too few rounds, or the machine was busy.
    Uncounted,
    /// The report has no such trial, or the server failed in it.
    Missing,
}

impl Reached {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "reached",
            Self::Equal => "equal, inside the spread",
            Self::No => "not reached",
            Self::Uncounted => "does not count",
            Self::Missing => "not measured",
        }
    }
}

const fn aim(what: &'static str, trial: &'static str, server: &'static str, figure: Figure, bound: Bound) -> Aim {
    Aim { what, trial, server, figure, bound }
}

/// All of them, in the order of the page.
pub const AIMS: &[Aim] = &[
    aim("coalesced, 128 B to 100, of the floor", "fanout --seconds 0.6", "wse", Figure::Ratio, Bound::Least(0.75)),
    aim("the same to 1,000", THOUSAND, "wse", Figure::Ratio, Bound::Least(0.75)),
    aim("the same, 1 KB to 100", KILOBYTE, "wse", Figure::Ratio, Bound::Least(0.75)),
    aim("the same, 1 KB to 1,000", THOUSAND_KILOBYTE, "wse", Figure::Ratio, Bound::Least(0.75)),
    aim("one message per write, 128 B to 100, of the floor", SINGLE, "wse", Figure::Ratio, Bound::Least(0.87)),
    aim("the same to 1,000", SINGLE_THOUSAND, "wse", Figure::Ratio, Bound::Least(0.87)),
    aim("the same, 1 KB to 100", SINGLE_KILOBYTE, "wse", Figure::Ratio, Bound::Least(0.87)),
    aim("100,000 deliveries/s to 100: p99, times the floor's", "fanout --seconds 0.6 --rate 1000", "wse", Figure::Ratio, Bound::Most(1.5)),
    aim(
        "through Python, coalesced, 128 B: of the Rust server",
        "fanout --seconds 0.6",
        "wse-python",
        Figure::Against("wse"),
        Bound::Least(1.0),
    ),
    aim("through Python, coalesced, 1 KB: of the Rust server", KILOBYTE, "wse-python", Figure::Against("wse"), Bound::Least(1.0)),
    aim("through Python, one per write: of the Rust server", SINGLE, "wse-python", Figure::Against("wse"), Bound::Least(1.0)),
    aim(
        "through Python, p99 at a rate: times the Rust server's",
        "fanout --seconds 0.6 --rate 1000",
        "wse-python",
        Figure::Against("wse"),
        Bound::Most(1.0),
    ),
    aim("one subscriber, MessagePack of 1 KB in bursts of 10,000: messages/s", PACKED, "wse-packed", Figure::Rate, Bound::Least(1.1e6)),
    aim("the same through Python", PACKED, "wse-python-packed", Figure::Rate, Bound::Least(1.1e6)),
    aim("dicts from Python to one subscriber, 1 KB, for 60 s: messages/s", SUSTAINED, "wse-dicts", Figure::Rate, Bound::Least(285e3)),
    aim("publish to received, one subscriber: p50, times the floor's", LATENCY, "wse", Figure::Ratio, Bound::Most(1.2)),
    aim("the same through Python", LATENCY, "wse-python", Figure::Ratio, Bound::Most(1.2)),
    aim("echo, one connection: p50, times the floor's", "echo --seconds 0.6", "wse", Figure::Ratio, Bound::Most(1.2)),
    aim("ingest into an `async def` handler, 128 B: messages/s", "ingest --seconds 0.6", "wse-python", Figure::Rate, Bound::Least(400e3)),
    aim("ingest into a Rust handler, envelopes/s", "ingest --seconds 0.6", "wse", Figure::Rate, Bound::Least(1.5e6)),
    aim("the same in a program that uses mimalloc", ALLOCATED, "wse-mimalloc", Figure::Rate, Bound::Least(1.5e6)),
    aim("raw frames, each checked and counted: frames/s", FRAMES, "wse-frames", Figure::Rate, Bound::Least(8e6)),
    aim("of such floods lost", "ingest --seconds 0.6", "wse-python", Figure::Faults, Bound::Most(0.0)),
    aim("an idle connection, resident bytes", "idle", "wse", Figure::Cost, Bound::Most(3072.0)),
    aim("the same under uvicorn", "idle", "wse-python", Figure::Cost, Bound::Most(3072.0)),
    aim("an idle connection, descriptors", "idle", "wse", Figure::Number("descriptors each"), Bound::Most(1.0)),
    aim("connects, Rust listener, of the floor", CONNECTS, "wse", Figure::Ratio, Bound::Least(0.7)),
    aim("connects under uvicorn, of uvicorn's own", CONNECTS, "wse-python", Figure::Against("uvicorn"), Bound::Least(0.9)),
    aim("cost of a delivery to 10,000 by that to 1,000", GROWTH, "wse", Figure::Cost, Bound::Most(1.2)),
    aim(
        "cost of a delivery of one topic among 100,000",
        "topics --seconds 0.6 --rounds 27 --servers wse,wse-python",
        "wse",
        Figure::Cost,
        Bound::Most(1.1),
    ),
    aim("beside 1,000 stalled readers of 2,000: p99, times that where all read", STALLED, "wse", Figure::Cost, Bound::Most(1.5)),
    aim("the same through Python", STALLED, "wse-python", Figure::Cost, Bound::Most(1.5)),
    aim("the same while they fall behind", "stalled --seconds 2 --servers wse,wse-python", "wse", Figure::Cost, Bound::Most(1.5)),
];

const STALLED: &str = "stalled --seconds 2 --warmup 3 --servers wse,wse-python";

const KILOBYTE: &str = "fanout --seconds 0.6 --size 1024 --servers floor,bare,wse,wse-python";
const THOUSAND: &str = "fanout --seconds 0.6 --subscribers 1000 --servers floor,bare,wse,wse-python";
const THOUSAND_KILOBYTE: &str = "fanout --seconds 0.6 --subscribers 1000 --size 1024 --servers floor,bare,wse,wse-python";
const SINGLE: &str = "fanout --seconds 0.6 --burst 1";
const SINGLE_THOUSAND: &str = "fanout --seconds 0.6 --burst 1 --subscribers 1000 --servers floor,bare,wse,wse-python";
const SINGLE_KILOBYTE: &str = "fanout --seconds 0.6 --burst 1 --size 1024 --servers floor,bare,wse,wse-python";
const SUSTAINED: &str = "fanout --subscribers 1 --size 1024 --burst 1000 --seconds 60 --rounds 1 --servers wse-dicts";
const PACKED: &str = "fanout --seconds 0.6 --subscribers 1 --size 1024 --burst 10000 --servers floor,wse-packed,wse-python-packed";
const LATENCY: &str = "fanout --seconds 0.6 --rate 1000 --subscribers 1 --servers floor,bare,wse,wse-python";
const ALLOCATED: &str = "ingest --seconds 0.6 --servers floor,wse,wse-mimalloc";
const FRAMES: &str = "ingest --seconds 0.6 --servers floor,bare,wse-frames";
const CONNECTS: &str =
    "connects --seconds 0.6 --servers floor,bare,wse,wse-python,uvicorn,websockets,fastapi,picows,socketify,ws,socket.io";
const GROWTH: &str = "growth --seconds 0.6 --few 1000 --subscribers 10000 --servers floor,wse";

/// What a report has of an aim: the figure in words, and whether it reached it.
#[must_use]
pub fn reached(aim: &Aim, report: &Report) -> (String, Reached) {
    let missing = (String::new(), Reached::Missing);
    let Ok(id) = crate::plan::entry(aim.trial).map(|trial| trial.id) else { return missing };
    let Some(outcome) = report.trials.iter().find(|outcome| outcome.id == id) else { return missing };
    let judged = Judged::new(outcome);
    let Some((value, text)) = figure(aim, &judged).filter(|(value, _)| value.is_finite()) else { return missing };
    let verdict = if !judged.is_figure() { Reached::Uncounted } else { hold(aim.bound, value, judged.itself) };
    (text, verdict)
}

fn hold(bound: Bound, value: f64, itself: Option<Spread>) -> Reached {
    let near = |bound: f64| itself.is_some_and(|itself| bound > 0.0 && itself.holds(value / bound));
    match bound {
        Bound::Least(least) if value >= least => Reached::Yes,
        Bound::Most(most) if value <= most => Reached::Yes,
        Bound::Least(bound) | Bound::Most(bound) if near(bound) => Reached::Equal,
        _ => Reached::No,
    }
}

fn figure(aim: &Aim, judged: &Judged<'_>) -> Option<(f64, String)> {
    let row = judged.row(aim.server)?;
    let plain = |value: f64| Some((value, number(value)));
    match aim.figure {
        Figure::Ratio => row.ratio.map(|ratio| (ratio.median, spread(ratio))),
        Figure::Against(other) => judged.pair(aim.server, other).map(|pair| (pair.ratio.median, spread(pair.ratio))),
        Figure::Cost if row.cost.low < row.cost.high => Some((row.cost.median, spread(row.cost))),
        Figure::Cost => plain(row.cost.median),
        Figure::Rate => plain(row.rates[0]),
        Figure::Number(name) => row.numbers.get(name).copied().and_then(plain),
        Figure::Faults => plain(row.faults.iter().sum::<u64>() as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judged::tests::outcome, machine::Machine, plan};

    #[test]
    fn every_aim_has_its_trial_in_the_full_form_with_its_servers() {
        for aim in AIMS {
            assert!(plan::FULL.contains(&aim.trial), "{}", aim.trial);
            let trial = plan::entry(aim.trial).expect("valid");
            let mut needed = vec![aim.server];
            needed.extend(if let Figure::Against(other) = aim.figure { Some(other) } else { None });
            needed.extend((aim.figure == Figure::Ratio).then_some("floor"));
            for name in needed {
                assert!(trial.subjects.iter().any(|subject| subject.name == name), "{}: {name}", aim.what);
            }
        }
    }

    #[test]
    fn a_figure_inside_the_floors_own_spread_of_the_aim_is_equal_and_one_outside_is_not_reached() {
        let itself = Some(Spread { low: 0.95, median: 1.0, high: 1.05 });
        assert_eq!(hold(Bound::Least(0.75), 0.76, itself), Reached::Yes);
        assert_eq!(hold(Bound::Least(0.75), 0.73, itself), Reached::Equal);
        assert_eq!(hold(Bound::Least(0.75), 0.70, itself), Reached::No);
        assert_eq!(hold(Bound::Most(1.5), 1.55, itself), Reached::Equal);
        assert_eq!(hold(Bound::Most(1.5), 1.7, itself), Reached::No);
        assert_eq!(hold(Bound::Most(0.0), 1.0, None), Reached::No);
    }

    #[test]
    fn what_was_not_run_or_does_not_count_is_said_so() {
        let mut report = Report {
            command: String::new(),
            machine: Machine::default(),
            versions: Default::default(),
            trials: Vec::new(),
            skipped: Vec::new(),
        };
        assert_eq!(reached(&AIMS[0], &report).1, Reached::Missing);
        let mut outcome = outcome(1.0);
        outcome.id = plan::entry(AIMS[0].trial).expect("valid").id;
        report.trials.push(outcome);
        assert_eq!(reached(&AIMS[0], &report), ("0.50 (0.50-1.00)".into(), Reached::Uncounted), "three rounds");
    }
}
