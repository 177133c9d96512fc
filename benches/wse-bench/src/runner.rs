//! Trials: one scenario on several servers, pinned, interleaved round by round; in each the floor runs first and last.
use crate::{
    Result,
    compare::{Gate, Measured, Runs, Sense, counted},
    load::Target,
    scenario::Scenario,
    server::Server,
    subject::{Places, Subject},
};
use serde::{Deserialize, Serialize};

/// A server whose runs fail so often in a row is run no more in that trial, so that one that hangs does not hold up the others.
const MOST_FAILURES: usize = 2;

/// Rounds that do not count are made up for, until there are so many times the rounds that were asked for: on a shared processor one in five may.
const MOST_TIMES: usize = 9;

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
    /// How often; where the floor has to reach something, so often that it did.
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
    /// What the servers run with that is not their default.
    #[serde(default)]
    pub settings: Vec<String>,
    /// By server, the floor first where it took part.
    pub servers: Vec<Runs>,
    /// The floor's last runs of each round, by which its first are judged.
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

/// Makes a trial. `tell` hears of progress. What a server fails at is told in the outcome.
///
/// # Errors
/// There is no such core.
pub fn run(trial: &Trial, places: &Places, cores: Cores, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    if let Some(core) = cores.load {
        crate::machine::pin(core)?;
    }
    let mut outcome = trial.blank();
    let mut targets: Vec<Option<Target>> = Vec::new();
    for (subject, runs) in trial.subjects.iter().zip(&mut outcome.servers) {
        let started = subject.start(places, cores.server).and_then(|target| held(&target, Server::pause).map(|()| target));
        targets.push(started.inspect_err(|error| runs.failure = Some(error.to_string())).ok());
    }
    let has_floor = trial.subjects.first().is_some_and(|subject| subject.name == "floor") && trial.scenario.sense() != Sense::Alone;
    for round in 0.. {
        let counts = if has_floor && outcome.gate.is_some() {
            counted(&outcome.servers[0], &outcome.again, outcome.gate).len()
        } else {
            trial.rounds
        };
        if !goes_on(round, trial.rounds, counts) {
            break;
        }
        for at in order(targets.len(), round, has_floor) {
            let (runs, name) = (&mut outcome.servers[at], trial.subjects[at].name);
            tell(&format!("{} {}/{} {name}", trial.id, round + 1, trial.rounds));
            let Some(target) = &mut targets[at] else {
                runs.runs.push(None);
                continue;
            };
            once(trial.scenario.on(name), target, runs);
            if runs.runs.len() >= MOST_FAILURES && runs.runs.iter().rev().take(MOST_FAILURES).all(Option::is_none) {
                targets[at] = None;
            }
        }
        if has_floor && let Some(floor) = &mut targets[0] {
            once(trial.scenario.on("floor"), floor, &mut outcome.again);
        }
    }
    Ok(outcome)
}

/// Who runs when in a round: another one begins each, so that none is always behind the same neighbour; the floor, if there is one, is
/// always first, and runs once more behind all others.
fn order(count: usize, round: usize, has_floor: bool) -> Vec<usize> {
    let fixed = usize::from(has_floor);
    let others = count - fixed;
    (0..fixed).chain((0..others).map(|turn| fixed + (turn + round) % others)).collect()
}

/// Whether there is another round after so many, of which so many count. Where none does, the machine is too slow, and more would not help.
fn goes_on(made: usize, asked: usize, counts: usize) -> bool {
    made < asked || (counts > 0 && counts < asked && made < MOST_TIMES * asked)
}

/// Lets a server go on, runs the scenario on it, and holds it.
fn once(scenario: Scenario, target: &mut Target, runs: &mut Runs) {
    enter(runs, held(target, Server::resume).and_then(|()| scenario.run(target)));
    if let Err(error) = held(target, Server::pause) {
        runs.failure = Some(error.to_string());
    }
}

fn held(target: &Target, change: impl Fn(&Server) -> Result<()>) -> Result<()> {
    target.server.as_ref().map_or(Ok(()), change)
}

fn enter(runs: &mut Runs, outcome: Result<Measured>) {
    runs.runs.push(outcome.inspect_err(|error| runs.failure = Some(error.to_string())).ok());
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
            settings: self.subjects.iter().filter_map(Subject::settings).collect(),
            servers: self.subjects.iter().map(|subject| named(subject.name)).collect(),
            again: named("floor"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_always_first_and_the_others_take_turns() {
        assert_eq!([order(4, 0, true), order(4, 1, true), order(4, 3, true)], [[0, 1, 2, 3], [0, 2, 3, 1], [0, 1, 2, 3]]);
        assert_eq!([order(2, 0, false), order(2, 1, false), order(1, 5, true)], [vec![0, 1], vec![1, 0], vec![0]]);
    }

    #[test]
    fn rounds_that_do_not_count_are_made_up_for_where_the_machine_can() {
        assert!(goes_on(0, 9, 0) && goes_on(8, 9, 0), "all that were asked for");
        assert!(!goes_on(9, 9, 9), "all count");
        assert!(!goes_on(9, 9, 0), "it never was fast enough");
        assert!(goes_on(9, 9, 8) && goes_on(80, 9, 8) && !goes_on(81, 9, 8));
    }
}
