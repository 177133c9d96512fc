//! Measures WebSocket servers over loopback by what a receiver got.
//!
//! The load generator is one thread over epoll with non-blocking sockets. It parses every frame, reads a stamp (number and time)
//! from every message, and so knows what is missing, doubled or out of order; it reports its own CPU and says when it is the one
//! that holds a run back. It is *not* a conforming WebSocket client: it offers no extensions and trusts a server's UTF-8.
//!
//! ```text
//! runner --(stdin: publish, credit, stop, count)--> server (one core)
//!    |                                                 | frames
//!    +--- load (the other core) <----------------------+   -> Tally, Histogram, Usage -> ratios against the floor
//! ```
pub mod aims;
pub mod chart;
pub mod cli;
pub mod compare;
pub mod control;
pub mod handshake;
pub mod histogram;
pub mod inbound;
pub mod judged;
pub mod load;
pub mod machine;
pub mod own;
pub mod page;
pub mod plan;
pub mod pool;
pub mod report;
pub mod returning;
pub mod runner;
pub mod scan;
pub mod scenario;
pub mod server;
pub mod stamp;
pub mod subject;
pub mod tally;
pub mod usage;
pub mod versions;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The operating system's.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// The server's: it refused, closed or broke the framing.
    #[error("the server {0}")]
    Server(String),
    /// The caller's: the command line or a missing program.
    #[error("{0}")]
    Usage(String),
}

/// What a measurement gives.
pub type Result<T> = std::result::Result<T, BenchError>;

/// Names what was being done when the operating system failed.
pub trait Doing<T> {
    /// Adds the words.
    ///
    /// # Errors
    /// The one given, with its words.
    fn doing(self, what: &str) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|error| BenchError::Io(what.into(), error.into()))
    }
}
