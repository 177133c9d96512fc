//! Clients that lose their connections and return with their positions: what reaches them of a stream that never stops.
use super::{Costs, Moment, Target, UNDER_WAY, crowd::Crowd};
use crate::{
    BenchError, Result,
    control::Command,
    pool::{Opening, Pool},
    subject::TOPIC,
    tally::Tally,
    usage::Holding,
};
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

const TURN: Duration = Duration::from_millis(5);
const OPEN_TIME: Duration = Duration::from_secs(60);
/// How long nothing may come before what is missing is taken for lost.
const STALL: Duration = Duration::from_secs(5);
const WEIGH_EACH: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Clients, all of one topic.
    pub clients: usize,
    /// Bytes of a message.
    pub size: usize,
    /// Messages per second.
    pub rate: u32,
    /// How long messages are published.
    pub measured: Duration,
    /// Who loses the connection, and when.
    pub fate: Fate,
}

/// Who loses the connection, and when.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// Each client in turn, once in `every`; it returns after `away`.
    Each {
        /// From one loss to the next.
        every: Duration,
        /// Without a connection.
        away: Duration,
    },
    /// All of them at once, after a third of the time; all return as fast as the server takes them, so many at a time.
    All {
        /// Connections under way.
        under_way: usize,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Clients.
    pub clients: usize,
    /// Messages published.
    pub published: u64,
    /// What all clients received.
    pub whole: Tally,
    /// Deliveries that never came.
    pub lost: u64,
    /// Connections that were lost.
    pub losses: u64,
    /// Answers to who returned, by status.
    pub recovered: u64,
    /// Nothing had been missed.
    pub live: u64,
    /// Told that messages are lost.
    pub resyncs: u64,
    /// From the first return to the last answer, in seconds; of all at once.
    pub return_seconds: Option<f64>,
    /// From a connect to the answer that tells what was missed, in milliseconds: p50, p99, the longest.
    pub to_answer_ms: [f64; 3],
    /// Costs from the first message to the last.
    pub costs: Costs,
    /// What the server held before the first loss.
    pub before: Holding,
    /// The most that it held after that.
    pub most_rss: u64,
}

/// Runs it.
///
/// # Errors
/// A connection was refused or ended by the server, or the server is gone.
pub fn run(target: &mut Target, plan: &Plan) -> Result<Outcome> {
    let path = target.opening.path.split('?').next().unwrap_or_default().to_owned();
    let opening = Opening { path, hello: Some(hello(None)), ready: Some("server_ready".into()) };
    let mut run =
        Run { pool: Pool::new(target.address, opening)?, crowd: Crowd::new(plan.clients), losses: 0, most_rss: 0, weighed: Instant::now() };
    run.open(plan)?;
    let before = holding(target)?;
    let from = Moment::now(target.pid)?;
    tell(target, Command::Publish { burst: 1, size: plan.size, rate: plan.rate })?;
    let return_seconds = match plan.fate {
        Fate::Each { every, away } => run.each(target, plan, every, away).map(|()| None),
        Fate::All { under_way } => run.all(target, plan, under_way).map(Some),
    }?;
    let published = run.finish(target)?;
    let to = Moment::now(target.pid)?;
    let Run { pool, crowd, losses, most_rss, .. } = run;
    pool.close();
    let quantile = |share| crowd.answers.quantile(share) as f64 / 1e6;
    Ok(Outcome {
        clients: plan.clients,
        published,
        whole: crowd.tally,
        lost: (published * plan.clients as u64).saturating_sub(crowd.tally.received),
        losses,
        recovered: crowd.recovered,
        live: crowd.live,
        resyncs: crowd.resyncs,
        return_seconds,
        to_answer_ms: [quantile(0.5), quantile(0.99), quantile(1.0)],
        costs: from.until(&to),
        before,
        most_rss,
    })
}

struct Run {
    pool: Pool,
    crowd: Crowd,
    losses: u64,
    most_rss: u64,
    weighed: Instant,
}

impl Run {
    /// Everybody comes for the first time.
    fn open(&mut self, plan: &Plan) -> Result<()> {
        let mut waiting: VecDeque<usize> = (0..plan.clients).collect();
        let deadline = Instant::now() + OPEN_TIME;
        while self.crowd.answered() < plan.clients {
            self.admit(&mut waiting, UNDER_WAY)?;
            self.pool.turn(Some(TURN), &mut self.crowd)?;
            if Instant::now() > deadline {
                return Err(BenchError::Server(format!("has made {} of {} connections ready", self.crowd.answered(), plan.clients)));
            }
        }
        self.crowd.begin_to_count();
        Ok(())
    }

