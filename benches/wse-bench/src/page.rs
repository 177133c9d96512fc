//! What stands between the two marks of the page: where and with what it was made, what it comes to, and every trial.
use crate::{
    aims::{self, AIMS, Bound},
    judged::Judged,
    machine::Machine,
    report::{Report, markdown, number},
};
use std::fmt::Write;

/// All of it; `picture` is the chart's file.
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
    for line in gates(report) {
        let _ = writeln!(text, "- {line}");
    }
    for skipped in &report.skipped {
        let _ = writeln!(text, "- Left out: {skipped}.");
    }
    if let Some(picture) = picture {
        let _ = writeln!(text, "\n![Deliveries per CPU second of the server, as a share of the floor's]({picture})");
    }
    let _ = write!(text, "\n{}", summary(report));
    for trial in &report.trials {
        let _ = write!(text, "\n{}", markdown(trial));
    }
    text
}

/// What the floor came to where it has a mark to reach: whether the machine was fit for figures at all.
fn gates(report: &Report) -> Vec<String> {
    let line = |outcome| {
        let judged = Judged::new(outcome);
        let (gate, floor) = (outcome.gate?, judged.row("floor")?.rates[1]);
        let (counts, total) = judged.rounds;
        let needed = number(gate.per_cpu);
        Some(format!(
            "{}: the floor made {} per CPU second; {needed} are needed, {counts} of {total} rounds count.",
            outcome.title,
            number(floor)
        ))
    };
    report.trials.iter().filter_map(line).take(2).collect()
}

/// Each aim, what was measured, and a verdict.
fn summary(report: &Report) -> String {
    let mut text = "### What was aimed for\n\n| what | aim | measured | verdict | row |\n|---|---|---|---|---|\n".to_owned();
    for aim in AIMS {
        let (measured, verdict) = aims::reached(aim, report);
        let bound = match aim.bound {
            Bound::Least(least) => format!(">= {}", number(least)),
            Bound::Most(most) => format!("<= {}", number(most)),
        };
        let row = format!("{} of `{}`", aim.server, aim.trial);
        let _ = writeln!(text, "| {} | {bound} | {measured} | {} | {row} |", aim.what, verdict.word());
    }
    text.push_str("\nRatios are medians with the least and the greatest round. \"Equal\" is a figure that misses the aim by no more than the floor misses itself.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judged::tests::outcome, plan};

    #[test]
    fn the_page_says_where_it_was_made_what_it_comes_to_and_what_is_missing() {
        let mut outcome = outcome(1.0);
        outcome.id = plan::entry(AIMS[0].trial).expect("valid").id;
        let machine = Machine { processor: "A processor".into(), ..Machine::default() };
        let versions = [("wse".to_owned(), "1".to_owned())].into();
        let report = Report { command: "c".into(), machine, versions, trials: vec![outcome], skipped: vec!["ws".into()] };
        let page = page(&report, Some("b.svg"));
        for part in [
            "Made by `c`.",
            "A processor",
            "wse 1.",
            "Left out: ws.",
            "(b.svg)",
            "| >= 0.750 | 0.50 (0.50-1.00) | does not count | wse of `fanout --seconds 0.6` |",
            "not measured",
            "### Fan-out",
            "3 of 3 rounds count",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
