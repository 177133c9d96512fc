//! The WebSocket layer over a byte stream: the handshake, a reader, an end such that the close frame arrives.
//!
//! ```text
//! http::Request -> handshake::check -> Key -> handshake::switching -> 101
//! socket, bytes the HTTP side read -> Reader -> Incoming: one whole message, ping, pong or close
//! wse_protocol::frame::{text, binary, pong, close} -> socket
//! WsError -> close_code -> frame::close -> linger: half-close, drain, done
//! ```
//!
//! It is not a connection: it starts no task, answers no ping and writes no frame. The rules of RFC 6455 are [`wse_protocol::ws`]'s.
mod error;
mod fields;
pub mod handshake;
mod incoming;
mod linger;
mod reader;

pub use error::WsError;
pub(crate) use fields::visible;
pub use fields::{Field, Fields};
pub use incoming::{CloseFrame, Incoming};
pub use linger::linger;
pub use reader::Reader;
pub use wse_protocol::ws::{DecodeError, Limits, MAX_MESSAGE_BYTES, Violation};
