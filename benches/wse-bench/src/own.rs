//! `wse-bench load`: the load alone, against a server that somebody else started.
use crate::{
    BenchError, Doing, Result,
    cli::Arguments,
    load::{Speech, Target, UNDER_WAY, connects, echo, fanout, idle},
    machine,
    pool::Opening,
};
use serde_json::{Value, json};
use std::net::{SocketAddr, ToSocketAddrs};

/// Runs it, and gives what came of it.
///
/// # Errors
/// The command line, or what the scenario says.
pub fn run(mut arguments: Arguments) -> Result<Value> {
    let url: String = arguments.take("url")?.ok_or_else(|| BenchError::Usage("--url ws://HOST:PORT/PATH".into()))?;
    let (address, path) = split(&url)?;
    let opening = Opening { path, hello: arguments.take("hello")?, ready: arguments.take("ready")? };
    let speech = match arguments.take_or("speech", "plain".to_owned())?.as_str() {
        "plain" => Speech::Plain,
        "wse" => Speech::Wse,
        "socket.io" => Speech::SocketIo,
        other => return Err(BenchError::Usage(format!("--speech {other}: plain, wse or socket.io"))),
    };
    let mut target = Target { address, opening, pid: arguments.take("pid")?, server: None, speech, writes_counted: false };
    if let Some(core) = arguments.take("load-core")? {
        machine::pin(core)?;
    }
    let outcome = match arguments.words.first().map_or("", |word| word) {
        "fanout" => fanout(&mut target, &mut arguments)?,
        "echo" => {
            let plan = echo::Plan {
                connections: connections(&mut arguments, 1)?,
                size: arguments.take_or("size", 128)?,
                warmup: arguments.seconds("warmup", 0.5)?,
                measured: arguments.seconds("seconds", 5.0)?,
            };
            to_json(&echo::run(&target, &plan)?)
        }
        "connects" => {
            let under_way = arguments.take_or("under-way", UNDER_WAY)?;
            let (warmup, measured) = (arguments.seconds("warmup", 0.5)?, arguments.seconds("seconds", 5.0)?);
            to_json(&connects::run(&target, &connects::Plan { under_way, warmup, measured })?)
        }
        "idle" => {
            let few = arguments.take_or("few", 1000)?;
            let many = connections(&mut arguments, 10_000)?;
            to_json(&idle::run(&target, &idle::Plan { few, many, settle: arguments.seconds("settle", 2.0)? })?)
        }
        other => return Err(BenchError::Usage(format!("no scenario {other:?} for a server of one's own: fanout, echo, connects, idle"))),
    };
    arguments.finish()?;
    Ok(outcome)
}

/// Listens to whatever the server publishes; messages that carry no stamp are counted as unstamped.
fn fanout(target: &mut Target, arguments: &mut Arguments) -> Result<Value> {
    let plan = fanout::Plan {
        subscribers: connections(arguments, 100)?,
        size: 0,
        drive: fanout::Drive::Listen,
        warmup: arguments.seconds("warmup", 0.5)?,
        measured: arguments.seconds("seconds", 5.0)?,
        stalled: arguments.take_or("stalled", 0)?,
        churn: arguments.take_or("churn", 0)?,
    };
    let outcome = fanout::run(target, &plan)?;
    let per_second = outcome.deliveries as f64 / outcome.costs.seconds;
    let mut value = to_json(&outcome);
    value["deliveries_per_second"] = json!(per_second);
    value["load_bound"] = json!(outcome.costs.load_bound());
    Ok(value)
}

fn connections(arguments: &mut Arguments, default: usize) -> Result<usize> {
    let connections = arguments.take_or("connections", default)?;
    machine::check_descriptors(connections).map(|()| connections)
}

fn split(url: &str) -> Result<(SocketAddr, String)> {
    let rest = url.strip_prefix("ws://").ok_or_else(|| BenchError::Usage("--url must begin with ws://".into()))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut addresses = host.to_socket_addrs().doing(host)?;
    let address = addresses.find(SocketAddr::is_ipv4).ok_or_else(|| BenchError::Usage(format!("{host} has no IPv4 address")))?;
    Ok((address, format!("/{path}")))
}

fn to_json(outcome: &impl serde::Serialize) -> Value {
    serde_json::to_value(outcome).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let (address, path) = split("ws://127.0.0.1:8000/wse?topics=a").expect("valid");
        assert_eq!((address.port(), path.as_str()), (8000, "/wse?topics=a"));
        assert_eq!(split("ws://127.0.0.1:80").expect("valid").1, "/");
        assert!(split("http://127.0.0.1:80/").is_err());
    }
}
