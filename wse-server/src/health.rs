//! What an engine says of its own state.
use crate::counters::Counters;
use serde::Serialize;
use std::{sync::atomic::Ordering::Relaxed, time::Duration};
use wse_pubsub::BusHealth;

/// Nothing is wrong.
pub(crate) const OK: &str = "ok";
/// The bus is not up, or a shard does not answer.
pub(crate) const DEGRADED: &str = "degraded";
/// Clients are sent away, whatever else there is.
const DRAINING: &str = "draining";

/// The state of an engine at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// `draining` once clients are sent away, else `degraded` when the bus is not up, else `ok`.
    pub status: &'static str,
    /// `memory` or `redis`.
    pub bus: &'static str,
    /// What is wrong with the bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bus_fault: Option<String>,
    /// Milliseconds since the bus was last proved to work.
    pub bus_proved_ms: u64,
    /// Connections now.
    pub connections: usize,
    /// Sockets of the engine's own listeners whose requests are not whole yet.
    pub handshakes: usize,
    /// Subscriptions now.
    pub subscriptions: usize,
    /// Topics that somebody follows now.
    pub topics: usize,
    /// Connections ever taken in.
    pub accepted: u64,
    /// Topic messages handed to connections.
    pub deliveries: u64,
    /// Messages handed to handlers.
    pub messages: u64,
    /// Times that a connection fell behind a topic and was to catch up from its log.
    pub fell_behind: u64,
    /// Times that a connection was told of lost messages.
    pub resyncs: u64,
    /// Times that a shard was so far behind with what it is told that a connection was closed with 1013, or a new one refused.
    pub overloads: u64,
    /// Times that births of a pattern were lost to a connection: more than `pattern_topics` waited for it, or the bus had lost them.
    pub births_lost: u64,
    /// Messages that had expired when their turn came, and were left out; every one was told.
    pub expired: u64,
    /// Clients told to go on over another connection, because this process drains.
    pub moves: u64,
    /// Those of them that had not gone in time, and were closed with 1012.
    pub moves_overdue: u64,
    /// Connections closed because they read too slowly.
    pub slow_consumers: u64,
    /// Times that the application was asked for a topic's state.
    pub snapshots: u64,
    /// Times that a call under way served one more.
    pub snapshots_shared: u64,
    /// States handed to connections.
    pub snapshots_sent: u64,
    /// Times that a connection was told that there is no state.
    pub snapshots_failed: u64,
    /// Times that a state was asked for again because the log ran away under it, or began anew.
    pub snapshots_again: u64,
    /// Gauge: bytes of messages held while states are made.
    pub snapshot_pinned_bytes: usize,
    /// Times that more would have been held than may be; then the log is all there is.
    pub snapshot_pins_broken: u64,
    /// Messages whose effect the client wants to know, handed to handlers.
    pub begun: u64,
    /// Repetitions of such messages that were answered with the outcome of the first.
    pub repeats_answered: u64,
    /// Repetitions of which it was not known what became of the first.
    pub outcomes_unknown: u64,
    /// Outcomes that the bus forgot before their time, because there were too many.
    pub outcomes_forgotten: u64,
    /// Publishes that repeated an earlier one by their idempotency key, and got its receipt.
    pub retries_answered: u64,
    /// Idempotency keys that were forgotten before their time, because there were too many.
    pub retries_forgotten: u64,
    /// Messages that came while the bus read what was before them, and were handed on behind it without a read of their own.
    pub reordered: u64,
    /// Messages that found no room then, and were read from the log.
    pub reorder_dropped: u64,
    /// Times that publishes in a row had no answer, and the circuit breaker opened.
    pub breaker_opened: u64,
    /// Publishes that failed at once while it was open.
    pub breaker_refused: u64,
    /// Messages whose handlers failed, put among the dead letters.
    pub dead_lettered: u64,
    /// Dead letters that were too old or too many.
    pub dead_letters_dropped: u64,
    /// Members of topics that this process has connections of, each counted in every topic.
    pub presence_members: usize,
    /// Times that clients entered a topic, or changed what others see there.
    pub presence_changes: u64,
    /// Calls to the bus that stored changes of members: changes that come close together are stored in one.
    pub presence_stores: u64,
    /// Those that failed, and were made again.
    pub presence_failures: u64,
    /// Members that the bus refused because there were too many.
    pub presence_refused: u64,
    /// Times that this process was not heard of for so long that others were told that its members have left; they came again then.
    pub presence_lapses: u64,
    /// Clients that were told then that others had taken their places.
    pub presence_evictions: u64,
    /// Members of other processes that this one found dead, and told to have left.
    pub presence_lapsed: u64,
    /// Seconds since the engine started.
    pub uptime_s: u64,
}

