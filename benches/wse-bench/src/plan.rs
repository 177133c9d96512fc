//! Trials from command lines, and the lists that `wse-bench suite` goes through: each of their entries is such a command line.
use crate::{
    BenchError, Result,
    cli::Arguments,
    load::{connects, echo, fanout, idle, ingest, topics},
    runner::Trial,
    scenario::{Scenario, What},
    subject::{self, Subject},
};

/// The form of a few minutes.
pub const SHORT: &[&str] = &[
    "fanout --rounds 5 --seconds 0.4",
    "fanout --burst 1 --rounds 5 --seconds 0.4",
    "echo --rounds 3 --seconds 0.4",
    "connects --rounds 3 --seconds 0.4",
    "idle --few 500 --many 2500 --settle 0.5",
];

/// The form that figures are taken from: some forty minutes on two cores.
pub const FULL: &[&str] = &[
    "fanout --seconds 0.6",
    "fanout --seconds 0.6 --burst 1",
    "fanout --seconds 0.6 --size 1024 --servers floor,bare,wse,wse-python",
    "fanout --seconds 0.6 --subscribers 1000 --servers floor,bare,wse,wse-python",
    "fanout --seconds 0.6 --subscribers 1000 --size 1024 --servers floor,bare,wse,wse-python",
    "fanout --seconds 0.6 --floor-size 274 --servers floor,wse,wse-python",
    "fanout --seconds 0.6 --burst 1 --size 1024 --servers floor,bare,wse,wse-python",
    "fanout --seconds 0.6 --burst 1 --subscribers 1000 --servers floor,bare,wse,wse-python",
    "fanout --seconds 0.6 --rate 1000",
    "fanout --seconds 0.6 --rate 1000 --subscribers 200 --servers floor,wse,wse-paced",
    "fanout --seconds 0.6 --rate 1000 --subscribers 1 --servers floor,bare,wse,wse-python",
    "echo --seconds 0.6",
    "echo --seconds 0.6 --connections 100 --servers floor,bare,wse,wse-python",
    "fanout --seconds 0.6 --subscribers 1 --size 1024 --burst 10000 --servers floor,bare,wse,wse-python",
    "fanout --seconds 0.6 --subscribers 1 --size 1024 --burst 1000 --servers floor,wse-python,wse-dicts",
    "fanout --subscribers 1 --size 1024 --burst 1000 --seconds 60 --rounds 1 --servers wse-dicts",
    "fanout --seconds 0.6 --subscribers 1 --size 1024 --burst 10000 --servers floor,wse-packed,wse-python-packed",
    "ingest --seconds 0.6",
    "ingest --seconds 0.6 --servers floor,wse,wse-mimalloc",
    "ingest --seconds 0.6 --servers floor,bare,wse-frames",
    "connects --seconds 0.6 --servers floor,bare,wse,wse-python,uvicorn,websockets,fastapi,picows,socketify,ws,socket.io",
    "idle",
    "growth --seconds 0.6 --few 100 --subscribers 1000 --servers floor,wse,wse-python",
    "growth --seconds 0.6 --few 1000 --subscribers 10000 --servers floor,wse",
    "topics --seconds 0.6 --rounds 27 --servers wse,wse-python",
    "stalled --seconds 2 --servers wse,wse-python",
    "stalled --seconds 2 --warmup 3 --servers wse,wse-python",
    "fanout --rate 500 --subscribers 100 --churn 16 --seconds 3 --rounds 3 --servers floor,wse,wse-python",
];

const SERVERS: &str = "floor,bare,wse,wse-python,websockets,fastapi,picows,socketify,ws,socket.io";

/// A trial of one entry of a list.
///
/// # Errors
/// It cannot be read.
pub fn entry(line: &str) -> Result<Trial> {
    trial(Arguments::parse(line.split_whitespace().map(Into::into))?)
}

