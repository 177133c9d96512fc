//! One WSE connection's rules as a sans-io [`session::Session`], and the stages it is made of.
//!
//! It is not a server: it owns no socket, task or clock. Frames, commands and the time come in; frames and events go out.
//!
//! ```text
//! driver -> handle_frame(now, text) -> Session -> poll_event() -> driver asks hub, authenticator, handlers
//! hub, authenticator, handlers -> deliver / welcome / reply -> Session -> poll_transmit(now) -> driver -> peer
//! ```
//!
//! The stages are plain structs: `new(config)`, one main verb, `poll_timeout` where time matters, a bound, counters. Those of one
//! connection take an `Instant` as `now`, those of a bus the time since any fixed instant.
mod backoff;
mod batcher;
mod circuit_breaker;
mod compressor;
mod dedup;
pub mod filter;
mod health_score;
mod lanes;
pub mod log;
mod prepared;
pub mod presence;
mod reorder;
mod run;
mod sequencer;
pub mod session;
mod token_bucket;
mod variant;
mod wire;

pub use backoff::{Backoff, BackoffConfig};
pub use batcher::{BatchCounts, BatchLimits, Batcher, Batches};
pub use circuit_breaker::{BreakerConfig, BreakerCounts, CircuitBreaker};
pub use compressor::{CompressionCounts, Compressor, CompressorConfig, InflateError, InflateLimits, Inflater};
pub use dedup::{DedupCounts, DedupLimits, DedupWindow};
pub use equivalent::Equivalent;
pub use health_score::{Health, HealthScore};
pub use lanes::{Hole, Lanes, Next, Shed, ShedCounts, SlowPolicy};
pub use prepared::Prepared;
pub use reorder::{Pushed, ReorderBuffer, ReorderCounts, ReorderLimits};
pub use run::{Chunk, Run};
pub use sequencer::Sequencer;
pub use token_bucket::TokenBucket;
pub use variant::Variant;
pub use wire::{Moment, Numbered, Wire, WireConfig};
