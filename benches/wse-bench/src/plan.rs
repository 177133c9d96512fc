//! Trials from command lines, and the lists that `wse-bench suite` goes through: each of their entries is such a command line.
use crate::{
    BenchError, Result,
    cli::Arguments,
    load::{connects, echo, fanout, idle, ingest, topics},
    runner::{Scenario, Trial},
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

/// The form that figures are taken from.
pub const FULL: &[&str] = &[
    "fanout",
    "fanout --size 1024",
    "fanout --floor-size 274 --servers floor,wse,wse-python",
    "fanout --subscribers 1000",
    "fanout --subscribers 1000 --size 1024",
    "fanout --burst 1",
    "fanout --rate 1000",
    "fanout --rate 500 --subscribers 1000 --servers floor,bare,wse,wse-python",
    "fanout --rate 500 --subscribers 1000 --stalled 1000 --rounds 3 --servers wse,wse-python",
    "fanout --rate 500 --subscribers 1000 --churn 16 --seconds 5 --rounds 3 --servers floor,wse,wse-python",
    "fanout --rate 1000 --subscribers 1",
    "fanout --subscribers 1 --size 1024 --burst 10000 --servers floor,bare,wse,wse-python",
    "fanout --subscribers 1 --size 1024 --servers floor,wse,wse-python,wse-dicts",
    "ingest",
    "echo",
    "echo --connections 100",
    "connects",
    "idle",
    "fanout --subscribers 10000 --seconds 2 --servers floor,bare,wse",
    "topics --others 0 --servers wse,wse-python",
    "topics --others 100000 --rounds 3 --servers wse,wse-python",
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
        "topics" => {
            let others = arguments.take_or("others", 100_000)?;
            Scenario::Topics(topics::Plan { fanout: fanout_plan(&mut arguments)?, others })
        }
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
        other => return Err(BenchError::Usage(format!("no scenario {other:?}: fanout, topics, ingest, echo, connects, idle"))),
    };
    let rounds = arguments.take_or("rounds", if matches!(scenario, Scenario::Idle(_)) { 1 } else { 9 })?;
    arguments.finish()?;
    Ok(Trial { command: format!("wse-bench run {line}"), id: line, scenario, subjects, rounds })
}

/// A fan-out of options.
///
/// # Errors
/// They cannot be read, or contradict one another.
pub fn fanout_plan(arguments: &mut Arguments) -> Result<fanout::Plan> {
    let burst = arguments.take_or("burst", 32)?;
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
