//! What is told of trials: a table for the terminal, Markdown for the page, and JSON with every run.
use crate::{
    compare::{ENOUGH_ROUNDS, Measured, Runs, Sense, Spread, Verdict, counted, judge, ratios},
    machine::Machine,
    runner::Outcome,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Write};

/// All of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The command that made it.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// Of what, by name.
    pub versions: BTreeMap<String, String>,
    /// What came of each trial.
    pub trials: Vec<Outcome>,
    /// Servers that were left out, and why.
    pub skipped: Vec<String>,
}

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
}

impl<'a> Judged<'a> {
    /// Judges one.
    #[must_use]
    pub fn new(outcome: &'a Outcome) -> Self {
        let blank = Runs::default();
        let floor = outcome.servers.iter().find(|runs| runs.name == "floor").unwrap_or(&blank);
        let total = outcome.servers.iter().map(|runs| runs.runs.len()).max().unwrap_or(0);
        let passed = counted(floor, outcome.gate);
        // Where the machine was too busy there is still something to look at, and it is said that it does not count.
        let rounds: Vec<usize> = if passed.is_empty() { (0..total).collect() } else { passed.clone() };
        let itself = ratios(outcome.sense, floor, &outcome.again, &rounds);
        let rows = outcome.servers.iter().filter_map(|runs| row(outcome.sense, floor, runs, &rounds, itself)).collect();
        let counts = if floor.runs.is_empty() { total } else { passed.len() };
        Self { outcome, rounds: (counts, total), itself, rows }
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
        if counts < ENOUGH_ROUNDS && self.outcome.sense != Sense::Alone {
            caveats.push(format!("{counts} rounds: a check of the tool; a figure takes {ENOUGH_ROUNDS}"));
        }
        if self.outcome.sense == Sense::Share {
            caveats.extend(self.rows.iter().filter_map(|row| self.uneven(row)));
        }
        for row in self.rows.iter().filter(|row| row.load_bound > 0) {
            caveats.push(format!("{}: the load was the bottleneck in {} runs", row.name, row.load_bound));
        }
        for row in &self.rows {
            caveats.extend(row.failure.iter().map(|failure| format!("{}: a run failed: {failure}", row.name)));
        }
        caveats
    }
}

impl Judged<'_> {
    /// Where a server put many more or fewer messages into a write than the floor: then its cost says more of that than of its work.
    fn uneven(&self, row: &Row) -> Option<String> {
        const MOST: f64 = 1.25;
        let floor = self.rows.iter().find(|row| row.name == "floor")?;
        let pair = |name: &str| floor.numbers.get(name).copied().zip(row.numbers.get(name).copied());
        let (what, (floor, own)) = ["messages per write", "messages per read"].into_iter().find_map(|name| Some((name, pair(name)?)))?;
        (own / floor > MOST || floor / own > MOST).then(|| format!("{}: {own:.1} {what} beside the floor's {floor:.1}", row.name))
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
        verdict: judge(ratio, itself),
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

/// A trial for the terminal.
#[must_use]
pub fn table(outcome: &Outcome) -> String {
    let judged = Judged::new(outcome);
    let mut text = format!("\n{}  [{}]\n", outcome.title, outcome.id);
    let lines = cells(&judged);
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in &lines {
        let padded = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let _ = writeln!(text, "  {}", padded.collect::<Vec<_>>().join("  ").trim_end());
    }
    for line in remarks(&judged) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// A trial for the page.
#[must_use]
pub fn markdown(outcome: &Outcome) -> String {
    let judged = Judged::new(outcome);
    let lines = cells(&judged);
    let mut text = format!("### {}\n\n", outcome.title);
    for (at, line) in lines.iter().enumerate() {
        let _ = writeln!(text, "| {} |", line.join(" | "));
        if at == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(line.len()));
        }
    }
    text.push('\n');
    for line in remarks(&judged) {
        let _ = writeln!(text, "- {line}");
    }
    let _ = writeln!(text, "- `{}`", outcome.command);
    text
}

/// The head and the rows, as many cells in each; columns that nobody has a value for are left out.
fn cells(judged: &Judged<'_>) -> Vec<Vec<String>> {
    let unit = &judged.outcome.unit;
    let ratio = match judged.outcome.sense {
        Sense::Share => "of the floor",
        Sense::Times => "times the floor",
        Sense::Alone => "ratio",
    };
    let mut names: Vec<&String> = judged.rows.iter().flat_map(|row| row.numbers.keys()).collect();
    names.sort();
    names.dedup();
    let mut head = vec!["server".into(), ratio.into(), "verdict".into(), unit.clone(), "per CPU s".into(), "per s".into()];
    head.extend(names.iter().map(|name| (*name).clone()));
    head.extend(["server core".into(), "load core".into(), "lost/doubled/late".into()]);
    let line = |row: &Row| {
        let verdict = match row.verdict {
            Verdict::Equal => "equal",
            Verdict::Differs | Verdict::None => "",
        };
        let spread = |ratio: Spread| format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.low, ratio.high);
        let mut line = vec![row.name.clone(), row.ratio.map(spread).unwrap_or_default(), verdict.into(), number(row.cost.median)];
        let rate = |rate: f64| if rate > 0.0 { number(rate) } else { "-".into() };
        line.extend([rate(row.rates[1]), rate(row.rates[0])]);
        line.extend(names.iter().map(|name| row.numbers.get(*name).map_or(String::new(), |value| number(*value))));
        line.extend([row.server, row.load].map(|share| if share > 0.0 { format!("{:.0} %", share * 100.0) } else { "-".into() }));
        line.push(if row.faults == [0; 3] { "0".into() } else { row.faults.map(|count| count.to_string()).join("/") });
        line
    };
    let mut lines: Vec<Vec<String>> = std::iter::once(head).chain(judged.rows.iter().map(line)).collect();
    let empty = |column: usize| lines[1..].iter().all(|line| matches!(line[column].as_str(), "" | "-"));
    let kept: Vec<usize> = (0..lines[0].len()).filter(|column| *column == 0 || !empty(*column)).collect();
    lines.iter_mut().for_each(|line| *line = kept.iter().map(|column| line[*column].clone()).collect());
    lines
}

