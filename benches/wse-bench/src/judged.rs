//! A trial judged: what each server comes to beside the floor and beside one another, and how far that can be trusted.
use crate::{
    compare::{ENOUGH_ROUNDS, Measured, Runs, Sense, Spread, Verdict, counted, judge, ratios},
    runner::Outcome,
};
use std::collections::BTreeMap;

/// Servers that are also set against another one than the floor, where both took part.
const PAIRS: [(&str, &str); 5] =
    [("wse-python", "wse"), ("wse-python", "uvicorn"), ("wse-dicts", "wse-python"), ("wse-paced", "wse"), ("wse-mimalloc", "wse")];

/// One line of a trial's table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The server.
    pub name: String,
    /// Against the floor.
    pub ratio: Option<Spread>,
    /// What may be said of that.
    pub verdict: Verdict,
    /// Its cost.
    pub cost: Spread,
    /// Medians by name.
    pub numbers: BTreeMap<String, f64>,
    /// Medians of events per second and per CPU second of the server.
    pub rates: [f64; 2],
    /// Lost, doubled and late messages of all runs.
    pub faults: [u64; 3],
    /// The server's CPU as a share of one core, median.
    pub server: f64,
    /// The load's, the most of any run.
    pub load: f64,
    /// Runs in which the load was the bottleneck.
    pub load_bound: usize,
    /// Why a run failed.
    pub failure: Option<String>,
}

/// A server against another one.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The one.
    pub server: String,
    /// The other.
    pub against: String,
    /// As [`Sense::ratio`] has it, with the other in the floor's place.
    pub ratio: Spread,
    /// Judged by the floor against itself.
    pub verdict: Verdict,
}

/// A trial judged.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// What was run.
    pub outcome: &'a Outcome,
    /// Rounds that count, of how many.
    pub rounds: (usize, usize),
    /// The floor against itself.
    pub itself: Option<Spread>,
    /// By server.
    pub rows: Vec<Row>,
    /// Servers against one another.
    pub pairs: Vec<Pair>,
}

impl<'a> Judged<'a> {
    /// Judges one.
    #[must_use]
    pub fn new(outcome: &'a Outcome) -> Self {
        let blank = Runs::default();
        let find = |name: &str| outcome.servers.iter().find(|runs| runs.name == name);
        let floor = find("floor").unwrap_or(&blank);
        let total = outcome.servers.iter().map(|runs| runs.runs.len()).max().unwrap_or(0);
        let passed = counted(floor, &outcome.again, outcome.gate);
        // Where the machine was too busy there is still something to look at, and it is said that it does not count.
        let rounds: Vec<usize> = if passed.is_empty() { (0..total).collect() } else { passed.clone() };
        let itself = ratios(outcome.sense, floor, &outcome.again, &rounds);
        let rows = outcome.servers.iter().filter_map(|runs| row(outcome.sense, floor, runs, &rounds, itself)).collect();
        let pair = |(server, against): &(&str, &str)| {
            let ratio = ratios(outcome.sense, find(against)?, find(server)?, &rounds)?;
            let verdict = judge(outcome.sense, Some(ratio), itself);
            Some(Pair { server: (*server).into(), against: (*against).into(), ratio, verdict })
        };
        let pairs = PAIRS.iter().filter_map(pair).collect();
        let counts = if floor.runs.is_empty() { total } else { passed.len() };
        let mut judged = Self { outcome, rounds: (counts, total), itself, rows, pairs };
        judged.qualify();
        judged
    }

    /// A server's line.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// One server against another.
    #[must_use]
    pub fn pair(&self, server: &str, against: &str) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.server == server && pair.against == against)
    }

    /// Whether there are as many rounds as a figure takes; what is no ratio to the floor takes one.
    #[must_use]
    pub fn is_figure(&self) -> bool {
        self.rounds.0 >= ENOUGH_ROUNDS || (self.outcome.sense == Sense::Alone || self.itself.is_none()) && self.rounds.0 > 0
    }

    /// What is to be said of how far the figures can be trusted; empty if they can.
    #[must_use]
    pub fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        let (counts, total) = self.rounds;
        if let Some(gate) = self.outcome.gate.filter(|_| counts < total) {
            let needed = gate.per_cpu / 1e6;
            let what = if counts == 0 { "figures do not count" } else { "the other rounds are left out" };
            caveats.push(format!("the floor reached {needed} M per CPU second in {counts} of {total} rounds: {what}"));
        }
        if !self.is_figure() {
            caveats.push(format!("{counts} rounds: a check of the tool; a figure takes {ENOUGH_ROUNDS}"));
        }
        let uneven: Vec<String> = self.rows.iter().filter_map(|row| self.uneven(row)).collect();
        if !uneven.is_empty() {
            caveats.push(format!("other writes than the floor's: {}", uneven.join(", ")));
        }
        for row in self.rows.iter().filter(|row| row.load_bound > 0) {
            caveats.push(format!("{}: the load was the bottleneck in {} runs", row.name, row.load_bound));
        }
        for row in &self.rows {
            caveats.extend(row.failure.iter().map(|failure| format!("{}: a run failed: {}", row.name, failure.trim_end())));
        }
        caveats
    }

    /// Verdicts that rest on what does not count, or on other writes, say so instead.
    fn qualify(&mut self) {
        let uncounted = self.rounds.0 == 0;
        let uneven: Vec<bool> = self.rows.iter().map(|row| self.uneven(row).is_some()).collect();
        for (row, uneven) in self.rows.iter_mut().zip(&uneven).filter(|(row, _)| row.verdict != Verdict::None) {
            row.verdict = match row.verdict {
                _ if uncounted => Verdict::Uncounted,
                _ if *uneven => Verdict::Uneven,
                verdict => verdict,
            };
        }
        self.pairs.iter_mut().filter(|_| uncounted).for_each(|pair| pair.verdict = Verdict::Uncounted);
    }

    /// Where a server put many more or fewer messages into a write than the floor: then its cost says more of that than of its work.
    fn uneven(&self, row: &Row) -> Option<String> {
        const MOST: f64 = 1.25;
        if self.outcome.sense != Sense::Share {
            return None;
        }
        let floor = self.row("floor")?;
        let pair = |name: &str| floor.numbers.get(name).copied().zip(row.numbers.get(name).copied());
        let (what, (floor, own)) = ["messages per write", "messages per read"].into_iter().find_map(|name| Some((name, pair(name)?)))?;
        (own / floor > MOST || floor / own > MOST).then(|| format!("{} {own:.1} {what} ({floor:.1})", row.name))
    }
}

