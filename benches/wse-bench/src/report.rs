//! What is told of trials: a table for the terminal, Markdown for the page, and JSON with every run.
use crate::{
    compare::{Sense, Spread, Verdict},
    judged::{Judged, Pair, Row},
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
    if !outcome.settings.is_empty() {
        let _ = writeln!(text, "- Other than the defaults: {}.", outcome.settings.join("; "));
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
        let word = row.verdict.word().to_owned();
        let mut line = vec![row.name.clone(), row.ratio.map(spread).unwrap_or_default(), word, cost(judged.outcome.sense, row)];
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
    let mut remarks = Vec::new();
    remarks.extend(judged.itself.map(|itself| format!("The floor against itself: {}; inside of that, equal.", spread(itself))));
    for Pair { server, against, ratio, verdict } in &judged.pairs {
        let word = if *verdict == Verdict::None { String::new() } else { format!(": {}", verdict.word()) };
        remarks.push(format!("{server} against {against}: {}{word}.", spread(*ratio)));
    }
    remarks.extend(judged.caveats().into_iter().map(|caveat| format!("Caveat: {caveat}.")));
    remarks
}

/// A median with its ends.
pub(crate) fn spread(ratio: Spread) -> String {
    format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.low, ratio.high)
}

/// What is compared; a figure of its own has its ends beside it, where it was taken more than once.
fn cost(sense: Sense, row: &Row) -> String {
    if sense == Sense::Alone && row.cost.low < row.cost.high { spread(row.cost) } else { number(row.cost.median) }
}

/// Three significant digits, with a unit where there are many.
pub(crate) fn number(value: f64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judged::tests::outcome;

    #[test]
    fn the_tables_say_the_ratio_and_what_it_is_worth() {
        let text = table(&outcome(1.0));
        assert!(text.contains("0.50 (0.50-1.00)"), "{text}");
        assert!(text.contains("a figure takes 9"), "{text}");
        let page = markdown(&outcome(1.0));
        assert!(page.contains("| wse | 0.50 (0.50-1.00) | more |") && page.contains("`wse-bench run fanout`"), "{page}");
        assert!(page.contains("- wse-python against wse: 1.00 (0.95-1.00): equal.\n"), "{page}");
        assert!(page.contains("- Other than the defaults: wse: `a` off.\n"), "{page}");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [(8_312_000.0, "8.31 M"), (12_345.0, "12.3 k"), (999.4, "999"), (1.234, "1.23"), (0.0, "0"), (f64::NAN, "-")] {
            assert_eq!(number(value), text);
        }
    }
}