    /// Each client loses its connection in turn; at the end all are back.
    fn each(&mut self, target: &Target, plan: &Plan, every: Duration, away: Duration) -> Result<()> {
        let began = Instant::now();
        let first = |client: usize| began + every.mul_f64(client as f64 / plan.clients as f64);
        let mut due: BinaryHeap<Reverse<(Instant, usize)>> = (0..plan.clients).map(|client| Reverse((first(client), client))).collect();
        while let Some(&Reverse((at, client))) = due.peek() {
            if at > Instant::now() {
                self.turn(target)?;
                continue;
            }
            due.pop();
            if self.crowd.is_away(client) {
                self.start(client)?;
                due.push(Reverse((at + every.saturating_sub(away), client)));
            } else if began.elapsed() < plan.measured {
                self.lose(client);
                due.push(Reverse((at + away, client)));
            }
        }
        Ok(())
    }

    /// All clients lose their connections at once and return; seconds from the first return to the last answer.
    fn all(&mut self, target: &Target, plan: &Plan, under_way: usize) -> Result<f64> {
        let began = Instant::now();
        self.until(target, began + plan.measured / 3)?;
        (0..plan.clients).for_each(|client| self.lose(client));
        let (returning, answered) = (Instant::now(), self.crowd.answered());
        let mut waiting: VecDeque<usize> = (0..plan.clients).collect();
        while self.crowd.answered() - answered < plan.clients && returning.elapsed() < OPEN_TIME {
            self.admit(&mut waiting, under_way)?;
            self.turn(target)?;
        }
        let seconds = returning.elapsed().as_secs_f64();
        self.until(target, began + plan.measured)?;
        Ok(seconds)
    }

    fn admit(&mut self, waiting: &mut VecDeque<usize>, most: usize) -> Result<()> {
        while self.pool.under_way() < most {
            let Some(client) = waiting.pop_front() else { break };
            self.start(client)?;
        }
        Ok(())
    }

    fn start(&mut self, client: usize) -> Result<()> {
        let connection = self.pool.start_saying(hello(self.crowd.position(client).as_ref()))?;
        self.crowd.came(client, connection);
        Ok(())
    }

    fn lose(&mut self, client: usize) {
        if let Some(connection) = self.crowd.left(client) {
            self.pool.reset(connection);
            self.losses += 1;
        }
    }

    fn until(&mut self, target: &Target, deadline: Instant) -> Result<()> {
        while Instant::now() < deadline {
            self.turn(target)?;
        }
        Ok(())
    }

    fn turn(&mut self, target: &Target) -> Result<()> {
        if self.weighed.elapsed() > WEIGH_EACH {
            self.weighed = Instant::now();
            self.most_rss = self.most_rss.max(holding(target)?.rss);
        }
        self.pool.turn(Some(TURN), &mut self.crowd)
    }

    /// Has the server stop, and takes what is still on the way; how many messages there were.
    fn finish(&mut self, target: &mut Target) -> Result<u64> {
        tell(target, Command::Stop)?;
        let (mut moved, mut last, mut published) = (Instant::now(), self.crowd.tally.received, None);
        let all = self.crowd.clients() as u64;
        while moved.elapsed() < STALL && published.is_none_or(|count| self.crowd.tally.received < count * all) {
            self.turn(target)?;
            published = published.or_else(|| target.server.as_mut().and_then(|server| server.answer("published")));
            if self.crowd.tally.received > last {
                (moved, last) = (Instant::now(), self.crowd.tally.received);
            }
        }
        published.ok_or_else(|| BenchError::Server("did not say how much it published".into()))
    }
}

fn tell(target: &mut Target, command: Command) -> Result<()> {
    target.server.as_mut().map_or(Ok(()), |server| server.tell(command))
}

fn holding(target: &Target) -> Result<Holding> {
    Ok(target.pid.map(Holding::of).transpose()?.unwrap_or_default())
}

/// A client's first frame: its topic, and where it stands in it.
fn hello(position: Option<&(String, u64)>) -> String {
    let positions = position.map(|(epoch, seq)| format!(r#","positions":{{"{TOPIC}":{{"e":"{epoch}","seq":{seq}}}}}"#)).unwrap_or_default();
    format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{{"batch":true,"topics":["{TOPIC}"]{positions}}}}}"#)
}
