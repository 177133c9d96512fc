//! One WSE connection's rules as a sans-io [`session::Session`], and the stages it is made of.
//!
//! It is not a server: it owns no socket, task or clock. Frames, commands and the time come in; frames and events go out.
//!
//! ```text
//! driver -> handle_frame(now, text) -> Session -> poll_event() -> driver asks hub, authenticator, handlers
//! hub, authenticator, handlers -> deliver / welcome / reply -> Session -> poll_transmit(now) -> driver -> peer
//! ```
pub mod log;
mod prepared;
pub mod session;

pub use prepared::Prepared;
