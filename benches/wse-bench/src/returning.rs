//! `wse-bench returns`: clients that lose their connections and return, against one server that the tool starts.
use crate::{
    BenchError, Result,
    cli::Arguments,
    load::returns::{self, Fate, Plan},
    machine::{self, Machine},
    subject::{self, Places},
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Runs it, and gives what came of it.
///
/// # Errors
/// The command line, a server that is not installed, or what the scenario says.
pub fn run(mut arguments: Arguments) -> Result<Value> {
    let line = arguments.line();
    let places = Places::under(&arguments.take_or("root", PathBuf::from("."))?);
    let name: String = arguments.take_or("server", "wse".into())?;
    let subject = subject::named(&name)?.remove(0);
    let cores = machine::cores();
    let server_core = arguments.take("server-core")?.or(cores.first().copied());
    let load_core = arguments.take("load-core")?.or(cores.get(1).copied());
    let plan = plan(&mut arguments)?;
    arguments.finish()?;
    machine::raise_descriptors();
    machine::check_descriptors(plan.clients)?;
    let mut target = subject.start(&places, server_core)?;
    load_core.map_or(Ok(()), machine::pin)?;
    let machine = Machine::read();
    let outcome = returns::run(&mut target, &plan)?;
    let delivered = 100.0 * outcome.whole.received as f64 / (outcome.published * plan.clients as u64) as f64;
    Ok(json!({ "command": format!("wse-bench returns {line}"), "machine": machine, "delivered_percent": delivered, "outcome": outcome }))
}

fn plan(arguments: &mut Arguments) -> Result<Plan> {
    let fate = match arguments.words.first().map(String::as_str) {
        Some("each") => Fate::Each { every: arguments.seconds("every", 10.0)?, away: arguments.seconds("away", 2.0)? },
        Some("all") => Fate::All { under_way: arguments.take_or("under-way", 256)? },
        _ => return Err(BenchError::Usage("wse-bench returns each, or all".into())),
    };
    Ok(Plan {
        clients: arguments.take_or("clients", 1000)?,
        size: arguments.take_or("size", 128)?,
        rate: arguments.take_or("rate", 10)?,
        measured: arguments.seconds("seconds", 60.0)?,
        fate,
    })
}
