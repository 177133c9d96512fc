//! What a process uses, read from `/proc`.
use crate::{Doing, Result};
use serde::Serialize;
use std::fs;

const TICKS_PER_SECOND: u64 = 100;

/// What a process has used so far, and holds now.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Nanoseconds of CPU of each thread, by thread.
    threads: Vec<(u32, u64)>,
    /// Nanoseconds of CPU in all, in steps of 10 ms; ended threads count.
    ticks: u64,
    /// `write`, `writev` and their like; `send` and `sendmsg` are not in this count of the kernel.
    pub writes: u64,
}

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Holding {
    /// Resident bytes.
    pub rss: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// Of a process.
    ///
    /// # Errors
    /// It is gone, or another user's.
    pub fn of(pid: u32) -> Result<Self> {
        let mut threads = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).doing("reading the server's threads")?.flatten() {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let id = task.file_name().to_string_lossy().parse();
            if let (Ok(id), Some(Ok(nanos))) = (id, text.split(' ').next().map(str::parse)) {
                threads.push((id, nanos));
            }
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).doing("reading the server's CPU")?;
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        Ok(Self { threads, ticks: ticks(&stat) * (1_000_000_000 / TICKS_PER_SECOND), writes: field(&io, "syscw:") })
    }

    /// CPU seconds since an earlier reading: exact, unless a thread has ended meanwhile.
    #[must_use]
    pub fn seconds_since(&self, earlier: &Self) -> f64 {
        let now = |id: u32| self.threads.iter().find(|(other, _)| *other == id).map(|(_, nanos)| *nanos);
        let before: u64 = earlier.threads.iter().map(|(_, nanos)| nanos).sum();
        let all_live = !earlier.threads.is_empty() && earlier.threads.iter().all(|(id, _)| now(*id).is_some());
        let nanos = if all_live {
            self.threads.iter().map(|(_, nanos)| nanos).sum::<u64>().saturating_sub(before)
        } else {
            self.ticks.saturating_sub(earlier.ticks)
        };
        nanos as f64 / 1e9
    }
}

impl Holding {
    /// Of a process.
    ///
    /// # Errors
    /// It is gone, or another user's.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).doing("reading the server's memory")?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).doing("reading the server's descriptors")?.count();
        Ok(Self { rss: field(&status, "VmRSS:") * 1024, descriptors })
    }
}

/// CPU seconds of this process so far.
#[must_use]
pub fn own_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// User and system ticks; the name in parentheses may hold anything.
fn ticks(stat: &str) -> u64 {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    value.split_whitespace().next().and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_past_any_process_name() {
        assert_eq!(ticks("12 (a) b) 99 S) R 1 1 1 0 -1 4194560 1 0 0 0 70 30 0 0 20 0 1 0"), 100);
    }

    #[test]
    fn this_process_is_seen_to_work() {
        let before = Usage::of(std::process::id()).expect("own process");
        let own = own_seconds();
        while own_seconds() - own < 0.03 {}
        let used = Usage::of(std::process::id()).expect("own process").seconds_since(&before);
        assert!(used >= 0.02, "{used}");
        assert!(Holding::of(std::process::id()).is_ok_and(|holding| holding.rss > 100_000 && holding.descriptors > 2));
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        assert_eq!(field("rchar: 5\nsyscw: 77\n", "syscw:"), 77);
        assert_eq!(field("VmRSS:\t  1234 kB\n", "VmRSS:"), 1234);
        assert_eq!(field("", "VmRSS:"), 0);
    }
}
