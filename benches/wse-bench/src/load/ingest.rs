//! Ingest: clients send as fast as the server reads; what counts is what its handler was given.
use super::{Costs, Moment, Target, UNDER_WAY};
use crate::{
    BenchError, Result,
    control::Command,
    pool::{Ignore, Pool},
    scan,
};
use serde::Serialize;
use std::{
    thread,
    time::{Duration, Instant},
};

const OPEN_TIME: Duration = Duration::from_secs(30);
const STALL: Duration = Duration::from_secs(3);
/// Bytes offered to a socket at a time.
const BLOCK: usize = 128 << 10;
const MASK: [u8; 4] = [0x9c, 0x51, 0x0e, 0xd3];

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Connections that send.
    pub connections: usize,
    /// Bytes of a message as sent, without its frame's header.
    pub size: usize,
    /// How long they send.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that the handler was given.
    pub handled: u64,
    /// Messages that never reached it.
    pub lost: u64,
    /// Costs from the first message to the last that was handled.
    pub costs: Costs,
}

/// Runs it.
///
/// # Errors
/// The server was not started by this tool, refused a connection, or ended one.
pub fn run(target: &mut Target, plan: &Plan) -> Result<Outcome> {
    let pid = target.pid;
    let mut pool = Pool::new(target.address, target.opening.clone())?;
    pool.open_to(plan.connections, UNDER_WAY, OPEN_TIME)?;
    let before = count(target)?;
    let from = Moment::now(pid)?;
    let sent = send_all(&mut pool, target, plan)?;
    let (handled, to) = await_handled(&mut pool, target, before, sent)?;
    pool.close();
    Ok(Outcome { sent, handled, lost: sent.saturating_sub(handled), costs: from.until(&to) })
}

/// Sends whole blocks until the time is over, then what remains of the last; how many messages that was.
fn send_all(pool: &mut Pool, target: &Target, plan: &Plan) -> Result<u64> {
    let mut frame = Vec::new();
    scan::push_client_frame(&mut frame, 1, target.speech.count(plan.size).as_bytes(), MASK);
    let each = (BLOCK / frame.len()).max(1);
    let block = frame.repeat(each);
    let (deadline, mut sent) = (Instant::now() + plan.measured, 0);
    while Instant::now() < deadline {
        for number in 0..plan.connections {
            if pool.unsent(number) == 0 {
                pool.send(number, &block)?;
                sent += each as u64;
            }
        }
        // A wait while any socket takes more would be the load's own limit.
        let is_full = (0..plan.connections).all(|number| pool.unsent(number) > 0);
        pool.turn(Some(if is_full { Duration::from_millis(1) } else { Duration::ZERO }), &mut Ignore)?;
    }
    while (0..plan.connections).any(|number| pool.unsent(number) > 0) {
        pool.turn(Some(Duration::from_millis(5)), &mut Ignore)?;
        if Instant::now() > deadline + OPEN_TIME {
            return Err(BenchError::Server("stopped reading".into()));
        }
    }
    Ok(sent)
}

fn await_handled(pool: &mut Pool, target: &mut Target, before: u64, sent: u64) -> Result<(u64, Moment)> {
    let (mut moved, mut handled) = (Instant::now(), 0);
    let mut end = Moment::now(target.pid)?;
    while handled < sent && moved.elapsed() < STALL {
        thread::sleep(Duration::from_millis(2));
        pool.turn(Some(Duration::ZERO), &mut Ignore)?;
        let now = count(target)? - before;
        if now > handled {
            (moved, handled, end) = (Instant::now(), now, Moment::now(target.pid)?);
        }
    }
    Ok((handled, end))
}

fn count(target: &mut Target) -> Result<u64> {
    match &mut target.server {
        Some(server) => server.ask(Command::Count, "handled"),
        None => Err(BenchError::Usage("ingest is counted by the server's handler: it needs a server that this tool starts".into())),
    }
}
