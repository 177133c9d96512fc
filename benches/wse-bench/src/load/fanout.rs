//! Fan-out: one stream of messages to many subscribers, counted as it arrives.
//!
//! Saturated, the server publishes a burst whenever every subscriber has had the one `window` messages before: the load hands out
//! credit. So no server's queues grow, none is called a slow consumer, and bursts (messages per write) are the same for all.
use super::{Costs, Moment, Target, UNDER_WAY, beside::Beside};
use crate::{
    BenchError, Result,
    control::Command,
    histogram::Histogram,
    pool::{Pool, Sink},
    stamp,
    tally::{Finder, Sequence, Tally},
    usage::Holding,
};
use serde::Serialize;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const TURN: Duration = Duration::from_millis(5);
const STALL: Duration = Duration::from_secs(3);
const OPEN_TIME: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Connections that get every message.
    pub subscribers: usize,
    /// Bytes of a message, without what a server puts around it.
    pub size: usize,
    /// What drives it.
    pub drive: Drive,
    /// Before anything is counted.
    pub warmup: Duration,
    /// What is counted.
    pub measured: Duration,
    /// Subscribers more that never read; what they get is not counted.
    pub stalled: usize,
    /// Clients more that come and go all the time, so many under way at once.
    pub churn: usize,
}

impl Default for Plan {
    fn default() -> Self {
        let (warmup, measured) = (Duration::from_millis(200), Duration::from_secs(1));
        Self { subscribers: 100, size: 128, drive: Drive::Saturated { burst: 32, window: 32 }, warmup, measured, stalled: 0, churn: 0 }
    }
}

/// What makes a server publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// As fast as all subscribers read.
    Saturated {
        /// Messages published in one turn.
        burst: u32,
        /// Messages that the slowest subscriber may lack; a multiple of the burst.
        window: u32,
    },
    /// So many messages per second, whoever reads them.
    Rate(u32),
    /// Somebody else: the load only listens.
    Listen,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Subscribers.
    pub subscribers: usize,
    /// Messages received in the time that is counted.
    pub deliveries: u64,
    /// Costs of that time.
    pub costs: Costs,
    /// Reads of the load in that time.
    pub reads: u64,
    /// Bytes received in that time, frame headers included.
    pub bytes: u64,
    /// The whole run, warm-up and end included.
    pub whole: Tally,
    /// Messages that the server published in the whole run; none: it was not asked.
    pub published: Option<u64>,
    /// Deliveries that never came.
    pub lost: u64,
    /// Publish to receive, in nanoseconds: p50, p99, p99.9. Of the time that is counted; only at a fixed rate.
    pub latency: Option<[u64; 3]>,
    /// What the server held at the end of the time that is counted.
    pub holding: Holding,
    /// Clients that came and went beside it.
    pub gone: u64,
    /// How often a connection fell behind and was to catch up from the log, of a server that says so; only beside stalled ones.
    pub behind: Option<u64>,
    /// Whether the server's writes are among those that the kernel counts; see [`Target`].
    pub writes_counted: bool,
}

impl Outcome {
    /// CPU seconds of the server per million deliveries.
    #[must_use]
    pub fn cpu_per_million(&self) -> f64 {
        self.costs.server_cpu * 1e6 / self.deliveries as f64
    }

    /// Deliveries per CPU second of the server.
    #[must_use]
    pub fn per_cpu_second(&self) -> f64 {
        self.deliveries as f64 / self.costs.server_cpu
    }

    /// Messages per write of the server; none where the kernel does not count its calls.
    #[must_use]
    pub fn per_write(&self) -> Option<f64> {
        (self.writes_counted && self.costs.server_writes > 0).then(|| self.deliveries as f64 / self.costs.server_writes as f64)
    }
}

