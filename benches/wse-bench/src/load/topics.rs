//! Fan-out on one topic while there are many others: connections that are subscribed to those and get nothing.
//! Only for servers that take topics from the query as WSE does.
use super::{Target, UNDER_WAY, fanout};
use crate::{Result, pool::Pool, subject::TOPIC};
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

/// Runs it.
///
/// # Errors
/// A connection was refused or ended, or the server is gone.
pub fn run(target: &mut Target, plan: &Plan) -> Result<fanout::Outcome> {
    let mut pool = Pool::new(target.address, target.opening.clone())?;
    let mut first = 0;
    for from in (0..plan.others).step_by(TOPICS_EACH) {
        let topics: Vec<_> = (from..plan.others.min(from + TOPICS_EACH)).map(|number| format!("other-{number}")).collect();
        pool.set_path(&target.opening.path.replace(TOPIC, &topics.join(",")));
        first += 1;
        pool.open_to(first, UNDER_WAY, OPEN_TIME)?;
    }
    pool.set_path(&target.opening.path);
    pool.open_to(first + plan.fanout.subscribers, UNDER_WAY, OPEN_TIME)?;
    fanout::run_on(target, &plan.fanout, &mut pool, first).inspect(|_| pool.close())
}
