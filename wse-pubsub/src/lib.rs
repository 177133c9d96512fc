//! The WSE bus: every topic is an ordered log; the bus gives each message its position in one atomic step with storing it.
//!
//! It knows no connections: a hub shows its interest in topics and receives their entries, in order and without holes.
//!
//! ```text
//! publish(topic, publication) -> Bus -> log, position -> BusEvent::Entry -> every process with interest in the topic
//! ```
mod bus;
pub mod conformance;
mod handover;
mod memory;
mod random;
mod redis;

pub use bus::{Bus, BusError, BusEvent, BusHealth, Entry, History, HistoryGap, Receipt};
pub use handover::EventReceiver;
pub use memory::{MemoryBus, MemoryConfig};
pub use redis::{RedisBus, RedisConfig};
