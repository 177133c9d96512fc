//! Writing text frames: the envelope around an opaque payload.
use crate::{Position, Priority, Publication, Topic, defaults};
use serde::Serialize;

/// Appends the text of a topic message: the same bytes for every subscriber. The payload goes in as it is ([P-35]).
pub fn topic_message(out: &mut Vec<u8>, topic: &Topic, position: &Position, publication: &Publication) {
    out.reserve(publication.cost() + topic.as_str().len() + 128);
    start(out, "t", &publication.event_type);
    string(out, ",\"id\":", &publication.id);
    out.extend_from_slice(b",\"ts\":\"");
    publication.ts.write_iso(out);
    string(out, "\",\"tp\":", topic.as_str());
    string(out, ",\"e\":", position.epoch.as_str());
    integer(out, ",\"seq\":", position.seq.number());
    if let Some(key) = &publication.key {
        string(out, ",\"k\":", key);
    }
    if publication.priority != Priority::Normal {
        integer(out, ",\"pri\":", u64::from(publication.priority.number()));
    }
    out.extend_from_slice(b",\"p\":");
    out.extend_from_slice(&publication.payload);
    out.push(b'}');
}

/// Appends the text of a message of category `WSE`. The payload must be representable in JSON, which every message here is.
pub fn protocol_message(out: &mut Vec<u8>, kind: &str, cid: Option<&str>, payload: &impl Serialize) {
    protocol_start(out, kind, cid);
    json(out, payload);
    out.push(b'}');
}

/// The same around a payload that is JSON already.
pub fn protocol_message_raw(out: &mut Vec<u8>, kind: &str, cid: Option<&str>, payload: &[u8]) {
    protocol_start(out, kind, cid);
    out.extend_from_slice(payload);
    out.push(b'}');
}

/// Appends the text of an application message, as a client sends it.
pub fn client_message(out: &mut Vec<u8>, event_type: &str, id: &str, cid: Option<&str>, payload: &impl Serialize) {
    start(out, "t", event_type);
    string(out, ",\"id\":", id);
    if let Some(cid) = cid {
        string(out, ",\"cid\":", cid);
    }
    out.extend_from_slice(b",\"p\":");
    json(out, payload);
    out.push(b'}');
}

fn protocol_start(out: &mut Vec<u8>, kind: &str, cid: Option<&str>) {
    start(out, "c\":\"WSE\",\"t", kind);
    if let Some(cid) = cid {
        string(out, ",\"cid\":", cid);
    }
    out.extend_from_slice(b",\"p\":");
}

fn start(out: &mut Vec<u8>, key: &str, value: &str) {
    integer(out, "{\"v\":", defaults::PROTOCOL_VERSION);
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    string(out, "\":", value);
}

fn string(out: &mut Vec<u8>, before: &str, value: &str) {
    out.extend_from_slice(before.as_bytes());
    json(out, value);
}

fn integer(out: &mut Vec<u8>, before: &str, value: u64) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("a Vec takes every write and these types have no map keys but strings");
}
