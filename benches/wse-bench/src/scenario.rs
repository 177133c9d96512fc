//! What is run on each server of a trial: its title, how servers are compared by it, and what one run of it gives.
use crate::{
    Result,
    compare::{Gate, Measured, Sense},
    load::{Costs, Target, connects, echo, fanout, idle, ingest, topics},
};
use std::{collections::BTreeMap, time::Duration};

/// What is run on each server.
#[derive(Debug, Clone, Copy)]
pub enum Scenario {
    /// See [`fanout`].
    Fanout {
        /// The same for all.
        plan: fanout::Plan,
        /// Bytes of a message of the floor, where it is to have as many on the wire as a server that puts an envelope around.
        floor_size: Option<usize>,
    },
    /// Two fan-outs on one server, one right after the other: how much more the second costs.
    Beside {
        /// What differs between them.
        what: What,
        /// The first.
        first: topics::Plan,
        /// The second.
        second: topics::Plan,
    },
    /// See [`ingest`].
    Ingest(ingest::Plan),
    /// See [`echo`].
    Echo(echo::Plan),
    /// See [`connects`].
    Connects(connects::Plan),
    /// See [`idle`].
    Idle(idle::Plan),
}

/// What differs between two fan-outs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// How many subscribers there are.
    Growth,
    /// How many other topics there are.
    Topics,
    /// Whether other clients have stopped reading.
    Stalled,
}

impl Scenario {
    /// In words.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Fanout { plan, floor_size: None } => fanout_title(plan),
            Self::Fanout { plan, floor_size: Some(size) } => format!("{}; {size} B from the floor", fanout_title(plan)),
            Self::Beside { what, first, second } => beside_title(*what, first, second),
            Self::Ingest(plan) => format!("Ingest: {} connections send {} B messages, counted by the handler", plan.connections, plan.size),
            Self::Echo(plan) => format!("Echo: {} connection(s), one {} B message under way on each", plan.connections, plan.size),
            Self::Connects(plan) => format!("Connects: {} under way at a time, each ended when it is ready", plan.under_way),
            Self::Idle(plan) => format!("Idle: memory between {} and {} connections", plan.few, plan.many),
        }
    }

    /// What is run on one of the servers.
    pub(crate) fn on(self, name: &str) -> Self {
        match self {
            Self::Fanout { plan, floor_size: Some(size) } if name == "floor" => {
                Self::Fanout { plan: fanout::Plan { size, ..plan }, floor_size: Some(size) }
            }
            other => other,
        }
    }

    pub(crate) fn unit(&self) -> &'static str {
        match self {
            Self::Fanout { plan: fanout::Plan { drive: fanout::Drive::Rate(_), subscribers, .. }, .. } => match subscribers {
                1 => "us, p50 from publish to receive",
                _ => "us, p99 from publish to receive",
            },
            Self::Fanout { .. } => "server CPU s per 1M deliveries",
            Self::Beside { what: What::Stalled, .. } => "times the p99 where all read",
            Self::Beside { .. } => "times the CPU per delivery",
            Self::Ingest(_) => "server CPU s per 1M messages",
            Self::Echo(_) => "us, p50 of the round trip",
            Self::Connects(_) => "server CPU s per 1,000 connects",
            Self::Idle(_) => "resident bytes per connection",
        }
    }

    pub(crate) fn sense(&self) -> Sense {
        match self {
            Self::Fanout { plan: fanout::Plan { drive: fanout::Drive::Rate(_), .. }, .. } | Self::Echo(_) => Sense::Times,
            Self::Idle(_) | Self::Beside { .. } => Sense::Alone,
            _ => Sense::Share,
        }
    }

    /// What the floor reaches on a machine that does nothing else.
    pub(crate) fn gate(&self) -> Option<Gate> {
        let Self::Fanout { plan, floor_size: None } = self else { return None };
        let fanout::Drive::Saturated { burst, .. } = plan.drive else { return None };
        match (plan.size, plan.subscribers, burst) {
            (128, 100..=1000, 2..) => Some(Gate { per_cpu: 8e6 }),
            (128, 100..=1000, 1) => Some(Gate { per_cpu: 220e3 }),
            _ => None,
        }
    }

    /// Runs it once.
    ///
    /// # Errors
    /// The server is gone, refused or ended a connection.
    pub fn run(&self, target: &mut Target) -> Result<Measured> {
        Ok(match self {
            Self::Fanout { plan, .. } => of_fanout(&fanout::run(target, plan)?, plan),
            Self::Beside { what, first, second } => {
                let (before, after) = (topics::run(target, first)?, topics::run(target, second)?);
                of_pair(*what, (first, &before), (second, &after))
            }
            Self::Ingest(plan) => {
                let outcome = ingest::run(target, plan)?;
                let mut measured = of_costs(outcome.handled, &outcome.costs, 1e6);
                measured.faults[0] = outcome.lost;
                measured
            }
            Self::Echo(plan) => {
                let outcome = echo::run(target, plan)?;
                let [p50, p99, p999] = outcome.round_trip.map(|nanos| nanos as f64 / 1e3);
                let numbers = named([("p50 us", p50), ("p99 us", p99), ("p99.9 us", p999)]);
                let faults = [outcome.wrong, 0, 0];
                Measured { cost: p50, numbers, faults, ..of_costs(outcome.answers, &outcome.costs, 1e6) }
            }
            Self::Connects(plan) => {
                let outcome = connects::run(target, plan)?;
                of_costs(outcome.connects, &outcome.costs, 1e3)
            }
            Self::Idle(plan) => {
                let outcome = idle::run(target, plan)?;
                let numbers = named([
                    ("RSS MB few", outcome.few.rss as f64 / 1e6),
                    ("RSS MB many", outcome.many.rss as f64 / 1e6),
                    ("descriptors each", outcome.descriptors_each),
                ]);
                Measured { cost: outcome.bytes_each, numbers, ..Measured::default() }
            }
        })
    }
}

