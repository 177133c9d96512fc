//! Idle: what a connection that does nothing costs the server in memory and descriptors, as the slope between two numbers of them.
//! What the kernel holds for a socket is not in it.
use super::{Target, UNDER_WAY};
use crate::{
    BenchError, Result,
    pool::{Ignore, Pool},
    usage::Holding,
};
use serde::Serialize;
use std::time::{Duration, Instant};

const OPEN_TIME: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Connections at the first reading.
    pub few: usize,
    /// Connections at the second.
    pub many: usize,
    /// How long they do nothing before a reading.
    pub settle: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// What the server held with few connections.
    pub few: Holding,
    /// What it held with many.
    pub many: Holding,
    /// Resident bytes for each connection more.
    pub bytes_each: f64,
    /// Descriptors for each connection more.
    pub descriptors_each: f64,
}

/// Runs it.
///
/// # Errors
/// The process is not known, or a connection was refused or ended.
pub fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let pid = target.pid.ok_or_else(|| BenchError::Usage("idle reads the server's memory: name its process with --pid".into()))?;
    let mut pool = Pool::new(target.address, target.opening.clone())?;
    let few = hold(&mut pool, plan.few, plan.settle, pid)?;
    let many = hold(&mut pool, plan.many, plan.settle, pid)?;
    let more = (plan.many - plan.few) as f64;
    pool.close();
    Ok(Outcome {
        few,
        many,
        bytes_each: (many.rss as f64 - few.rss as f64) / more,
        descriptors_each: (many.descriptors as f64 - few.descriptors as f64) / more,
    })
}

fn hold(pool: &mut Pool, connections: usize, settle: Duration, pid: u32) -> Result<Holding> {
    pool.open_to(connections, UNDER_WAY, OPEN_TIME)?;
    let deadline = Instant::now() + settle;
    while Instant::now() < deadline {
        pool.turn(Some(Duration::from_millis(20)), &mut Ignore)?;
    }
    Holding::of(pid)
}
