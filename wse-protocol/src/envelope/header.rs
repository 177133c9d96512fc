//! The header's rules ([P-10], [P-11]), for both formats.
use super::{Category, Envelope};
use crate::{Epoch, ErrorCode, Priority, Seq, Value, WireError, defaults};
use simd_json::prelude::*;

/// The keys of a header; the payload's is apart.
const KEYS: [&str; 12] = ["v", "t", "c", "id", "ts", "tp", "e", "seq", "ps", "k", "pri", "cid"];

/// A header's value, as far as a header's rules tell values apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    /// Not below zero, and written without fraction or exponent.
    Integer(u64),
    Other,
}

impl<'a> Scalar<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Static(_) => value.as_u64().map_or(Self::Other, Self::Integer),
            _ => Self::Other,
        }
    }
}

/// What was read of a header, not judged yet.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    values: [Option<Scalar<'a>>; KEYS.len()],
    twice: Option<&'static str>,
}

impl<'a> Header<'a> {
    /// Takes in one pair; unknown keys are ignored.
    pub(super) fn put(&mut self, key: &str, value: Scalar<'a>) {
        let place = KEYS.iter().zip(&mut self.values).find(|(known, _)| **known == key);
        if let Some((known, slot)) = place
            && slot.replace(value).is_some()
        {
            self.stands_twice(known);
        }
    }

    pub(super) fn stands_twice(&mut self, key: &'static str) {
        self.twice.get_or_insert(key);
    }

    /// Judges the header.
    pub(super) fn envelope(self, payload: Value) -> Result<Envelope, WireError> {
        self.judged(payload).map_err(|e| e.answering(self.reference()))
    }

    fn judged(&self, payload: Value) -> Result<Envelope, WireError> {
        if let Some(key) = self.twice {
            return Err(invalid(key, "stands twice"));
        }
        self.version()?;
        Ok(Envelope {
            event_type: self.text("t", 256)?.ok_or_else(|| invalid("t", "is required"))?.into(),
            category: self.category()?,
            id: self.text("id", 64)?.map(Box::from),
            ts: self.text("ts", 64)?.map(Box::from),
            topic: self.text("tp", 200)?.map(Box::from),
            epoch: self.text("e", 64)?.and_then(Epoch::parse),
            seq: self.integer("seq")?,
            previous: self.integer("ps")?,
            key: self.text("k", 256)?.map(Box::from),
            priority: self.priority()?,
            cid: self.text("cid", 64)?.map(Box::from),
            payload,
        })
    }

    fn value(&self, key: &str) -> Option<Scalar<'a>> {
        KEYS.iter().zip(&self.values).find(|(known, _)| **known == key).and_then(|(_, value)| *value)
    }

    fn version(&self) -> Result<(), WireError> {
        match self.value("v") {
            Some(Scalar::Integer(defaults::PROTOCOL_VERSION)) => Ok(()),
            Some(Scalar::Integer(other)) => {
                Err(WireError::new(ErrorCode::UnsupportedVersion, format!("this side speaks version 2, the frame says {other}")))
            }
            _ => Err(invalid("v", "is required, an integer")),
        }
    }

    fn text(&self, key: &str, longest: usize) -> Result<Option<&'a str>, WireError> {
        match self.value(key) {
            None => Ok(None),
            Some(Scalar::Text(text)) if (1..=longest).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(invalid(key, &format!("is a string of 1 to {longest} bytes"))),
        }
    }

    fn integer(&self, key: &str) -> Result<Option<Seq>, WireError> {
        let read = match self.value(key) {
            None => return Ok(None),
            Some(Scalar::Integer(number)) => Seq::new(number),
            Some(_) => None,
        };
        read.map(Some).ok_or_else(|| invalid(key, "is an integer from 0 to 2^53-1, without fraction or exponent"))
    }

    fn category(&self) -> Result<Category, WireError> {
        let read = match self.value("c") {
            None => Some(Category::default()),
            Some(Scalar::Text(text)) => Category::parse(text),
            Some(_) => None,
        };
        read.ok_or_else(|| invalid("c", "is \"WSE\", \"S\" or \"U\""))
    }

    fn priority(&self) -> Result<Priority, WireError> {
        let read = match self.value("pri") {
            None => Some(Priority::default()),
            Some(Scalar::Integer(number)) => u8::try_from(number).ok().and_then(|number| Priority::try_from(number).ok()),
            Some(_) => None,
        };
        read.ok_or_else(|| invalid("pri", "is 1, 3, 5, 8 or 10"))
    }

    /// `cid`, else `id`, where one is there and short enough to be sent back.
    fn reference(&self) -> Option<Box<str>> {
        ["cid", "id"].into_iter().find_map(|key| self.text(key, 64).ok().flatten()).map(Box::from)
    }
}

fn invalid(key: &str, what: &str) -> WireError {
    WireError::new(ErrorCode::InvalidMessage, format!("the envelope is not valid: \"{key}\" {what}"))
}
