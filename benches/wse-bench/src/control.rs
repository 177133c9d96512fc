//! What the runner tells a server under test, a line at a time on its standard input, and what that does with it.
//!
//! ```text
//! publish BURST SIZE RATE    begin at message 0: BURST messages of SIZE bytes in one turn; RATE messages per second, 0: as credit allows
//! credit N                   messages 0 to N-1 may be published; at rate 0 nothing may without
//! stop                       publish no more; answer {"published":N}
//! count                      answer {"handled":N}, the messages that the handler has been given
//! ```
//! The end of the input ends the server. To a client that will get what is published from then on it sends the text `ready`; a client's
//! message that begins with a stamp (behind the quote) it echoes, any other it counts as handled.
use crate::{
    Doing, Result,
    stamp::{self, Stamp},
};
use bytes::{Bytes, BytesMut};
use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::unix::pipe;

/// What a server of this tool sends a client that it has subscribed.
pub const READY: &str = "ready";

/// Messages that are published in one turn at a fixed rate, if a server fell behind it.
const MOST_DUE: u32 = 256;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Begin to publish.
    Publish {
        /// Messages in one turn.
        burst: u32,
        /// Bytes of each.
        size: usize,
        /// Messages per second; 0: as credit allows.
        rate: u32,
    },
    /// So many messages may have been published.
    Credit(u32),
    /// End it.
    Stop,
    /// Tell what was handled.
    Count,
}

impl Command {
    /// None for anything else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let verb = words.next()?;
        let mut number = || words.next()?.parse::<u32>().ok();
        match verb {
            "publish" => Some(Self::Publish { burst: number()?, size: number()? as usize, rate: number()? }),
            "credit" => Some(Self::Credit(number()?)),
            "stop" => Some(Self::Stop),
            "count" => Some(Self::Count),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish { burst, size, rate } => write!(f, "publish {burst} {size} {rate}"),
            Self::Credit(most) => write!(f, "credit {most}"),
            Self::Stop => f.write_str("stop"),
            Self::Count => f.write_str("count"),
        }
    }
}

/// How far a server may go: what is due, and when more will be.
#[derive(Debug, Default)]
pub struct Pace {
    burst: u32,
    size: usize,
    rate: u32,
    credit: u32,
    published: u32,
    running: bool,
    began: u64,
}

impl Pace {
    /// Takes a command; the answer to print, if there is one.
    pub fn handle(&mut self, command: Command, handled: u64, now: u64) -> Option<String> {
        match command {
            Command::Publish { burst, size, rate } => {
                *self = Self { burst: burst.max(1), size, rate, running: true, began: now, ..Self::default() };
            }
            Command::Credit(most) => self.credit = most,
            Command::Stop => {
                self.running = false;
                return Some(format!("{{\"published\":{}}}", self.published));
            }
            Command::Count => return Some(format!("{{\"handled\":{handled}}}")),
        }
        None
    }

    /// Messages to publish now, in one turn.
    #[must_use]
    pub fn due(&self, now: u64) -> u32 {
        match self.rate {
            _ if !self.running => 0,
            0 => self.burst.min(self.credit.saturating_sub(self.published)),
            rate => {
                let due = 1 + (u128::from(now.saturating_sub(self.began)) * u128::from(rate) / 1_000_000_000) as u32;
                due.saturating_sub(self.published).min(MOST_DUE)
            }
        }
    }

    /// How long until something is due; none: not before a command.
    #[must_use]
    pub fn wait(&self, now: u64) -> Option<Duration> {
        if self.due(now) > 0 {
            return Some(Duration::ZERO);
        }
        if !self.running || self.rate == 0 {
            return None;
        }
        let at = self.began + (u128::from(self.published) * 1_000_000_000 / u128::from(self.rate)) as u64;
        Some(Duration::from_nanos(at.saturating_sub(now).max(1)))
    }

    /// What is due, each as `written` makes it of a JSON string; counts it as published. Like payloads that a program has ready, they lie in
    /// one piece, and cost the server little.
    pub fn turn(&mut self, now: u64, written: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<Bytes> {
        let count = self.due(now);
        let mut message = written(stamp::message(self.size, Stamp { number: self.published, nanos: now }));
        let mut piece = BytesMut::with_capacity(message.len() * count as usize);
        let numbers = self.published..self.published + count;
        self.published += count;
        let next = |number| {
            stamp::renumber(&mut message, number);
            piece.extend_from_slice(&message);
            piece.split().freeze()
        };
        numbers.map(next).collect()
    }

    /// The next message; counts it as published.
    pub fn next(&mut self, now: u64) -> Vec<u8> {
        let message = stamp::message(self.size, Stamp { number: self.published, nanos: now });
        self.published += 1;
        message
    }
}

/// Splits what comes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    /// Adds bytes, and takes the commands that are whole now; lines that are none are left out.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Command> {
        self.bytes.extend_from_slice(bytes);
        let Some(end) = self.bytes.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.bytes.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().filter_map(Command::parse).collect()
    }
}

