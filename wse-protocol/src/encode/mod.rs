//! Writing frame bodies: an envelope around an opaque payload, as JSON text or as `M:` and one MessagePack map.
//!
//! Every function appends one whole body to `out`. Whether it goes into a text or a binary frame follows from its format.
mod topic_message;
mod writer;

use crate::{Format, Position, Publication, Seq, Topic, WireError, envelope::Category, messages::ServerMessage};
use serde::Serialize;
pub use topic_message::TopicMessages;
pub(crate) use writer::Writer;

/// Appends one topic message; [`TopicMessages`] is for several.
///
/// # Errors
/// Those of [`TopicMessages::append`].
pub fn topic_message(
    out: &mut Vec<u8>,
    format: Format,
    topic: &Topic,
    position: &Position,
    previous: Option<Seq>,
    publication: &Publication,
) -> Result<(), WireError> {
    TopicMessages::new(format, topic, &position.epoch).append(out, position.seq, previous, publication)
}

/// `t` of a snapshot on the wire.
pub const SNAPSHOT: &str = "snapshot";

/// Appends a snapshot of a topic ([P-57]): its state, at least as new as `position`.
///
/// # Errors
/// Those of [`transcode`](crate::transcode), when the state is not what `from` says; nothing is appended then.
pub fn snapshot(
    out: &mut Vec<u8>,
    format: Format,
    topic: &Topic,
    position: &Position,
    from: Format,
    state: &[u8],
) -> Result<(), WireError> {
    out.reserve(state.len() + topic.as_str().len() + 128);
    let mut writer = Writer::begin(out, format);
    writer.text("c", Category::Snapshot.as_str());
    writer.text("t", SNAPSHOT);
    writer.text("tp", topic.as_str());
    writer.position(position, None);
    writer.payload_bytes(from, state)
}

/// Appends a message of category `WSE`. The payload must be representable in JSON, which every message here is.
pub fn protocol_message(out: &mut Vec<u8>, format: Format, kind: &str, cid: Option<&str>, payload: &(impl Serialize + ?Sized)) {
    protocol_start(out, format, kind, cid).payload(payload);
}

/// The same around a payload that is written already, in the format `from`.
///
/// # Errors
/// Those of [`transcode`](crate::transcode); nothing is appended then.
pub fn protocol_message_bytes(
    out: &mut Vec<u8>,
    format: Format,
    kind: &str,
    cid: Option<&str>,
    from: Format,
    payload: &[u8],
) -> Result<(), WireError> {
    protocol_start(out, format, kind, cid).payload_bytes(from, payload)
}

/// Appends an application message, as a client sends it.
pub fn client_message(out: &mut Vec<u8>, format: Format, event_type: &str, id: &str, cid: Option<&str>, payload: &impl Serialize) {
    let mut writer = Writer::begin(out, format);
    writer.text("t", event_type);
    writer.text("id", id);
    writer.optional_text("cid", cid);
    writer.payload(payload);
}

/// Appends a `batch` ([P-37]) of envelopes that are encoded already, each a whole body of the same `format`.
pub fn batch(out: &mut Vec<u8>, format: Format, envelopes: &[impl AsRef<[u8]>]) {
    out.reserve(envelopes.iter().map(|envelope| envelope.as_ref().len() + 1).sum::<usize>() + 48);
    protocol_start(out, format, ServerMessage::BATCH, None).items(envelopes);
}

/// A message of category `WSE` up to its payload.
pub(crate) fn protocol_start<'a>(out: &'a mut Vec<u8>, format: Format, kind: &str, cid: Option<&str>) -> Writer<'a> {
    let mut writer = Writer::begin(out, format);
    writer.text("c", "WSE");
    writer.text("t", kind);
    writer.optional_text("cid", cid);
    writer
}
