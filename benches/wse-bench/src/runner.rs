//! Trials: one scenario on several servers, pinned, interleaved round by round with the floor, which runs twice in each.
use crate::{
    Result,
    compare::{Gate, Measured, Runs, Sense},
    load::{Costs, Target, connects, echo, fanout, idle, ingest, topics},
    server::Server,
    subject::{Places, Subject},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Fan-out on one topic among many; see [`topics`].
    Topics(topics::Plan),
    /// See [`ingest`].
    Ingest(ingest::Plan),
    /// See [`echo`].
    Echo(echo::Plan),
    /// See [`connects`].
    Connects(connects::Plan),
    /// See [`idle`].
    Idle(idle::Plan),
}

/// A trial to be made.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Its name, unique within a report.
    pub id: String,
    /// The command that makes this one trial.
    pub command: String,
    /// What is run.
    pub scenario: Scenario,
    /// On what.
    pub subjects: Vec<Subject>,
    /// How often.
    pub rounds: usize,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The trial's name.
    pub id: String,
    /// What it measures, in words.
    pub title: String,
    /// The command that makes it.
    pub command: String,
    /// Unit of the costs that are compared.
    pub unit: String,
    /// How servers are compared.
    pub sense: Sense,
    /// What the floor must reach.
    pub gate: Option<Gate>,
    /// By server, the floor first where it took part.
    pub servers: Vec<Runs>,
    /// The floor's second runs, by which its first are judged.
    pub again: Runs,
}

/// The cores that are used.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// For servers.
    pub server: Option<usize>,
    /// For the load.
    pub load: Option<usize>,
}

/// Makes a trial. `tell` hears of progress.
///
/// # Errors
/// A server does not start. What fails later is told in the outcome.
pub fn run(trial: &Trial, places: &Places, cores: Cores, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    if let Some(core) = cores.load {
        crate::machine::pin(core)?;
    }
    let mut targets = Vec::new();
    for subject in &trial.subjects {
        let target = subject.start(places, cores.server)?;
        held(&target, Server::pause)?;
        targets.push(target);
    }
    let mut outcome = trial.blank();
    let has_floor = trial.subjects.first().is_some_and(|subject| subject.name == "floor") && trial.scenario.sense() != Sense::Alone;
    for round in 0..trial.rounds {
        // Another one begins each round, so that none is always behind the same neighbour.
        for turn in 0..targets.len() {
            let at = (turn + round) % targets.len();
            tell(&format!("{} {}/{} {}", trial.id, round + 1, trial.rounds, trial.subjects[at].name));
            let scenario = trial.scenario.on(trial.subjects[at].name);
            held(&targets[at], Server::resume)?;
            enter(&mut outcome.servers[at], scenario.run(&mut targets[at]));
            if at == 0 && has_floor {
                enter(&mut outcome.again, scenario.run(&mut targets[0]));
            }
            held(&targets[at], Server::pause)?;
        }
    }
    Ok(outcome)
}

fn held(target: &Target, change: impl Fn(&Server) -> Result<()>) -> Result<()> {
    target.server.as_ref().map_or(Ok(()), change)
}

fn enter(runs: &mut Runs, outcome: Result<Measured>) {
    match outcome {
        Ok(measured) => runs.runs.push(Some(measured)),
        Err(error) => {
            runs.runs.push(None);
            runs.failure = Some(error.to_string());
        }
    }
}

impl Trial {
    fn blank(&self) -> Outcome {
        let named = |name: &str| Runs { name: name.into(), ..Runs::default() };
        Outcome {
            id: self.id.clone(),
            title: self.scenario.title(),
            command: self.command.clone(),
            unit: self.scenario.unit().into(),
            sense: self.scenario.sense(),
            gate: self.scenario.gate(),
            servers: self.subjects.iter().map(|subject| named(subject.name)).collect(),
            again: named("floor"),
        }
    }
}

impl Scenario {
    /// In words.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Fanout { plan, floor_size: None } => fanout_title(plan),
            Self::Fanout { plan, floor_size: Some(size) } => format!("{}; {size} B from the floor", fanout_title(plan)),
            Self::Topics(plan) => format!("{}; {} other topics, each with a subscriber", fanout_title(&plan.fanout), plan.others),
            Self::Ingest(plan) => format!("Ingest: {} connections send {} B messages, counted by the handler", plan.connections, plan.size),
            Self::Echo(plan) => format!("Echo: {} connection(s), one {} B message under way on each", plan.connections, plan.size),
            Self::Connects(plan) => format!("Connects: {} under way at a time, each ended when it is ready", plan.under_way),
            Self::Idle(plan) => format!("Idle: memory between {} and {} connections", plan.few, plan.many),
        }
    }

    /// What is run on one of the servers.
    fn on(self, name: &str) -> Self {
        match self {
            Self::Fanout { plan, floor_size: Some(size) } if name == "floor" => {
                Self::Fanout { plan: fanout::Plan { size, ..plan }, floor_size: Some(size) }
            }
            other => other,
        }
    }

    fn unit(&self) -> &'static str {
        match self {
            Self::Fanout { plan: fanout::Plan { drive: fanout::Drive::Rate(_), subscribers, .. }, .. } => match subscribers {
                1 => "us, p50 from publish to receive",
                _ => "us, p99 from publish to receive",
            },
            Self::Fanout { .. } | Self::Topics(_) => "server CPU s per 1M deliveries",
            Self::Ingest(_) => "server CPU s per 1M messages",
            Self::Echo(_) => "us, p50 of the round trip",
            Self::Connects(_) => "server CPU s per 1,000 connects",
            Self::Idle(_) => "resident bytes per connection",
        }
    }

    fn sense(&self) -> Sense {
        match self {
            Self::Fanout { plan: fanout::Plan { drive: fanout::Drive::Rate(_), .. }, .. } | Self::Echo(_) => Sense::Times,
            Self::Idle(_) => Sense::Alone,
            _ => Sense::Share,
        }
    }

    /// What the floor reaches on a machine that does nothing else.
    fn gate(&self) -> Option<Gate> {
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
            Self::Topics(plan) => of_fanout(&topics::run(target, plan)?, &plan.fanout),
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
    let subscribers = if plan.subscribers == 1 { "1 subscriber".to_owned() } else { format!("{} subscribers", plan.subscribers) };
    let mut title = match plan.drive {
        fanout::Drive::Saturated { burst: 1, window: 1 } => {
            format!("Fan-out, one message per write: {size} B to {subscribers}")
        }
        fanout::Drive::Saturated { burst, .. } => {
            format!("Fan-out, coalesced, {burst} messages per turn: {size} B to {subscribers}")
        }
        fanout::Drive::Rate(rate) => format!("Fan-out at {rate} messages/s: {size} B to {subscribers}"),
        fanout::Drive::Listen => format!("Fan-out, listening: {subscribers}"),
    };
    if plan.stalled > 0 {
        title += &format!(", beside {} that do not read", plan.stalled);
    }
    if plan.churn > 0 {
        title += &format!(", while others come and go, {} at a time", plan.churn);
    }
    title
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
    // At a rate or between turns the load rests; what it lacks then is not the load's doing.
    measured.load_bound &= matches!(plan.drive, fanout::Drive::Saturated { .. });
    measured.faults = [outcome.lost, outcome.whole.doubled, outcome.whole.late];
    measured
}

fn named<const N: usize>(numbers: [(&str, f64); N]) -> BTreeMap<String, f64> {
    numbers.into_iter().map(|(name, number)| (name.to_owned(), finite(number))).collect()
}

/// JSON has no infinity, and a share of nothing is nothing.
fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}
