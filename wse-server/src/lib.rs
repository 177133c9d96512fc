//! The WSE engine: WebSocket connections, their hub and their bus, for a Rust service or under another language's server.
//!
//! It is not a web framework: it takes upgraded streams from its own [`listener`], from hyper or axum, or sockets that
//! another server accepted, and runs one [`wse_core::session::Session`] on each.
//!
//! ```text
//! publish -> Bus -> hub: encode once -> connections: one write -> socket
//! socket -> frames -> Session -> Host: authenticate, message -> reply -> socket
//! ```
//!
//! ```no_run
//! use serde::Deserialize;
//! use wse_server::{App, Engine, EngineConfig, listener};
//!
//! #[derive(Deserialize)]
//! struct Order { item: String, count: u32 }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::new(Engine::start(EngineConfig::default())?)
//!     .on("order", |message| async move { message.payload.parse().map(|Order { item, count }| format!("{count} x {item}")) });
//! listener::listen("127.0.0.1:8000".parse()?, "/wse", &app).await?;
//! # Ok(())
//! # }
//! ```
mod admission;
mod app;
mod auth;
mod config;
mod connection;
mod counters;
mod driver;
mod engine;
mod gate;
mod health;
mod host;
mod hub;
mod idempotent;
pub mod listener;
mod origin;
mod policy;
mod presence;
mod shard;
mod snapshot;
mod tally;
#[cfg(test)]
mod tests;
mod transport;
pub mod ws;

pub use admission::{Admission, RequestHead, SUBPROTOCOL};
pub use app::{App, Message, SnapshotRequest};
pub use config::{BusChoice, EngineConfig, PresenceConfig, SnapshotConfig};
pub use engine::{Engine, Inspection, NewMessage, Outcomes, Presence, PresenceError, SendError, StartError};
pub use health::Health;
pub use host::{ConnectionId, Host, SharedHost};
pub use idempotent::IdempotentTypes;
pub use policy::{Policies, TopicPolicy, TopicScope};
pub use shard::AsyncStream;
pub use snapshot::{Sharing, SnapshotCall};
pub use tally::{Links, Tally};
pub use transport::{Channel, ChannelFrame, PeerFrame};
pub use wse_crypto::token;
