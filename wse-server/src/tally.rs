//! What a shard's connections, frames and filters come to: counted where they are, without atomics, and asked for by `Engine::inspect`.
use serde::Serialize;
use wse_core::{BatchCounts, CompressionCounts, Health as Link, ShedCounts, session::Session};
use wse_protocol::{CloseCode, ErrorCode};

/// Connections by how well their clients answer pings.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Links {
    /// Nothing is noticed.
    pub excellent: u64,
    /// Answers in time, or was not asked yet.
    pub good: u64,
    /// Slow, unsteady, or a pong was lost.
    pub fair: u64,
    /// Anything worse.
    pub poor: u64,
}

/// Counts of one shard, or of all. Those that are no gauges only grow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// Gauge: connections by how well their clients answer pings.
    pub links: Links,
    /// Gauge: connections that are not read for now, since they sent faster than their rate.
    pub rate_held: u64,
    /// Connections closed because they would not keep to their rate.
    pub rate_closed: u64,
    /// Messages left out for newer ones of their key; every one was told.
    pub skipped_latest: u64,
    /// Messages left out for more important ones; every one was told.
    pub skipped_drop_low: u64,
    /// Messages that expired while they waited for a client that did not read, counted for each client; every one was told.
    pub skipped_ttl: u64,
    /// Frames compressed, each once for all who get it.
    pub compressed: u64,
    /// Bytes that these are smaller.
    pub compression_saved_bytes: u64,
    /// Compressed frames that clients sent.
    pub inflated: u64,
    /// Compressed frames that were refused.
    pub inflate_refused: u64,
    /// Batches made, each once for all who get it.
    pub batches: u64,
    /// Messages in them.
    pub batched: u64,
    /// Gauge: filters that something is judged by.
    pub filter_classes: u64,
    /// Payloads that were not what their publishers said, for which null was sent.
    pub unreadable: u64,
}

impl Tally {
    /// A connection that is there.
    pub(crate) fn connection(&mut self, session: &Session) {
        let links = &mut self.links;
        *match session.link().judge() {
            Link::Excellent => &mut links.excellent,
            Link::Good => &mut links.good,
            Link::Fair => &mut links.fair,
            Link::Poor => &mut links.poor,
        } += 1;
        self.rate_held += u64::from(session.is_held_back());
        self.shed(session.shed());
    }

    /// A connection that ends.
    pub(crate) fn closed(&mut self, shed: ShedCounts, code: CloseCode, reason: &str) {
        self.shed(shed);
        self.rate_closed += u64::from(code == CloseCode::TRY_LATER && reason == ErrorCode::RateLimited.as_str());
    }

    /// What a shard made for its connections, and read of them.
    pub(crate) fn frames(&mut self, out: CompressionCounts, batches: BatchCounts, inflated: CompressionCounts) {
        self.compressed += out.messages;
        self.compression_saved_bytes += out.bytes_in.saturating_sub(out.bytes_out);
        self.batches += batches.batches;
        self.batched += batches.batched;
        self.inflated += inflated.messages;
        self.inflate_refused += inflated.skipped;
    }

    fn shed(&mut self, shed: ShedCounts) {
        self.skipped_latest += shed.latest;
        self.skipped_drop_low += shed.drop_low;
        self.skipped_ttl += shed.expired;
    }

    /// Adds another shard's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.links.excellent += other.links.excellent;
        self.links.good += other.links.good;
        self.links.fair += other.links.fair;
        self.links.poor += other.links.poor;
        self.rate_held += other.rate_held;
        self.rate_closed += other.rate_closed;
        self.skipped_latest += other.skipped_latest;
        self.skipped_drop_low += other.skipped_drop_low;
        self.skipped_ttl += other.skipped_ttl;
        self.compressed += other.compressed;
        self.compression_saved_bytes += other.compression_saved_bytes;
        self.inflated += other.inflated;
        self.inflate_refused += other.inflate_refused;
        self.batches += other.batches;
        self.batched += other.batched;
        self.filter_classes += other.filter_classes;
        self.unreadable += other.unreadable;
    }
}