fn fanout_title(plan: &fanout::Plan) -> String {
    let size = plan.size;
    let mut title = match plan.drive {
        fanout::Drive::Saturated { burst: 1, window: 1 } => {
            format!("Fan-out, one message per write: {size} B to {}", subscribers(plan.subscribers))
        }
        fanout::Drive::Saturated { burst, .. } => {
            format!("Fan-out, coalesced, {burst} messages per turn: {size} B to {}", subscribers(plan.subscribers))
        }
        fanout::Drive::Rate(rate) => format!("Fan-out at {rate} messages/s: {size} B to {}", subscribers(plan.subscribers)),
        fanout::Drive::Listen => format!("Fan-out, listening: {}", subscribers(plan.subscribers)),
    };
    if plan.stalled > 0 {
        title += &format!(", beside {} that do not read", plan.stalled);
    }
    if plan.churn > 0 {
        title += &format!(", while others come and go, {} at a time", plan.churn);
    }
    if plan.warmup.as_secs() >= 1 {
        title += &format!(", after {} s of it", plan.warmup.as_secs());
    }
    if plan.measured.as_secs() >= 10 {
        title += &format!(", for {} s", plan.measured.as_secs());
    }
    title
}

fn subscribers(count: usize) -> String {
    if count == 1 { "1 subscriber".into() } else { format!("{count} subscribers") }
}

fn beside_title(what: What, first: &topics::Plan, second: &topics::Plan) -> String {
    match what {
        What::Growth => {
            let (from, to) = (first.fanout.subscribers, second.fanout.subscribers);
            format!("Growth: cost of a delivery to {to} subscribers by that to {from}, {} B", first.fanout.size)
        }
        What::Topics => {
            let to = subscribers(second.fanout.subscribers);
            format!("Topics: cost of a delivery to {to} of one topic among {} by that of the only one", second.others + 1)
        }
        What::Stalled => {
            let plan = fanout::Plan { stalled: 0, warmup: Duration::ZERO, ..second.fanout };
            let since = match second.fanout.warmup.as_secs() {
                0 => String::new(),
                seconds => format!(" and have not for {seconds} s"),
            };
            format!("Stalled: {} beside {} that do not read{since}, by where all do", fanout_title(&plan), second.fanout.stalled)
        }
    }
}

