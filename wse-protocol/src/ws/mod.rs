//! WebSocket frames as a server receives them (RFC 6455): bytes of a socket in, whole messages and control frames out.
//!
//! It is not a connection: it reads no socket, answers no ping and writes no frame ([`frame`](crate::frame) makes those).
//!
//! ```text
//! one read buffer, shared by all connections of a thread
//!   -> Decoder::decode, again and again until it gives None
//!        -> Incoming, borrowed from the read buffer where a message lies whole within it, else from the decoder's own
//!        -> DecodeError -> close_code -> frame::close
//! ```
//!
//! ```
//! use wse_protocol::ws::{Decoder, Incoming, Limits};
//!
//! let mut decoder = Decoder::new(Limits::default());
//! let mut read = *b"\x81\x82\x00\x00\x00\x00hi\x89\x80\x00\x00\x00\x00\x81";
//! let mut input = &mut read[..];
//! assert_eq!(decoder.decode(&mut input), Ok(Some(Incoming::Text(&mut b"hi".to_owned()))));
//! assert_eq!(decoder.decode(&mut input), Ok(Some(Incoming::Ping(b""))));
//! assert_eq!(decoder.decode(&mut input), Ok(None)); // all is taken; one byte of a header is kept
//! assert!(input.is_empty());
//! ```
mod assembly;
mod decoder;
mod error;
mod header;
mod incoming;
mod limits;
mod mask;
#[cfg(test)]
mod tests;
mod utf8;

pub use decoder::Decoder;
pub use error::{DecodeError, Violation};
pub use incoming::Incoming;
pub use limits::{Limits, MAX_MESSAGE_BYTES};
