//! The load, one file per scenario: each drives one server for some seconds and says what that cost both sides.
pub mod beside;
pub mod connects;
mod crowd;
pub mod echo;
pub mod fanout;
pub mod idle;
pub mod ingest;
pub mod returns;
pub mod topics;

use crate::{
    Result,
    pool::Opening,
    server::Server,
    usage::{self, Usage},
};
use serde::Serialize;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The share of a core above which the load itself holds a run back.
pub const BUSY: f64 = 0.85;

const HEALTH_TIME: Duration = Duration::from_secs(5);

/// Connections that are opened at a time.
pub const UNDER_WAY: usize = 64;

/// What is measured: a server that the runner started, or anyone's.
#[derive(Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// How a client becomes a receiver.
    pub opening: Opening,
    /// Its process, to read what it uses.
    pub pid: Option<u32>,
    /// Present if the runner started it.
    pub server: Option<Server>,
    /// How its clients put messages.
    pub speech: Speech,
    /// It sends with `write` or `writev`, which the kernel counts for a process, and not with `send` or `sendmsg`.
    pub writes_counted: bool,
}

impl Target {
    /// How often a connection of it fell behind, if it is a WSE.
    fn fell_behind(&self) -> Option<u64> {
        let folder = self.opening.path.split('?').next().filter(|_| self.speech == Speech::Wse)?;
        let mut socket = TcpStream::connect_timeout(&self.address, HEALTH_TIME).ok()?;
        socket.set_read_timeout(Some(HEALTH_TIME)).ok()?;
        let request = format!("GET {folder}/health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        socket.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str::<serde_json::Value>(body).ok()?.get("fell_behind")?.as_u64()
    }
}

/// How a client's message to a server's handler looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speech {
    /// The message alone.
    #[default]
    Plain,
    /// An envelope of WSE.
    Wse,
    /// An event of socket.io.
    SocketIo,
}

impl Speech {
    /// A text frame's payload that has a handler echo the message.
    #[must_use]
    pub fn echo(self, message: &str) -> String {
        match self {
            Self::Plain => message.into(),
            Self::Wse => format!("{{\"v\":2,\"t\":\"echo\",\"cid\":\"1\",\"p\":{message}}}"),
            Self::SocketIo => format!("42[\"echo\",{message}]"),
        }
    }

    /// A text frame's payload of about `size` bytes that has a handler count it.
    #[must_use]
    pub fn count(self, size: usize) -> String {
        let (head, tail) = match self {
            Self::Plain => ("{\"kind\":\"count\",\"text\":\"", "\"}"),
            Self::Wse => ("{\"v\":2,\"t\":\"count\",\"p\":{\"text\":\"", "\"}}"),
            Self::SocketIo => ("42[\"count\",{\"text\":\"", "\"}]"),
        };
        format!("{head}{}{tail}", "x".repeat(size.saturating_sub(head.len() + tail.len())))
    }
}

/// What a stretch of time cost.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Costs {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// CPU seconds of the server; 0 where its process is not known.
    pub server_cpu: f64,
    /// CPU seconds of the load.
    pub load_cpu: f64,
    /// Write calls of the server that the kernel counts: `write` and `writev`, not `send`.
    pub server_writes: u64,
}

impl Costs {
    /// Whether the load was so busy that it may have held the server back.
    #[must_use]
    pub fn load_bound(&self) -> bool {
        self.load_cpu > BUSY * self.seconds
    }
}

/// A moment from which costs are counted.
#[derive(Debug)]
pub struct Moment {
    at: Instant,
    own: f64,
    server: Option<Usage>,
}

impl Moment {
    /// Now.
    ///
    /// # Errors
    /// The server is gone.
    pub fn now(pid: Option<u32>) -> Result<Self> {
        Ok(Self { at: Instant::now(), own: usage::own_seconds(), server: pid.map(Usage::of).transpose()? })
    }

    /// What it has cost until a later moment.
    #[must_use]
    pub fn until(&self, later: &Self) -> Costs {
        let server = self.server.as_ref().zip(later.server.as_ref());
        Costs {
            seconds: later.at.duration_since(self.at).as_secs_f64(),
            server_cpu: server.map_or(0.0, |(before, after)| after.seconds_since(before)),
            load_cpu: later.own - self.own,
            server_writes: server.map_or(0, |(before, after)| after.writes.saturating_sub(before.writes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_to_be_counted_has_the_size_asked_for_and_is_json() {
        for speech in [Speech::Plain, Speech::Wse] {
            let text = speech.count(128);
            assert_eq!(text.len(), 128);
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
        assert_eq!(Speech::SocketIo.count(128).len(), 128);
    }
}