/// A trial of the words and options after `run`.
///
/// # Errors
/// They cannot be read.
pub fn trial(mut arguments: Arguments) -> Result<Trial> {
    let line = arguments.line();
    let subjects: Vec<Subject> = subject::named(&arguments.take_or("servers", SERVERS.to_owned())?)?;
    let scenario = match arguments.words.first().map_or("", |word| word) {
        "fanout" => Scenario::Fanout { floor_size: arguments.take("floor-size")?, plan: fanout_plan(&mut arguments)? },
        "growth" | "topics" | "stalled" => beside(&mut arguments)?,
        "ingest" => Scenario::Ingest(ingest::Plan {
            connections: arguments.take_or("connections", 8)?,
            size: arguments.take_or("size", 128)?,
            measured: arguments.seconds("seconds", 1.0)?,
        }),
        "echo" => Scenario::Echo(echo::Plan {
            connections: arguments.take_or("connections", 1)?,
            size: arguments.take_or("size", 128)?,
            warmup: arguments.seconds("warmup", 0.2)?,
            measured: arguments.seconds("seconds", 1.0)?,
        }),
        "connects" => Scenario::Connects(connects::Plan {
            under_way: arguments.take_or("under-way", 32)?,
            warmup: arguments.seconds("warmup", 0.2)?,
            measured: arguments.seconds("seconds", 1.0)?,
        }),
        "idle" => Scenario::Idle(idle::Plan {
            few: arguments.take_or("few", 1000)?,
            many: arguments.take_or("many", 10_000)?,
            settle: arguments.seconds("settle", 1.0)?,
        }),
        other => {
            return Err(BenchError::Usage(format!("no scenario {other:?}: fanout, growth, topics, stalled, ingest, echo, connects, idle")));
        }
    };
    let rounds = arguments.take_or("rounds", if matches!(scenario, Scenario::Idle(_)) { 1 } else { 9 })?;
    arguments.finish()?;
    Ok(Trial { command: format!("wse-bench run {line}"), id: line, scenario, subjects, rounds })
}

/// Two fan-outs that differ in one thing.
fn beside(arguments: &mut Arguments) -> Result<Scenario> {
    let word = arguments.words.first().cloned().unwrap_or_default();
    let plain = |fanout| topics::Plan { fanout, others: 0 };
    let mut given = |name: &str, default: &str| -> Result<()> {
        let value = arguments.take_or(name, default.to_owned())?;
        arguments.give(name, value);
        Ok(())
    };
    Ok(match word.as_str() {
        "growth" => {
            given("subscribers", "10000")?;
            let few = arguments.take_or("few", 1000)?;
            let fanout = fanout_plan(arguments)?;
            Scenario::Beside { what: What::Growth, first: plain(fanout::Plan { subscribers: few, ..fanout }), second: plain(fanout) }
        }
        "topics" => {
            given("subscribers", "1")?;
            let others = arguments.take_or("others", 99_999)?;
            let first = plain(fanout_plan(arguments)?);
            Scenario::Beside { what: What::Topics, first, second: topics::Plan { others, ..first } }
        }
        _ => {
            for (name, default) in [("subscribers", "1000"), ("rate", "40"), ("size", "16384"), ("seconds", "3"), ("stalled", "1000")] {
                given(name, default)?;
            }
            let fanout = fanout_plan(arguments)?;
            let all = fanout.subscribers + fanout.stalled;
            Scenario::Beside {
                what: What::Stalled,
                first: plain(fanout::Plan { subscribers: all, stalled: 0, ..fanout }),
                second: plain(fanout),
            }
        }
    })
}

/// A fan-out of options.
///
/// # Errors
/// They cannot be read, or contradict one another.
pub fn fanout_plan(arguments: &mut Arguments) -> Result<fanout::Plan> {
    let burst = arguments.take_or("burst", 64)?;
    let window = arguments.take_or("window", burst)?;
    let drive = match arguments.take("rate")? {
        Some(rate) => fanout::Drive::Rate(rate),
        None if burst == 0 || window % burst != 0 || window == 0 => {
            return Err(BenchError::Usage(format!("--window {window} must be a multiple of --burst {burst}, which must not be 0")));
        }
        None => fanout::Drive::Saturated { burst, window },
    };
    Ok(fanout::Plan {
        subscribers: arguments.take_or("subscribers", 100)?,
        size: arguments.take_or("size", 128)?,
        drive,
        warmup: arguments.seconds("warmup", 0.2)?,
        measured: arguments.seconds("seconds", 1.0)?,
        stalled: arguments.take_or("stalled", 0)?,
        churn: arguments.take_or("churn", 0)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_lists_is_a_trial_of_its_own_and_its_command_makes_it() {
        let mut ids: Vec<String> = Vec::new();
        for line in FULL.iter().chain(SHORT) {
            let trial = entry(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let again = entry(trial.command.strip_prefix("wse-bench run ").expect("a run")).expect("valid");
            assert_eq!(format!("{:?}", again.scenario), format!("{:?}", trial.scenario));
            ids.push(trial.id);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), FULL.len() + SHORT.len());
    }

    #[test]
    fn a_window_that_no_burst_fits_is_refused() {
        assert!(entry("fanout --burst 64 --window 100").is_err());
        assert!(entry("fanout --burst 0").is_err());
        assert!(entry("fanout --no-such-option 1").is_err());
        assert!(entry("dance").is_err());
    }
}