fn row(sense: Sense, floor: &Runs, runs: &Runs, rounds: &[usize], itself: Option<Spread>) -> Option<Row> {
    let measured: Vec<&Measured> = rounds.iter().filter_map(|round| runs.runs.get(*round)?.as_ref()).collect();
    let median = |of: &dyn Fn(&Measured) -> f64| Spread::of(measured.iter().map(|run| of(run))).map_or(f64::NAN, |spread| spread.median);
    let ratio = if runs.name == "floor" { None } else { ratios(sense, floor, runs, rounds) };
    let names = measured.iter().flat_map(|run| run.numbers.keys().cloned());
    let number = |name: &str| median(&|run| run.numbers.get(name).copied().unwrap_or(f64::NAN));
    let sum = |at: usize| runs.runs.iter().flatten().map(|run| run.faults[at]).sum();
    let row = Row {
        name: runs.name.clone(),
        ratio,
        verdict: judge(sense, ratio, itself),
        cost: Spread::of(measured.iter().map(|run| run.cost)).unwrap_or(Spread { low: f64::NAN, median: f64::NAN, high: f64::NAN }),
        numbers: names.map(|name| (name.clone(), number(&name))).collect(),
        rates: [median(&|run| run.rate), median(&|run| run.per_cpu)],
        faults: [sum(0), sum(1), sum(2)],
        server: median(&|run| run.server),
        load: measured.iter().map(|run| run.load).fold(0.0, f64::max),
        load_bound: measured.iter().filter(|run| run.load_bound).count(),
        failure: runs.failure.clone(),
    };
    (!runs.runs.is_empty()).then_some(row)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::compare::Gate;

    fn runs(name: &str, costs: &[f64]) -> Runs {
        let run = |cost: &f64| Some(Measured { cost: *cost, per_cpu: 1e6 / cost, ..Measured::default() });
        Runs { name: name.into(), runs: costs.iter().map(run).collect(), failure: None }
    }

    /// A floor of a million per CPU second, a server of half of that, and a Python that equals it.
    pub(crate) fn outcome(gate: f64) -> Outcome {
        Outcome {
            id: "fanout".into(),
            title: "Fan-out".into(),
            command: "wse-bench run fanout".into(),
            unit: "s".into(),
            sense: Sense::Share,
            gate: Some(Gate { per_cpu: gate }),
            settings: vec!["wse: `a` off".into()],
            servers: vec![runs("floor", &[1.0, 1.0, 1.0]), runs("wse", &[2.0, 2.0, 1.0]), runs("wse-python", &[2.1, 2.0, 1.0])],
            again: runs("floor", &[1.1, 1.0, 0.9]),
        }
    }

    #[test]
    fn a_floor_below_its_gate_is_told_to_count_for_nothing() {
        let outcome = outcome(2e6);
        let judged = Judged::new(&outcome);
        assert_eq!(judged.rounds, (0, 3));
        assert!(judged.caveats()[0].contains("figures do not count"), "{:?}", judged.caveats());
        assert_eq!(judged.row("wse").map(|row| row.verdict), Some(Verdict::Uncounted));
        assert!(!judged.is_figure());
    }

    #[test]
    fn two_servers_are_set_against_each_other_round_by_round() {
        let outcome = outcome(1.0);
        let judged = Judged::new(&outcome);
        let pair = judged.pair("wse-python", "wse").expect("both took part");
        assert_eq!((pair.ratio.median, pair.verdict), (1.0, Verdict::Equal));
        assert!(judged.pair("wse-python", "uvicorn").is_none());
    }

    #[test]
    fn another_number_of_messages_per_write_than_the_floors_is_told_instead_of_a_verdict() {
        let mut outcome = outcome(1.0);
        for (runs, count) in outcome.servers.iter_mut().zip([32.0, 60.0, 31.0]) {
            for run in runs.runs.iter_mut().flatten() {
                run.numbers.insert("messages per read".into(), count);
            }
        }
        let judged = Judged::new(&outcome);
        let caveats = judged.caveats();
        assert!(caveats.iter().any(|caveat| caveat.ends_with(": wse 60.0 messages per read (32.0)")), "{caveats:?}");
        assert_eq!(judged.row("wse").map(|row| row.verdict), Some(Verdict::Uneven));
        assert_eq!(judged.row("wse-python").map(|row| row.verdict), Some(Verdict::More));
    }
}
