//! The WSE bus: every topic is an ordered log; the bus gives each message its position in one atomic step with storing it.
//!
//! It knows no connections: each shard of a hub is a consumer, shows its interest in topics and patterns, and receives their
//! entries and births, in order and without holes.
//!
//! ```text
//! publish(topic, publication) -> Bus -> log, position -> BusEvent::Run -> every consumer with interest in the topic
//! ```
mod bus;
pub mod conformance;
mod dead_letters;
mod direct;
mod event;
mod handover;
mod memory;
mod presence;
mod producers;
mod random;
mod redis;

pub use bus::{Bus, BusError, BusHealth, NewEntry, Receipt, Tried};
pub use dead_letters::{Claim, DeadLetter, DeadLetterLimits, DeadLetters};
pub use direct::DirectLimits;
pub use event::{Births, BusEvent, Consumer, Entry, Following, History, HistoryGap, Run};
pub use handover::EventReceiver;
pub use memory::{MemoryBus, MemoryConfig};
pub use presence::{Change, Held, Incarnation, Presence, PresenceLimits};
pub use producers::{Begin, Begun, Outcome, OutcomeLimits, Producer, Producers};
pub use redis::{RedisBus, RedisConfig};
pub use wse_core::log::PageLimit;