/// Runs it.
///
/// # Errors
/// A connection was refused or ended, or the server is gone.
pub fn run(target: &mut Target, plan: &Plan) -> Result<Outcome> {
    let mut pool = Pool::new(target.address, target.opening.clone())?;
    pool.open_to(plan.subscribers, UNDER_WAY, OPEN_TIME)?;
    run_on(target, plan, &mut pool, 0).inspect(|_| pool.close())
}

/// Runs it on connections that are open: those from `first` on are the subscribers.
///
/// # Errors
/// As [`run`].
pub fn run_on(target: &mut Target, plan: &Plan, pool: &mut Pool, first: usize) -> Result<Outcome> {
    let beside = Beside::begin(target, plan.stalled, plan.churn)?;
    let fell_before = (plan.stalled > 0).then(|| target.fell_behind()).flatten();
    let mut run = Run::begin(target, plan, first, beside)?;
    run.until(target, pool, plan.warmup)?;
    run.receiver.times = matches!(plan.drive, Drive::Rate(_)).then(Histogram::default);
    let (from, before, reads) = (Moment::now(target.pid)?, run.receiver.tally, pool.reads);
    run.until(target, pool, plan.measured)?;
    let (to, after) = (Moment::now(target.pid)?, run.receiver.tally);
    let holding = target.pid.map(Holding::of).transpose()?.unwrap_or_default();
    let reads = pool.reads - reads;
    let times = run.receiver.times.take();
    let published = run.finish(target, pool)?;
    let (whole, gone) = (run.receiver.tally, run.beside.gone);
    let behind = fell_before.and_then(|before| Some(target.fell_behind()? - before));
    run.beside.end();
    Ok(Outcome {
        subscribers: plan.subscribers,
        deliveries: after.received - before.received,
        costs: from.until(&to),
        reads,
        bytes: after.bytes - before.bytes,
        whole,
        published,
        lost: published.map_or(whole.missing, |published| (published * plan.subscribers as u64).saturating_sub(whole.received)),
        latency: times.map(|times| [0.5, 0.99, 0.999].map(|share| times.quantile(share))),
        holding,
        gone,
        behind,
        writes_counted: target.writes_counted,
    })
}

struct Run {
    receiver: Receiver,
    subscribers: u64,
    beside: Beside,
}

impl Run {
    fn begin(target: &mut Target, plan: &Plan, first: usize, beside: Beside) -> Result<Self> {
        let (burst, window, rate) = match plan.drive {
            Drive::Saturated { burst, window } => (burst, window, 0),
            Drive::Rate(rate) => (1, 0, rate),
            Drive::Listen => (0, 0, 0),
        };
        if let Some(server) = target.server.as_mut().filter(|_| plan.drive != Drive::Listen) {
            server.tell(Command::Publish { burst, size: plan.size, rate })?;
            if window > 0 {
                server.tell(Command::Credit(window))?;
            }
        }
        let receiver = Receiver::new(first, plan.subscribers, Credit::new(burst, window, plan.subscribers));
        Ok(Self { receiver, subscribers: plan.subscribers as u64, beside })
    }

    fn until(&mut self, target: &mut Target, pool: &mut Pool, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.beside.turn()?;
            self.turn(target, pool)?;
        }
        Ok(())
    }

    fn turn(&mut self, target: &mut Target, pool: &mut Pool) -> Result<()> {
        pool.turn(Some(TURN), &mut self.receiver)?;
        if let (Some(most), Some(server)) = (self.receiver.credit.take(), &mut target.server) {
            server.tell(Command::Credit(most))?;
        }
        Ok(())
    }

    /// Has the server stop and takes what is still on the way; how many messages there were.
    fn finish(&mut self, target: &mut Target, pool: &mut Pool) -> Result<Option<u64>> {
        if target.server.is_none() {
            return Ok(None);
        }
        let mut published = None;
        self.receiver.credit = Credit::new(0, 0, 0);
        target.server.as_mut().map_or(Ok(()), |server| server.tell(Command::Stop))?;
        let (mut moved, mut last) = (Instant::now(), self.receiver.tally.received);
        while moved.elapsed() < STALL && published.is_none_or(|count| self.receiver.tally.received < count * self.subscribers) {
            self.turn(target, pool)?;
            published = published.or_else(|| target.server.as_mut().and_then(|server| server.answer("published")));
            if self.receiver.tally.received > last {
                (moved, last) = (Instant::now(), self.receiver.tally.received);
            }
        }
        published.map(Some).ok_or_else(|| BenchError::Server("did not say how much it published".into()))
    }
}

