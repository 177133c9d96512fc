//! The WSE wire protocol, version 2: envelope, messages, codecs, frames, error and close codes, limits.
//!
//! It is not a connection: it reads no socket, clock or randomness. Bytes and values come in, bytes and values go out.
//!
//! ```text
//! bytes of a socket -> ws::Decoder -> whole messages, pings, pongs, a close, or why not
//! text   --------------> envelope::decode --------- Envelope -> messages::ClientMessage::decode -> one message kind
//! binary -> frame_body -> envelope::decode_msgpack /        \-> its Payload::parse -> a type of yours
//! Publication + Position -> encode::topic_message \
//! one message kind -------> its encode ------------- JSON text, or `M:` and MessagePack
//! ```
//!
//! ```
//! use wse_protocol::{envelope, messages::ClientMessage};
//!
//! let text = br#"{"v":2,"c":"WSE","t":"subscription","p":{"action":"subscribe","topics":["prices"]}}"#;
//! let envelope = envelope::decode(&mut text.to_vec()).unwrap();
//! assert!(matches!(ClientMessage::decode(envelope), Ok(ClientMessage::Subscription(_))));
//! ```
//!
//! The rules `[P-n]` are in `docs/PROTOCOL.md`.
mod check;
mod cut;
mod direct;
pub mod encode;
pub mod envelope;
mod error;
mod format;
pub mod frame;
pub mod generated;
mod into_payload;
pub mod messages;
mod msgpack;
mod origin;
mod payload;
mod position;
mod presence;
mod priority;
mod publication;
mod tagged;
mod tape;
mod time;
mod topic;
mod transcode;
pub mod ws;

pub use check::{check_depth, check_payload};
pub use compact_str::CompactString;
pub use cut::cut;
pub use direct::{Direct, SessionId};
pub use error::WireError;
pub use format::Format;
pub use generated::codes::{CloseCode, ErrorCode};
pub use generated::defaults;
pub use into_payload::IntoPayload;
pub use origin::Origin;
pub use payload::Payload;
pub use position::{Epoch, MAX_INTEGER, Position, Seq};
pub use presence::{Member, MemberId, PRESENCE, PRESENCE_COUNT, PresenceDiff, PresenceState, Watched, presence_count};
pub use priority::Priority;
pub use publication::Publication;
pub use simd_json::{OwnedValue as Value, prelude};
pub use tagged::{Tagged, frame_body};
pub use time::UnixMillis;
pub use topic::{Followed, Pattern, Topic};
pub use transcode::transcode;