impl Health {
    /// Whether new clients go elsewhere ([P-69]): `health` is answered with 503 then.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.status == DRAINING
    }

    pub(crate) fn read(counters: &Counters, bus: BusHealth, uptime: Duration, draining: bool) -> Self {
        Self {
            status: if draining {
                DRAINING
            } else if bus.up {
                OK
            } else {
                DEGRADED
            },
            bus: bus.kind,
            bus_fault: bus.fault,
            bus_proved_ms: bus.proved.as_millis() as u64,
            connections: counters.connections.load(Relaxed),
            handshakes: counters.handshakes.load(Relaxed),
            subscriptions: counters.subscriptions.load(Relaxed),
            topics: counters.topics.load(Relaxed),
            accepted: counters.accepted.load(Relaxed),
            deliveries: counters.deliveries.load(Relaxed),
            messages: counters.messages.load(Relaxed),
            fell_behind: counters.fell_behind.load(Relaxed),
            resyncs: counters.resyncs.load(Relaxed),
            overloads: counters.overloads.load(Relaxed),
            births_lost: counters.births_lost.load(Relaxed),
            expired: counters.expired.load(Relaxed),
            moves: counters.moves.load(Relaxed),
            moves_overdue: counters.moves_overdue.load(Relaxed),
            slow_consumers: counters.slow_consumers.load(Relaxed),
            snapshots: counters.snapshots.load(Relaxed),
            snapshots_shared: counters.snapshots_shared.load(Relaxed),
            snapshots_sent: counters.snapshots_sent.load(Relaxed),
            snapshots_failed: counters.snapshots_failed.load(Relaxed),
            snapshots_again: counters.snapshots_again.load(Relaxed),
            snapshot_pinned_bytes: counters.snapshot_pinned_bytes.load(Relaxed),
            snapshot_pins_broken: counters.snapshot_pins_broken.load(Relaxed),
            begun: counters.begun.load(Relaxed),
            repeats_answered: counters.repeats_answered.load(Relaxed),
            outcomes_unknown: counters.outcomes_unknown.load(Relaxed),
            outcomes_forgotten: bus.outcomes_forgotten,
            retries_answered: bus.retries_answered,
            retries_forgotten: bus.retries_forgotten,
            reordered: bus.reordered,
            reorder_dropped: bus.reorder_dropped,
            breaker_opened: bus.breaker_opened,
            breaker_refused: bus.breaker_refused,
            dead_lettered: counters.dead_lettered.load(Relaxed),
            dead_letters_dropped: counters.dead_letters_dropped.load(Relaxed),
            presence_members: counters.presence_members.load(Relaxed),
            presence_changes: counters.presence_changes.load(Relaxed),
            presence_stores: counters.presence_stores.load(Relaxed),
            presence_failures: counters.presence_failures.load(Relaxed),
            presence_refused: bus.presence_refused,
            presence_lapses: counters.presence_lapses.load(Relaxed),
            presence_evictions: counters.presence_evictions.load(Relaxed),
            presence_lapsed: bus.presence_lapsed,
            uptime_s: uptime.as_secs(),
        }
    }
}
