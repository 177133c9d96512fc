//! Fan-out on one topic while there are many others: connections that are subscribed to those and get nothing.
//! Others only for servers that take topics from the query as WSE does.
use super::{Moment, Target, UNDER_WAY, fanout};
use crate::{Result, pool::Pool, subject::TOPIC};
use serde::Serialize;
use std::time::Duration;

const OPEN_TIME: Duration = Duration::from_secs(120);
/// Other topics on one connection: within WSE's default limit of 128.
const TOPICS_EACH: usize = 100;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The fan-out on the one topic.
    pub fanout: fanout::Plan,
    /// Other topics.
    pub others: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// On the one topic.
    pub fanout: fanout::Outcome,
    /// CPU seconds of the server for a subscription to another topic, the first and the last tenth of them; the connection is in it.
    pub subscribing: Option<[f64; 2]>,
}

/// Runs it.
///
/// # Errors
/// A connection was refused or ended, or the server is gone.
pub fn run(target: &mut Target, plan: &Plan) -> Result<Outcome> {
    let mut pool = Pool::new(target.address, target.opening.clone())?;
    let connections = plan.others.div_ceil(TOPICS_EACH);
    let mut moments = vec![Moment::now(target.pid)?];
    for number in 0..connections {
        if number == connections / 10 || number == connections * 9 / 10 {
            moments.push(Moment::now(target.pid)?);
        }
        let from = number * TOPICS_EACH;
        let topics: Vec<_> = (from..plan.others.min(from + TOPICS_EACH)).map(|number| format!("other-{number}")).collect();
        pool.set_path(&target.opening.path.replace(TOPIC, &topics.join(",")));
        pool.open_to(number + 1, UNDER_WAY, OPEN_TIME)?;
    }
    moments.push(Moment::now(target.pid)?);
    pool.set_path(&target.opening.path);
    pool.open_to(connections + plan.fanout.subscribers, UNDER_WAY, OPEN_TIME)?;
    let fanout = fanout::run_on(target, &plan.fanout, &mut pool, connections)?;
    pool.close();
    let subscribing = match &moments[..] {
        [begin, tenth, ninth, end] if connections >= 10 => {
            let tenths = (connections / 10, connections - connections * 9 / 10);
            let each = |costs: super::Costs, connections: usize| costs.server_cpu / (connections * TOPICS_EACH) as f64;
            Some([each(begin.until(tenth), tenths.0), each(ninth.until(end), tenths.1)])
        }
        _ => None,
    };
    Ok(Outcome { fanout, subscribing })
}