fn remarks(judged: &Judged<'_>) -> Vec<String> {
    let spread = |itself: Spread| {
        format!("The floor against itself: {:.2} ({:.2}-{:.2}); inside of that, equal.", itself.median, itself.low, itself.high)
    };
    judged.itself.map(spread).into_iter().chain(judged.caveats().into_iter().map(|caveat| format!("Caveat: {caveat}."))).collect()
}

/// Three significant digits, with a unit where there are many.
fn number(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value >= 1e6 => format!("{} M", significant(value / 1e6)),
        value if value >= 1e4 => format!("{} k", significant(value / 1e3)),
        value => significant(value),
    }
}

fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

/// What stands between the two marks of the page.
#[must_use]
pub fn page(report: &Report, picture: Option<&str>) -> String {
    let Machine { processor, cores, kernel, memory, descriptors, load } = &report.machine;
    let memory = *memory as f64 / f64::from(1 << 30);
    let mut text = format!(
        "Made by `{}`.\n\n- Machine: {processor}, {cores} cores, {memory:.0} GiB, Linux {kernel}, {descriptors} open files per process; \
         {load:.2} runnable tasks on average in the minute before.\n",
        report.command
    );
    let versions: Vec<_> = report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(text, "- Versions: {}.", versions.join(", "));
    for skipped in &report.skipped {
        let _ = writeln!(text, "- Left out: {skipped}.");
    }
    if let Some(picture) = picture {
        let _ = writeln!(text, "\n![Deliveries per CPU second of the server, as a share of the floor's]({picture})");
    }
    for trial in &report.trials {
        let _ = write!(text, "\n{}", markdown(trial));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Gate;

    fn runs(name: &str, costs: &[f64]) -> Runs {
        let run = |cost: &f64| Some(Measured { cost: *cost, per_cpu: 1e6 / cost, ..Measured::default() });
        Runs { name: name.into(), runs: costs.iter().map(run).collect(), failure: None }
    }

    fn outcome(gate: f64) -> Outcome {
        Outcome {
            id: "fanout".into(),
            title: "Fan-out".into(),
            command: "wse-bench run fanout".into(),
            unit: "s".into(),
            sense: Sense::Share,
            gate: Some(Gate { per_cpu: gate }),
            servers: vec![runs("floor", &[1.0, 1.0, 1.0]), runs("wse", &[2.0, 2.0, 1.0])],
            again: runs("floor", &[1.1, 1.0, 0.9]),
        }
    }

    #[test]
    fn the_tables_say_the_ratio_and_what_it_is_worth() {
        let text = table(&outcome(1.0));
        assert!(text.contains("0.50 (0.50-1.00)"), "{text}");
        assert!(text.contains("a figure takes 9"), "{text}");
        let page = markdown(&outcome(1.0));
        assert!(page.contains("| wse | 0.50 (0.50-1.00) |") && page.contains("`wse-bench run fanout`"), "{page}");
    }

    #[test]
    fn a_floor_below_its_gate_is_told_to_count_for_nothing() {
        let outcome = outcome(2e6);
        let judged = Judged::new(&outcome);
        assert_eq!(judged.rounds, (0, 3));
        assert!(judged.caveats()[0].contains("figures do not count"), "{:?}", judged.caveats());
    }

    #[test]
    fn another_number_of_messages_per_write_than_the_floors_is_told() {
        let mut outcome = outcome(1.0);
        for (runs, count) in outcome.servers.iter_mut().zip([32.0, 60.0]) {
            for run in runs.runs.iter_mut().flatten() {
                run.numbers.insert("messages per read".into(), count);
            }
        }
        let caveats = Judged::new(&outcome).caveats();
        assert!(caveats.iter().any(|caveat| caveat == "wse: 60.0 messages per read beside the floor's 32.0"), "{caveats:?}");
        assert!(!caveats.iter().any(|caveat| caveat.starts_with("floor")), "{caveats:?}");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [(8_312_000.0, "8.31 M"), (12_345.0, "12.3 k"), (999.4, "999"), (1.234, "1.23"), (0.0, "0"), (f64::NAN, "-")] {
            assert_eq!(number(value), text);
        }
    }
}