/// Standard input as a descriptor that does not block.
///
/// # Errors
/// It cannot be set so.
pub fn input() -> Result<OwnedFd> {
    let input = rustix::io::dup(io::stdin()).doing("standard input")?;
    rustix::io::ioctl_fionbio(&input, true).doing("standard input")?;
    Ok(input)
}

/// What a server under test does to publish.
pub trait Publish {
    /// A JSON string as it is published.
    fn written(&self, message: Vec<u8>) -> Vec<u8> {
        message
    }

    /// Publishes messages in one turn.
    fn publish(&mut self, messages: Vec<Bytes>) -> impl Future<Output = ()>;
}

/// Does what the runner says until the input ends: the main function of a server on tokio.
///
/// # Errors
/// Standard input cannot be read.
pub async fn drive(publisher: &mut impl Publish, handled: Arc<AtomicU64>) -> Result<()> {
    let input = pipe::Receiver::from_owned_fd(input()?).doing("standard input")?;
    let (mut lines, mut pace) = (Lines::default(), Pace::default());
    loop {
        let wait = pace.wait(stamp::now());
        tokio::select! {
            biased;
            commands = read(&input, &mut lines) => {
                let Some(commands) = commands? else { return Ok(()) };
                for command in commands {
                    if let Some(answer) = pace.handle(command, handled.load(Relaxed), stamp::now()) {
                        println!("{answer}");
                    }
                }
            }
            () = pause(wait) => {
                let now = stamp::now();
                let messages = pace.turn(now, |message| publisher.written(message));
                publisher.publish(messages).await;
            }
        }
    }
}

async fn pause(wait: Option<Duration>) {
    match wait {
        None => std::future::pending().await,
        Some(Duration::ZERO) => tokio::task::yield_now().await,
        Some(wait) => tokio::time::sleep(wait).await,
    }
}

/// The commands of one read; none at the end. Loses nothing when it is dropped.
async fn read(input: &pipe::Receiver, lines: &mut Lines) -> Result<Option<Vec<Command>>> {
    let mut buffer = [0; 4096];
    loop {
        input.readable().await.doing("standard input")?;
        match input.try_read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => return Ok(Some(lines.feed(&buffer[..count]))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).doing("standard input"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_it_is_written() {
        for command in [Command::Publish { burst: 3, size: 128, rate: 7 }, Command::Credit(9), Command::Stop, Command::Count] {
            assert_eq!(Command::parse(&command.to_string()), Some(command));
        }
        assert_eq!(Command::parse("credit"), None);
        assert_eq!(Command::parse("publish 1 2 x"), None);
    }

    #[test]
    fn lines_are_taken_when_they_are_whole() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(b"credit 1\ncred"), [Command::Credit(1)]);
        assert_eq!(lines.feed(b"it 2"), []);
        assert_eq!(lines.feed(b"5\nstop\n"), [Command::Credit(25), Command::Stop]);
    }

    #[test]
    fn nothing_is_due_beyond_the_credit() {
        let mut pace = Pace::default();
        pace.handle(Command::Publish { burst: 4, size: 64, rate: 0 }, 0, 0);
        assert_eq!((pace.due(0), pace.wait(0)), (0, None));
        pace.handle(Command::Credit(6), 0, 0);
        assert_eq!((pace.due(0), pace.wait(0)), (4, Some(Duration::ZERO)));
        (0..4).for_each(|_| drop(pace.next(0)));
        assert_eq!(pace.due(0), 2);
        let rest = pace.turn(0, |message| [b"> ".to_vec(), message].concat());
        let numbers = |messages: &[Bytes]| messages.iter().map(|m| stamp::read(&m[3..]).map(|stamp| stamp.number)).collect::<Vec<_>>();
        assert_eq!((numbers(&rest), pace.due(0)), (vec![Some(4), Some(5)], 0));
        pace.handle(Command::Publish { burst: 4, size: 64, rate: 0 }, 0, 0);
        pace.handle(Command::Credit(4), 0, 0);
        (0..4).for_each(|_| drop(pace.next(0)));
        assert_eq!(pace.handle(Command::Stop, 0, 0).as_deref(), Some("{\"published\":4}"));
        assert_eq!((pace.due(0), pace.wait(0)), (0, None));
    }

    #[test]
    fn at_a_rate_messages_are_due_by_the_clock() {
        let mut pace = Pace::default();
        pace.handle(Command::Publish { burst: 1, size: 64, rate: 1000 }, 0, 5_000_000);
        assert_eq!(pace.due(5_000_000), 1);
        assert_eq!(pace.due(7_500_000), 3);
        (0..3).for_each(|_| drop(pace.next(0)));
        assert_eq!(pace.wait(7_500_000), Some(Duration::from_micros(500)));
    }
}
