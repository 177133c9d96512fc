//! Echo: each connection sends a message when the answer to its last one has come, and the load measures how long that took.
use super::{Costs, Moment, Target, UNDER_WAY};
use crate::{
    Result,
    histogram::Histogram,
    pool::{Pool, Sink},
    stamp::{self, Stamp},
    tally::Finder,
};
use serde::Serialize;
use std::time::{Duration, Instant};

const OPEN_TIME: Duration = Duration::from_secs(30);
const STALL: Duration = Duration::from_secs(3);

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Connections, each with one message under way.
    pub connections: usize,
    /// Bytes of a message.
    pub size: usize,
    /// Before anything is counted.
    pub warmup: Duration,
    /// What is counted.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Answers received in the time that is counted.
    pub answers: u64,
    /// Answers to another message than the last: lost, doubled or out of order.
    pub wrong: u64,
    /// Costs of that time.
    pub costs: Costs,
    /// Send to receive, in nanoseconds: p50, p99, p99.9.
    pub round_trip: [u64; 3],
}

/// Runs it.
///
/// # Errors
/// A connection was refused or ended, or answers stopped coming.
pub fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let mut pool = Pool::new(target.address, target.opening.clone())?;
    pool.open_to(plan.connections, UNDER_WAY, OPEN_TIME)?;
    let mut echo = Echo { target, size: plan.size, sent: vec![0; plan.connections], answers: Answers::default() };
    (0..plan.connections).try_for_each(|number| echo.send(&mut pool, number))?;
    echo.until(&mut pool, plan.warmup)?;
    echo.answers.times = Histogram::default();
    let from = Moment::now(target.pid)?;
    echo.until(&mut pool, plan.measured)?;
    let to = Moment::now(target.pid)?;
    pool.close();
    let times = &echo.answers.times;
    Ok(Outcome {
        answers: times.len(),
        wrong: echo.answers.wrong,
        costs: from.until(&to),
        round_trip: [0.5, 0.99, 0.999].map(|share| times.quantile(share)),
    })
}

struct Echo<'a> {
    target: &'a Target,
    size: usize,
    sent: Vec<u32>,
    answers: Answers,
}

impl Echo<'_> {
    fn send(&mut self, pool: &mut Pool, number: usize) -> Result<()> {
        let message = stamp::message(self.size, Stamp { number: self.sent[number], nanos: stamp::now() });
        pool.send_text(number, self.target.speech.echo(&String::from_utf8_lossy(&message)).as_bytes())
    }

    fn until(&mut self, pool: &mut Pool, time: Duration) -> Result<()> {
        let (deadline, mut moved) = (Instant::now() + time, Instant::now());
        while Instant::now() < deadline {
            pool.turn(Some(Duration::from_millis(5)), &mut self.answers)?;
            for (number, stamp) in std::mem::take(&mut self.answers.arrived) {
                moved = Instant::now();
                self.answers.wrong += u64::from(stamp.number != self.sent[number]);
                self.sent[number] = self.sent[number].wrapping_add(1);
                self.send(pool, number)?;
            }
            if moved.elapsed() > STALL {
                return Err(crate::BenchError::Server("echoed nothing for 3 s".into()));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Answers {
    arrived: Vec<(usize, Stamp)>,
    times: Histogram,
    finder: Finder,
    wrong: u64,
}

impl Sink for Answers {
    fn message(&mut self, connection: usize, payload: &[u8], _: usize) {
        let Self { arrived, times, finder, .. } = self;
        finder.stamps(payload, |stamp| {
            times.enter(stamp::now().saturating_sub(stamp.nanos));
            arrived.push((connection, stamp));
        });
    }
}