struct Receiver {
    first: usize,
    readers: Vec<Reader>,
    finder: Finder,
    tally: Tally,
    credit: Credit,
    times: Option<Histogram>,
    now: u64,
}

struct Reader {
    sequence: Sequence,
    /// The number at which it has had another burst.
    threshold: u32,
}

impl Receiver {
    fn new(first: usize, subscribers: usize, credit: Credit) -> Self {
        let reader = |_| Reader { sequence: Sequence::default(), threshold: credit.burst.max(1) };
        let readers = (0..subscribers).map(reader).collect();
        Self { first, readers, finder: Finder::default(), tally: Tally::default(), credit, times: None, now: 0 }
    }
}

impl Sink for Receiver {
    fn reading(&mut self) {
        if self.times.is_some() {
            self.now = stamp::now();
        }
    }

    #[inline]
    fn message(&mut self, connection: usize, payload: &[u8], wire: usize) {
        let Self { first, readers, finder, tally, credit, times, now } = self;
        let Some(reader) = connection.checked_sub(*first).and_then(|at| readers.get_mut(at)) else { return };
        tally.bytes += wire as u64;
        let stamped = finder.stamps(payload, |stamp| {
            reader.sequence.enter(stamp.number, tally);
            while reader.sequence.next() >= reader.threshold && credit.burst > 0 {
                credit.pass(reader.threshold);
                reader.threshold += credit.burst;
            }
            if let Some(times) = times {
                times.enter(now.saturating_sub(stamp.nanos));
            }
        });
        tally.unstamped += u64::from(!stamped);
    }
}

/// Counts how many subscribers have had each burst, and gives credit for another when all have.
#[derive(Debug)]
struct Credit {
    burst: u32,
    window: u32,
    subscribers: usize,
    /// Bursts that all have had.
    done: u32,
    /// Of each burst after these, how many have had it.
    passed: VecDeque<usize>,
    granted: Option<u32>,
}

impl Credit {
    fn new(burst: u32, window: u32, subscribers: usize) -> Self {
        let burst = if window > 0 { burst } else { 0 };
        Self { burst, window, subscribers, done: 0, passed: VecDeque::new(), granted: None }
    }

    /// A subscriber has had all messages before `threshold`, a multiple of the burst.
    fn pass(&mut self, threshold: u32) {
        let Some(at) = (threshold / self.burst).checked_sub(self.done + 1) else { return };
        let at = at as usize;
        if self.passed.len() <= at {
            self.passed.resize(at + 1, 0);
        }
        self.passed[at] += 1;
        while self.passed.front() == Some(&self.subscribers) {
            self.passed.pop_front();
            self.done += 1;
            self.granted = Some(self.done * self.burst + self.window);
        }
    }

    fn take(&mut self) -> Option<u32> {
        self.granted.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_follows_the_slowest_subscriber() {
        let mut credit = Credit::new(4, 8, 2);
        credit.pass(4);
        credit.pass(8);
        assert_eq!(credit.take(), None);
        credit.pass(4);
        assert_eq!(credit.take(), Some(12));
        credit.pass(8);
        assert_eq!(credit.take(), Some(16));
        assert_eq!(credit.take(), None);
    }

    #[test]
    fn a_stalled_subscriber_holds_all_credit_back() {
        let mut credit = Credit::new(1, 1, 3);
        (1..=5).for_each(|threshold| credit.pass(threshold));
        (1..=5).for_each(|threshold| credit.pass(threshold));
        assert_eq!(credit.take(), None);
    }
}
