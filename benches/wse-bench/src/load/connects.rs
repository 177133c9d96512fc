//! Connects: connections are opened, a bounded number at a time, and ended as soon as they are ready.
use super::{Costs, Moment, Target};
use crate::{
    Result,
    pool::{Ignore, Pool},
};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Connections under way at a time.
    pub under_way: usize,
    /// Before anything is counted.
    pub warmup: Duration,
    /// What is counted.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Connections that became ready in the time that is counted.
    pub connects: u64,
    /// Costs of that time.
    pub costs: Costs,
}

/// Runs it.
///
/// # Errors
/// A connection was refused.
pub fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let mut pool = Pool::new(target.address, target.opening.clone())?;
    let mut ended = 0;
    until(&mut pool, plan, plan.warmup, &mut ended)?;
    let (from, before) = (Moment::now(target.pid)?, ended);
    until(&mut pool, plan, plan.measured, &mut ended)?;
    let (to, after) = (Moment::now(target.pid)?, ended);
    pool.close();
    Ok(Outcome { connects: (after - before) as u64, costs: from.until(&to) })
}

fn until(pool: &mut Pool, plan: &Plan, time: Duration, ended: &mut usize) -> Result<()> {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        while pool.under_way() < plan.under_way {
            pool.start()?;
        }
        pool.turn(Some(Duration::from_millis(5)), &mut Ignore)?;
        *ended += pool.reset_ready();
    }
    Ok(())
}
