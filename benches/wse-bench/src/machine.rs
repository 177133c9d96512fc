//! The machine: its cores, its limit of descriptors, what to say of it in a report.
use crate::{BenchError, Doing, Result};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use serde::{Deserialize, Serialize};
use std::fs;

/// What a report says of where it was made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Open files that one process may have.
    pub descriptors: u64,
    /// Average number of runnable tasks over the last minute when the run began: other load beside it.
    pub load: f64,
}

impl Machine {
    /// This one, now.
    #[must_use]
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
            line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let first = |text: String| text.split_whitespace().next().unwrap_or_default().to_owned();
        let memory = first(after(&text("/proc/meminfo"), "MemTotal")).parse::<u64>().unwrap_or(0) * 1024;
        Self {
            processor: after(&text("/proc/cpuinfo"), "model name"),
            cores: cores().len(),
            kernel: first(text("/proc/sys/kernel/osrelease")),
            memory,
            descriptors: raise_descriptors(),
            load: first(text("/proc/loadavg")).parse().unwrap_or(0.0),
        }
    }
}

/// The cores that this process may use.
#[must_use]
pub fn cores() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// Keeps this thread, and what it starts from now on, on a core.
///
/// # Errors
/// There is no such core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).doing("pinning to a core")
}

/// Raises this process's limit of open files as far as it may, and returns it.
pub fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = if raised.is_ok() { limit.maximum } else { limit.current };
    now.unwrap_or(u64::MAX)
}

/// Refuses a number of connections that this process's limit of open files does not allow.
///
/// # Errors
/// It does not.
pub fn check_descriptors(connections: usize) -> Result<()> {
    const SPARE: u64 = 100;
    let limit = raise_descriptors();
    if connections as u64 + SPARE > limit {
        return Err(BenchError::Usage(format!("{connections} connections need {SPARE} open files more; the limit is {limit} (ulimit -n)")));
    }
    Ok(())
}
