//! The envelope: decoding of one text frame into its header and payload.
use crate::{Epoch, ErrorCode, Priority, Seq, Value, WireError};
use serde::{Deserialize, Deserializer, de};
use simd_json::prelude::*;
use simd_json::{ErrorType, Node, Tape};

/// Whose message it is ([P-10]).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Category {
    /// The protocol's own.
    #[serde(rename = "WSE")]
    Protocol,
    /// A snapshot.
    #[serde(rename = "S")]
    Snapshot,
    /// An update: what applications send.
    #[default]
    #[serde(rename = "U")]
    Update,
}

/// One decoded frame. Strings are within the lengths of [P-10], integers within [P-11].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Envelope {
    /// `v`, which is always 2.
    #[serde(rename = "v")]
    _version: u64,
    /// `t`: the message kind or event type.
    #[serde(rename = "t", deserialize_with = "text::<_, 256>")]
    pub event_type: Box<str>,
    /// `c`.
    #[serde(rename = "c", default)]
    pub category: Category,
    /// `id`.
    #[serde(default, deserialize_with = "optional_text::<_, 64>")]
    pub id: Option<Box<str>>,
    /// `ts`, as sent.
    #[serde(default, deserialize_with = "optional_text::<_, 64>")]
    pub ts: Option<Box<str>>,
    /// `tp`.
    #[serde(rename = "tp", default, deserialize_with = "optional_text::<_, 200>")]
    pub topic: Option<Box<str>>,
    /// `e`.
    #[serde(rename = "e", default, deserialize_with = "present")]
    pub epoch: Option<Epoch>,
    /// `seq`.
    #[serde(default, deserialize_with = "present")]
    pub seq: Option<Seq>,
    /// `ps`: the message before this one that passed the filter.
    #[serde(rename = "ps", default, deserialize_with = "present")]
    pub previous: Option<Seq>,
    /// `k`.
    #[serde(rename = "k", default, deserialize_with = "optional_text::<_, 256>")]
    pub key: Option<Box<str>>,
    /// `pri`.
    #[serde(rename = "pri", default)]
    pub priority: Priority,
    /// `cid`.
    #[serde(default, deserialize_with = "optional_text::<_, 64>")]
    pub cid: Option<Box<str>>,
    /// `p`; null when absent.
    #[serde(rename = "p", default)]
    pub payload: Value,
}

impl Envelope {
    /// What an answer to this message refers to: its `cid`, else its `id` ([P-27]).
    #[must_use]
    pub fn reference(&self) -> Option<Box<str>> {
        self.cid.clone().or_else(|| self.id.clone())
    }
}

/// Decodes one text frame; `frame` is scratch afterwards (simd-json unescapes in place). `depth` is the limit of [P-12].
///
/// # Errors
/// `INVALID_JSON`, `TOO_DEEP`, `UNSUPPORTED_VERSION` or `INVALID_MESSAGE`, naming the `cid` or `id` where it could be read.
pub fn decode(frame: &mut [u8], depth: usize) -> Result<Envelope, WireError> {
    let tape = simd_json::to_tape(frame).map_err(|e| not_json(&e, depth))?;
    let Some(header) = tape.as_value().as_object() else {
        return Err(WireError::new(ErrorCode::InvalidJson, "the frame is JSON but not an object"));
    };
    if deeper_than(&tape, depth) {
        return Err(too_deep(depth));
    }
    let reference = ["cid", "id"].into_iter().find_map(|key| header.get(key).and_then(|v| v.into_string()).filter(|s| s.len() <= 64));
    match header.get("v").and_then(|v| v.as_u64()) {
        Some(version) if version != crate::defaults::PROTOCOL_VERSION => {
            let error = WireError::new(ErrorCode::UnsupportedVersion, format!("this server speaks version 2, the frame says {version}"));
            return Err(error.answering(reference.map(Box::from)));
        }
        _ => {}
    }
    tape.deserialize().map_err(|e| {
        WireError::new(ErrorCode::InvalidMessage, format!("the envelope is not valid: {e}")).answering(reference.map(Box::from))
    })
}

fn not_json(error: &simd_json::Error, depth: usize) -> WireError {
    match error.error() {
        // The parser's own limit, 1,024 levels, is above ours.
        ErrorType::DepthLimitExceeded => too_deep(depth),
        _ => WireError::new(ErrorCode::InvalidJson, format!("the frame is not JSON: {error}")),
    }
}

fn too_deep(depth: usize) -> WireError {
    WireError::new(ErrorCode::TooDeep, format!("nested deeper than {depth} levels"))
}

fn deeper_than(tape: &Tape<'_>, limit: usize) -> bool {
    let mut ends: Vec<usize> = Vec::with_capacity(limit + 1);
    for (index, node) in tape.0.iter().enumerate() {
        while ends.last().is_some_and(|end| *end < index) {
            ends.pop();
        }
        if let Node::Object { count, .. } | Node::Array { count, .. } = node {
            if ends.len() == limit {
                return true;
            }
            ends.push(index + count);
        }
    }
    false
}

fn text<'de, D: Deserializer<'de>, const MAX: usize>(input: D) -> Result<Box<str>, D::Error> {
    let text = Box::<str>::deserialize(input)?;
    if (1..=MAX).contains(&text.len()) { Ok(text) } else { Err(de::Error::custom(format!("a header string has 1 to {MAX} bytes"))) }
}

/// A value that may be absent, but not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}

fn optional_text<'de, D: Deserializer<'de>, const MAX: usize>(input: D) -> Result<Option<Box<str>>, D::Error> {
    text::<D, MAX>(input).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> Result<Envelope, ErrorCode> {
        decode(&mut text.as_bytes().to_vec(), 4).map_err(|e| e.code)
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
        let error = decode(&mut br#"{"v":2,"t":7,"cid":"q1","id":"m1"}"#.to_vec(), 64).expect_err("t is no string");
        assert_eq!((error.code, error.cid.as_deref()), (ErrorCode::InvalidMessage, Some("q1")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&mut bytes, 64);
        }
    }
}
