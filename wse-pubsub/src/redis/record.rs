//! A publication as bytes: what the stream stores and the bell carries.
//!
//! `1, len u16, id, len u16, type, len u16, key (len 0xffff: none), priority u8, format u8 (0 JSON, 1 msgpack; 2 more: it expires), ts u64, where it expires: when u64, payload`, big-endian.
use bytes::{Buf, Bytes};
use std::sync::Arc;
use wse_protocol::{Epoch, Format, Position, Priority, Publication, Seq, Topic, UnixMillis, cut};

const VERSION: u8 = 1;
const NO_KEY: u16 = u16::MAX;
/// Added to the format of a publication that expires.
const EXPIRES: u8 = 2;

/// Writes a publication. The id stands first: a script compares it.
pub(crate) fn encode(publication: &Publication) -> Vec<u8> {
    let mut out = Vec::with_capacity(publication.cost());
    out.push(VERSION);
    write_text(&mut out, &publication.id);
    write_text(&mut out, &publication.event_type);
    match &publication.key {
        Some(key) => write_text(&mut out, key),
        None => out.extend(NO_KEY.to_be_bytes()),
    }
    out.push(publication.priority.number());
    let expires = if publication.expires.is_some() { EXPIRES } else { 0 };
    out.push(u8::from(publication.format == Format::Msgpack) | expires);
    out.extend(publication.ts.0.to_be_bytes());
    if let Some(expires) = publication.expires {
        out.extend(expires.0.to_be_bytes());
    }
    out.extend_from_slice(&publication.payload);
    out
}

/// Reads what `encode` wrote; `None` if it is something else.
pub(crate) fn decode(mut record: Bytes) -> Option<Publication> {
    (record.try_get_u8().ok()? == VERSION).then_some(())?;
    let id = read_text(&mut record)??;
    let event_type = read_text(&mut record)??;
    let key = read_text(&mut record)?;
    let priority = Priority::try_from(record.try_get_u8().ok()?).ok()?;
    let flags = record.try_get_u8().ok()?;
    let format = [Format::Json, Format::Msgpack].get(usize::from(flags & !EXPIRES)).copied()?;
    let ts = UnixMillis(record.try_get_u64().ok()?);
    let expires = if flags & EXPIRES == 0 { None } else { Some(UnixMillis(record.try_get_u64().ok()?)) };
    Some(Publication { id, event_type, ts, expires, key, priority, format, payload: record })
}

/// Reads what a script publishes, `<epoch> <first seq> ` and then `len u32, record` for each: the first position and the records.
pub(crate) fn decode_bell(mut bell: Bytes) -> Option<(Position, Vec<Bytes>)> {
    let epoch = Epoch::parse(&read_word(&mut bell)?)?;
    let seq = Seq::new(read_word(&mut bell)?.parse().ok()?)?;
    let mut records = Vec::new();
    while bell.has_remaining() {
        let length = bell.try_get_u32().ok()? as usize;
        (bell.len() >= length).then_some(())?;
        records.push(bell.split_to(length));
    }
    Some((Position { epoch, seq }, records))
}

/// Reads a record of a births log: `<epoch> <topic>`.
pub(crate) fn decode_birth(mut record: Bytes) -> Option<(Topic, Position)> {
    let epoch = Epoch::parse(&read_word(&mut record)?)?;
    let topic = Topic::parse(std::str::from_utf8(&record).ok()?).ok()?;
    Some((topic, Position { epoch, seq: Seq::ZERO }))
}

/// Reads what the publish script answers for the message of this id: `<epoch> <seq>`, or `<epoch> <seq> <id>` of an earlier one.
pub(crate) fn decode_receipt(text: &str, id: &Arc<str>) -> Option<crate::Receipt> {
    let mut words = text.splitn(3, ' ');
    let epoch = Epoch::parse(words.next()?)?;
    let seq = Seq::new(words.next()?.parse().ok()?)?;
    Some(crate::Receipt { id: words.next().map_or_else(|| id.clone(), Arc::from), position: Position { epoch, seq } })
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Wire limits (256 bytes) are far below; a longer one is clipped rather than written wrongly.
    let text = cut(text, usize::from(NO_KEY - 1));
    out.extend((text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The outer `None` is a fault, the inner one an absent text.
fn read_text(record: &mut Bytes) -> Option<Option<Arc<str>>> {
    let length = record.try_get_u16().ok()?;
    if length == NO_KEY {
        return Some(None);
    }
    let length = usize::from(length);
    (record.len() >= length).then_some(())?;
    Some(Some(std::str::from_utf8(&record.split_to(length)).ok()?.into()))
}

fn read_word(bell: &mut Bytes) -> Option<String> {
    let end = bell.iter().take(80).position(|byte| *byte == b' ')?;
    let word = String::from_utf8(bell.split_to(end).to_vec()).ok()?;
    bell.advance(1);
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(
            id in "\\PC{1,64}", event_type in "\\PC{1,64}", key in proptest::option::of("\\PC{0,64}"),
            ts: u64, expires: Option<u64>, payload: Vec<u8>,
        ) {
            let key = key.map(Arc::from);
            let (id, event_type, payload) = (id.into(), event_type.into(), payload.into());
            let publication = Publication { id, event_type, ts: UnixMillis(ts), expires: expires.map(UnixMillis), key, priority: Priority::High, format: Format::Msgpack, payload };
            let record = encode(&publication);
            prop_assert_eq!(decode(record.clone().into()), Some(publication.clone()));
            let framed = [&(record.len() as u32).to_be_bytes(), record.as_slice()].concat();
            let bell = [b"e1 42 ".as_slice(), &framed, &framed].concat();
            let (position, records) = decode_bell(bell.into()).expect("valid");
            prop_assert_eq!((position.epoch.as_str(), position.seq.number()), ("e1", 42));
            prop_assert_eq!(records.into_iter().map(decode).collect::<Vec<_>>(), vec![Some(publication); 2]);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (decode(bytes.clone().into()), decode_birth(bytes.clone().into()), decode_bell(bytes.into()));
        }
    }
}
