//! Interleaved rounds, their medians and ratios, and what may be said of them.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Fewer rounds than this are a check of the tool, not a figure.
pub const ENOUGH_ROUNDS: usize = 9;

/// One run of one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What is compared, in the trial's unit; less is better.
    pub cost: f64,
    /// Events per second of wall clock.
    pub rate: f64,
    /// Events per CPU second of the server.
    pub per_cpu: f64,
    /// What else the scenario measured, by name and unit.
    pub numbers: BTreeMap<String, f64>,
    /// Messages that never came, came twice, or came after a later one.
    pub faults: [u64; 3],
    /// The server's CPU as a share of one core.
    pub server: f64,
    /// The load's.
    pub load: f64,
    /// The load was so busy that it may have held the server back.
    pub load_bound: bool,
}

/// The middle of several values, and their ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The least.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The greatest.
    pub high: f64,
}

impl Spread {
    /// Of values; none without any.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { low, median, high })
    }

    /// Whether a value lies within it.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// How a server is set against the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sense {
    /// The floor's cost by the server's: 1 is as good as the floor, 0.5 costs twice as much.
    Share,
    /// The server's by the floor's: 1 is as good, 2 takes twice as long.
    Times,
    /// Not at all: the cost is a figure of its own, such as the slope of memory or a ratio within one server.
    Alone,
}

impl Sense {
    /// The ratio of a pair.
    #[must_use]
    pub fn ratio(self, floor: f64, server: f64) -> f64 {
        match self {
            Self::Share => floor / server,
            Self::Times => server / floor,
            Self::Alone => f64::NAN,
        }
    }
}

/// What the floor must reach for a round to count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Events per CPU second of the server.
    pub per_cpu: f64,
}

/// A server's runs in a trial.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Runs {
    /// The server.
    pub name: String,
    /// By round; none where the run failed.
    pub runs: Vec<Option<Measured>>,
    /// Why one failed.
    pub failure: Option<String>,
}

/// What may be said of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The ratio lies within what the floor scores against itself.
    Equal,
    /// It costs less than what it is set against.
    Less,
    /// It costs more.
    More,
    /// It put another number of messages into a write, of which its cost then says more than of its work.
    Uneven,
    /// No round counts: the machine was busy.
    Uncounted,
    /// There is nothing to compare.
    None,
}

impl Verdict {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Less => "less",
            Self::More => "more",
            Self::Uneven => "other writes",
            Self::Uncounted => "does not count",
            Self::None => "",
        }
    }
}

/// The rounds of a trial whose floor passed the gate before the others ran and behind them; all of them without a gate. One run alone
/// would choose the rounds in which just that run was fast.
#[must_use]
pub fn counted(floor: &Runs, again: &Runs, gate: Option<Gate>) -> Vec<usize> {
    let passes = |run: Option<&Option<Measured>>| {
        run.and_then(Option::as_ref).is_some_and(|run| gate.is_none_or(|gate| run.per_cpu >= gate.per_cpu))
    };
    (0..floor.runs.len()).filter(|&round| passes(floor.runs.get(round)) && (gate.is_none() || passes(again.runs.get(round)))).collect()
}

/// The ratios of a server's runs to the floor's of the same rounds.
#[must_use]
pub fn ratios(sense: Sense, floor: &Runs, server: &Runs, rounds: &[usize]) -> Option<Spread> {
    let pair = |round: &usize| {
        let (floor, server) = (floor.runs.get(*round)?.as_ref()?, server.runs.get(*round)?.as_ref()?);
        Some(sense.ratio(floor.cost, server.cost))
    };
    Spread::of(rounds.iter().filter_map(pair))
}

/// Judges a median ratio by the floor's against itself.
#[must_use]
pub fn judge(sense: Sense, ratio: Option<Spread>, itself: Option<Spread>) -> Verdict {
    let (Some(ratio), Some(itself)) = (ratio, itself) else { return Verdict::None };
    let above = ratio.median > itself.high;
    match sense {
        _ if itself.holds(ratio.median) => Verdict::Equal,
        Sense::Share if above => Verdict::Less,
        Sense::Times if !above => Verdict::Less,
        _ => Verdict::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(costs: &[f64]) -> Runs {
        let run = |cost: &f64| Some(Measured { cost: *cost, per_cpu: 1.0 / cost, ..Measured::default() });
        Runs { runs: costs.iter().map(run).collect(), ..Runs::default() }
    }

    #[test]
    fn the_median_of_an_odd_and_of_an_even_number() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { low: 1.0, median: 2.0, high: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    #[test]
    fn a_pair_is_of_one_round_and_rounds_below_the_gate_do_not_count() {
        let (floor, mut server) = (runs(&[1.0, 10.0, 2.0]), runs(&[2.0, 10.0, 8.0]));
        let rounds = counted(&floor, &runs(&[1.0, 1.0, 2.0]), Some(Gate { per_cpu: 0.5 }));
        assert_eq!(rounds, [0, 2]);
        assert_eq!(counted(&floor, &runs(&[1.0, 1.0, 9.0]), Some(Gate { per_cpu: 0.5 })), [0], "nor those in which it was fast only once");
        assert_eq!(counted(&floor, &Runs::default(), None), [0, 1, 2]);
        let ratio = ratios(Sense::Share, &floor, &server, &rounds).expect("two pairs");
        assert_eq!(ratio, Spread { low: 0.25, median: 0.375, high: 0.5 });
        server.runs[2] = None;
        assert_eq!(ratios(Sense::Times, &floor, &server, &rounds).map(|ratio| ratio.median), Some(2.0));
    }

    #[test]
    fn inside_the_floors_own_spread_a_server_is_equal() {
        let spread = |median| Some(Spread { low: median, median, high: median });
        let itself = Some(Spread { low: 0.9, median: 1.0, high: 1.1 });
        assert_eq!(judge(Sense::Share, spread(0.95), itself), Verdict::Equal);
        assert_eq!(judge(Sense::Share, spread(0.8), itself), Verdict::More);
        assert_eq!(judge(Sense::Times, spread(0.8), itself), Verdict::Less);
        assert_eq!(judge(Sense::Share, None, itself), Verdict::None);
    }
}
