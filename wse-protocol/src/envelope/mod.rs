//! The envelope: decoding of one frame into its header and payload, from both formats by the same rules.
mod header;
mod json;
mod msgpack;

use crate::{Epoch, ErrorCode, Format, Origin, Payload, Priority, Seq, WireError, defaults};
use compact_str::CompactString;

/// Levels that a frame may have ([P-12]): a constant of the protocol. The decoders recurse no deeper, so that no frame exhausts a stack.
const DEPTH: usize = defaults::NESTING_DEPTH as usize;

/// Whose message it is ([P-10]).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The protocol's own.
    Protocol,
    /// A snapshot.
    Snapshot,
    /// An update: what applications send.
    #[default]
    Update,
}

impl Category {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "WSE",
            Self::Snapshot => "S",
            Self::Update => "U",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Protocol, Self::Snapshot, Self::Update].into_iter().find(|category| category.as_str() == text)
    }
}

/// One decoded frame; the decoders box it, since it is moved more often than it is looked at. Strings are within the lengths of [P-10], integers within [P-11]; `v` is 2 and not kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// `t`: the message kind or event type; in place up to 24 bytes.
    pub event_type: CompactString,
    /// `c`.
    pub category: Category,
    /// `id`.
    pub id: Option<Box<str>>,
    /// `ts`, as sent.
    pub ts: Option<Box<str>>,
    /// `tp`.
    pub topic: Option<Box<str>>,
    /// `e`.
    pub epoch: Option<Epoch>,
    /// `seq`.
    pub seq: Option<Seq>,
    /// `ps`: the message before this one that passed the filter.
    pub previous: Option<Seq>,
    /// `k`.
    pub key: Option<Box<str>>,
    /// `pri`.
    pub priority: Priority,
    /// `cid`.
    pub cid: Option<Box<str>>,
    /// `pid`, `n`, `na` and `pe`: of a message whose effect the client wants to know.
    pub origin: Option<Box<Origin>>,
    /// `p`; null when absent.
    pub payload: Payload,
}

impl Envelope {
    /// What an answer to this message refers to: its `cid`, else its `id` ([P-27]).
    #[must_use]
    pub fn reference(&self) -> Option<Box<str>> {
        self.cid.clone().or_else(|| self.id.clone())
    }
}

/// One frame of a server.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) envelope: Box<Envelope>,
    /// The envelopes in a `batch`; none for another message, and where `p` is no array.
    pub(crate) items: Option<Vec<Envelope>>,
}

impl Received {
    /// Decodes a body as [`decode`] and [`decode_msgpack`] do; each envelope of a `batch` by the same rules, its depth counted from itself ([P-37]).
    pub(crate) fn decode(format: Format, body: &mut [u8]) -> Result<Self, WireError> {
        match format {
            Format::Json => json::decode_received(body, DEPTH),
            Format::Msgpack => msgpack::decode_received(body, DEPTH),
        }
    }
}

/// `t` of a batch on the wire.
pub(crate) const BATCH: &str = "batch";

/// Levels of a batch around its envelopes: its own, and the array.
const BATCH_LEVELS: usize = 2;

fn is_batch(envelope: &Envelope) -> bool {
    envelope.category == Category::Protocol && &*envelope.event_type == BATCH
}

/// A fault in one of its envelopes is the batch's.
fn of_item(error: WireError) -> WireError {
    WireError::new(ErrorCode::InvalidMessage, format!("batch: {error}"))
}

/// Decodes one text frame; `frame` is scratch afterwards (simd-json unescapes in place).
///
/// # Errors
/// `INVALID_JSON`, `TOO_DEEP`, `UNSUPPORTED_VERSION` or `INVALID_MESSAGE`, naming the `cid` or `id` where it could be read.
pub fn decode(frame: &mut [u8]) -> Result<Box<Envelope>, WireError> {
    json::decode(frame, DEPTH)
}

/// Decodes what follows the `M:` of a binary frame. Nothing is reserved by a length that the frame only claims.
///
/// # Errors
/// `INVALID_MSGPACK`, `TOO_DEEP`, `UNSUPPORTED_VERSION` or `INVALID_MESSAGE`, naming the `cid` or `id` where it could be read.
pub fn decode_msgpack(body: &[u8]) -> Result<Box<Envelope>, WireError> {
    msgpack::decode(body, DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> Result<Box<Envelope>, ErrorCode> {
        json::decode(&mut text.as_bytes().to_vec(), 4).map_err(|e| e.code)
    }

    #[test]
    fn depth_counts_the_envelope_and_stops_at_the_limit() {
        assert!(decoded(r#"{"v":2,"t":"a","p":[[[]],[1],{}]}"#).is_ok());
        assert_eq!(decoded(r#"{"v":2,"t":"a","p":[[[[]]]]}"#), Err(ErrorCode::TooDeep));
        let hostile = format!("{{\"v\":2,\"t\":\"a\",\"p\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(decoded(&hostile), Err(ErrorCode::TooDeep));
    }

    #[test]
    fn an_error_names_the_message_it_is_about() {
        let error = decode(&mut br#"{"v":2,"t":7,"cid":"q1","id":"m1"}"#.to_vec()).expect_err("t is no string");
        assert_eq!((error.code, error.cid.as_deref()), (ErrorCode::InvalidMessage, Some("q1")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_msgpack(&bytes);
            let _ = decode(&mut bytes);
        }

        #[test]
        fn no_cut_or_changed_byte_of_a_good_frame_makes_the_decoder_panic(at in 0..64_usize, byte: u8) {
            let mut body = Vec::new();
            crate::encode::client_message(&mut body, crate::Format::Msgpack, "t", "m1", Some("c1"), &[("a", [1.5, 2.0]), ("b", [0.0, -1.0])]);
            let mut body = body.split_off(2);
            let at = at % body.len();
            prop_assert!(decode_msgpack(&body).is_ok());
            prop_assert!(decode_msgpack(&body[..at]).is_err());
            body[at] = byte;
            let _ = decode_msgpack(&body);
        }
    }
}