fn of_costs(events: u64, costs: &Costs, per: f64) -> Measured {
    Measured {
        cost: finite(costs.server_cpu * per / events as f64),
        rate: finite(events as f64 / costs.seconds),
        per_cpu: finite(events as f64 / costs.server_cpu),
        server: finite(costs.server_cpu / costs.seconds),
        load: finite(costs.load_cpu / costs.seconds),
        load_bound: costs.load_bound(),
        ..Measured::default()
    }
}

fn of_fanout(outcome: &fanout::Outcome, plan: &fanout::Plan) -> Measured {
    let mut measured = of_costs(outcome.deliveries, &outcome.costs, 1e6);
    let deliveries = outcome.deliveries as f64;
    measured.numbers = named([
        ("messages per read", deliveries / outcome.reads as f64),
        ("bytes each", outcome.bytes as f64 / deliveries),
        ("RSS MB", outcome.holding.rss as f64 / 1e6),
        ("descriptors", outcome.holding.descriptors as f64),
    ]);
    measured.numbers.extend(outcome.per_write().map(|per_write| ("messages per write".into(), per_write)));
    if let Some([p50, p99, p999]) = outcome.latency.map(|times| times.map(|nanos| nanos as f64 / 1e3)) {
        measured.numbers.extend(named([("p50 us", p50), ("p99 us", p99), ("p99.9 us", p999)]));
        measured.cost = if plan.subscribers == 1 { p50 } else { p99 };
    }
    if plan.churn > 0 {
        measured.numbers.insert("came and went".into(), outcome.gone as f64);
    }
    measured.numbers.extend(outcome.behind.map(|behind| ("fell behind".into(), behind as f64)));
    // At a rate or between turns the load rests; what it lacks then is not the load's doing.
    measured.load_bound &= matches!(plan.drive, fanout::Drive::Saturated { .. });
    measured.faults = [outcome.lost, outcome.whole.doubled, outcome.whole.late];
    measured
}

/// What the second costs by the first; each one's own figures are among the numbers.
fn of_pair(what: What, first: (&topics::Plan, &topics::Outcome), second: (&topics::Plan, &topics::Outcome)) -> Measured {
    let [before, after] = [first, second].map(|(plan, outcome)| of_fanout(&outcome.fanout, &plan.fanout));
    let unit = if what == What::Stalled { ["us first", "us second"] } else { ["ns first", "ns second"] };
    let scale = if what == What::Stalled { 1.0 } else { 1e3 };
    let mut numbers = named([(unit[0], before.cost * scale), (unit[1], after.cost * scale)]);
    let memory = [&before, &after].map(|side| side.numbers.get("RSS MB").copied().unwrap_or(0.0));
    numbers.extend(named([("RSS MB first", memory[0]), ("RSS MB second", memory[1])]));
    numbers.extend(after.numbers.get("fell behind").map(|behind| ("fell behind".into(), *behind)));
    if let Some([early, late]) = second.1.subscribing {
        numbers.extend(named([("us per subscription, first tenth", early * 1e6), ("us per subscription, last tenth", late * 1e6)]));
    }
    let faults = std::array::from_fn(|at| before.faults[at] + after.faults[at]);
    // The load only has to keep up with itself here: both sides are of one server under one load.
    Measured { cost: finite(after.cost / before.cost), numbers, faults, load_bound: false, rate: 0.0, per_cpu: 0.0, ..after }
}

fn named<const N: usize>(numbers: [(&str, f64); N]) -> BTreeMap<String, f64> {
    numbers.into_iter().map(|(name, number)| (name.to_owned(), finite(number))).collect()
}

/// JSON has no infinity, and a share of nothing is nothing.
fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}
