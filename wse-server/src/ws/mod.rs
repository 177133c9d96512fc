//! The WebSocket layer: the one module that knows fastwebsockets, and mends it.
//!
//! ```text
//! http::Request -> handshake::check -> Key -> handshake::switching -> 101
//! socket, bytes the HTTP side read -> Reader -> Incoming: one whole message, ping, pong or close
//! wse_protocol::frame::{text, binary, pong, close} -> socket
//! WsError -> close_code -> frame::close -> linger: half-close, drain, done
//! ```
//!
//! It is not a connection: it starts no task, answers no ping and writes no frame. What fastwebsockets 0.10 leaves open is closed here:
//!
//! | fastwebsockets 0.10 | here |
//! |---|---|
//! | takes unmasked frames from clients | 1002 |
//! | takes pongs and closes over 125 bytes | 1002 |
//! | bounds a frame, but not the sum of a message's fragments | both, before the payload is read: 1009 |
//! | leaves the close code of an error to its user | [`WsError::close_code`] |
//! | takes text fragments unchecked when split | checked fragment by fragment: 1007 |
mod collector;
mod error;
pub mod handshake;
mod limits;
mod linger;
mod reader;

pub use collector::{CloseFrame, Incoming};
pub use error::{Violation, WsError};
pub use limits::{Limits, MAX_MESSAGE_BYTES};
pub use linger::linger;
pub use reader::Reader;
