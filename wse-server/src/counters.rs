//! What an engine has done, counted; read by `health`.
use std::sync::atomic::{AtomicU64, AtomicUsize};

/// Counters of one engine; each only grows but the gauges, which say so.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Gauge: connections now.
    pub(crate) connections: AtomicUsize,
    /// Gauge: sockets of the engine's own listeners whose requests are not whole yet.
    pub(crate) handshakes: AtomicUsize,
    /// Gauge: subscriptions now.
    pub(crate) subscriptions: AtomicUsize,
    /// Gauge: topics that somebody follows now.
    pub(crate) topics: AtomicUsize,
    /// Connections ever taken in.
    pub(crate) accepted: AtomicU64,
    /// Topic messages handed to connections.
    pub(crate) deliveries: AtomicU64,
    /// Messages handed to handlers.
    pub(crate) messages: AtomicU64,
    /// Times that a connection fell behind a topic and was to catch up from its log.
    pub(crate) fell_behind: AtomicU64,
    /// Times that a connection was told of lost messages.
    pub(crate) resyncs: AtomicU64,
    /// Times that a shard's queue of commands had no room: for a connection's, or for a new connection.
    pub(crate) overloads: AtomicU64,
    /// Times that births of a pattern were lost to a connection, which was told.
    pub(crate) births_lost: AtomicU64,
    /// Times that the application was asked for a topic's state.
    pub(crate) snapshots: AtomicU64,
    /// Times that a call under way served one more.
    pub(crate) snapshots_shared: AtomicU64,
    /// States handed to connections.
    pub(crate) snapshots_sent: AtomicU64,
    /// Times that a connection was told that there is no state.
    pub(crate) snapshots_failed: AtomicU64,
    /// Times that a state was asked for again because the log ran away under it, or began anew.
    pub(crate) snapshots_again: AtomicU64,
    /// Gauge: bytes of messages held while states are made.
    pub(crate) snapshot_pinned_bytes: AtomicUsize,
    /// Times that more would have been held than may be.
    pub(crate) snapshot_pins_broken: AtomicU64,
    /// Messages that had expired when their turn came, and were left out.
    pub(crate) expired: AtomicU64,
    /// Messages whose effect the client wants to know, handed to handlers.
    pub(crate) begun: AtomicU64,
    /// Repetitions of such messages that were answered with the outcome of the first.
    pub(crate) repeats_answered: AtomicU64,
    /// Repetitions of which it was not known what became of the first.
    pub(crate) outcomes_unknown: AtomicU64,
    /// Messages whose handlers failed, put among the dead letters.
    pub(crate) dead_lettered: AtomicU64,
    /// Dead letters that were too old or too many.
    pub(crate) dead_letters_dropped: AtomicU64,
    /// Gauge: members of topics that this process has connections of.
    pub(crate) presence_members: AtomicUsize,
    /// Times that clients entered a topic, or changed what others see there.
    pub(crate) presence_changes: AtomicU64,
    /// Calls to the bus that stored changes of members.
    pub(crate) presence_stores: AtomicU64,
    /// Those that failed, and were made again.
    pub(crate) presence_failures: AtomicU64,
    /// Times that others were told that this process's members have left, because it was not heard of.
    pub(crate) presence_lapses: AtomicU64,
    /// Clients told that the room they were in was full when their members were entered again.
    pub(crate) presence_evictions: AtomicU64,
    /// Clients told to go on over another connection.
    pub(crate) moves: AtomicU64,
    /// Those of them that had not gone in time, and were closed.
    pub(crate) moves_overdue: AtomicU64,
    /// Connections closed because they read too slowly.
    pub(crate) slow_consumers: AtomicU64,
}
