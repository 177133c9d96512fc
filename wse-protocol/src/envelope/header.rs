//! The header's rules ([P-10], [P-11]), for both formats.
use super::{Category, Envelope};
use crate::{Epoch, ErrorCode, Origin, Payload, Priority, Seq, WireError, defaults};

/// The keys of a header; the payload's is apart.
#[derive(Debug, Clone, Copy)]
enum Key {
    V,
    T,
    C,
    Id,
    Ts,
    Tp,
    E,
    Seq,
    Ps,
    K,
    Pri,
    Cid,
    Pid,
    N,
    Na,
    Pe,
}

impl Key {
    const NAMES: [&'static str; 16] = ["v", "t", "c", "id", "ts", "tp", "e", "seq", "ps", "k", "pri", "cid", "pid", "n", "na", "pe"];

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "v" => Self::V,
            "t" => Self::T,
            "c" => Self::C,
            "id" => Self::Id,
            "ts" => Self::Ts,
            "tp" => Self::Tp,
            "e" => Self::E,
            "seq" => Self::Seq,
            "ps" => Self::Ps,
            "k" => Self::K,
            "pri" => Self::Pri,
            "cid" => Self::Cid,
            "pid" => Self::Pid,
            "n" => Self::N,
            "na" => Self::Na,
            "pe" => Self::Pe,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// A header's value, as far as a header's rules tell values apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    /// Not below zero, and written without fraction or exponent.
    Integer(u64),
    Other,
}

/// What was read of a header, not judged yet.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    values: [Option<Scalar<'a>>; Key::NAMES.len()],
    twice: Option<&'static str>,
}

impl<'a> Header<'a> {
    /// Takes in one pair; unknown keys are ignored.
    pub(super) fn put(&mut self, key: &str, value: Scalar<'a>) {
        if let Some(key) = Key::parse(key)
            && self.values[key as usize].replace(value).is_some()
        {
            self.stands_twice(key.name());
        }
    }

    pub(super) fn stands_twice(&mut self, key: &'static str) {
        self.twice.get_or_insert(key);
    }

    /// Judges the header; `payload` is asked for where it is valid.
    pub(super) fn envelope(self, payload: impl FnOnce() -> Payload) -> Result<Box<Envelope>, WireError> {
        self.judged(payload).map_err(|e| e.answering(self.reference()))
    }

    fn judged(&self, payload: impl FnOnce() -> Payload) -> Result<Box<Envelope>, WireError> {
        if let Some(key) = self.twice {
            return Err(not_valid(key, "stands twice"));
        }
        self.version()?;
        Ok(Box::new(Envelope {
            event_type: self.text(Key::T, 256)?.ok_or_else(|| invalid(Key::T, "is required"))?.into(),
            category: self.category()?,
            id: self.text(Key::Id, 64)?.map(Box::from),
            ts: self.text(Key::Ts, 64)?.map(Box::from),
            topic: self.text(Key::Tp, 200)?.map(Box::from),
            epoch: self.text(Key::E, 64)?.and_then(Epoch::parse),
            seq: self.integer(Key::Seq)?,
            previous: self.integer(Key::Ps)?,
            key: self.text(Key::K, 256)?.map(Box::from),
            priority: self.priority()?,
            cid: self.text(Key::Cid, 64)?.map(Box::from),
            origin: self.origin()?.map(Box::new),
            payload: payload(),
        }))
    }

    fn value(&self, key: Key) -> Option<Scalar<'a>> {
        self.values[key as usize]
    }

    fn version(&self) -> Result<(), WireError> {
        match self.value(Key::V) {
            Some(Scalar::Integer(defaults::PROTOCOL_VERSION)) => Ok(()),
            Some(Scalar::Integer(other)) if Seq::new(other).is_some() => {
                Err(WireError::new(ErrorCode::UnsupportedVersion, format!("this side speaks version 2, the frame says {other}")))
            }
            _ => Err(invalid(Key::V, "is required, an integer from 0 to 2^53-1")),
        }
    }

    fn text(&self, key: Key, longest: usize) -> Result<Option<&'a str>, WireError> {
        match self.value(key) {
            None => Ok(None),
            Some(Scalar::Text(text)) if (1..=longest).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(invalid(key, &format!("is a string of 1 to {longest} bytes"))),
        }
    }

    fn integer(&self, key: Key) -> Result<Option<Seq>, WireError> {
        let read = match self.value(key) {
            None => return Ok(None),
            Some(Scalar::Integer(number)) => Seq::new(number),
            Some(_) => None,
        };
        read.map(Some).ok_or_else(|| invalid(key, "is an integer from 0 to 2^53-1, without fraction or exponent"))
    }

    fn category(&self) -> Result<Category, WireError> {
        let read = match self.value(Key::C) {
            None => Some(Category::default()),
            Some(Scalar::Text(text)) => Category::parse(text),
            Some(_) => None,
        };
        read.ok_or_else(|| invalid(Key::C, "is \"WSE\", \"S\" or \"U\""))
    }

    fn priority(&self) -> Result<Priority, WireError> {
        let read = match self.value(Key::Pri) {
            None => Some(Priority::default()),
            Some(Scalar::Integer(number)) => u8::try_from(number).ok().and_then(|number| Priority::try_from(number).ok()),
            Some(_) => None,
        };
        read.ok_or_else(|| invalid(Key::Pri, "is 1, 3, 5, 8 or 10"))
    }

    /// All of [P-51]: who wants to know an effect says of which message, and where to answer.
    fn origin(&self) -> Result<Option<Origin>, WireError> {
        let (producer, number, seen) = (self.text(Key::Pid, 64)?, self.integer(Key::N)?, self.integer(Key::Na)?);
        let epoch = self.text(Key::Pe, 64)?.and_then(Epoch::parse);
        let Some(producer) = producer else {
            let stray = [number.map(|_| Key::N), seen.map(|_| Key::Na), epoch.map(|_| Key::Pe)].into_iter().flatten().next();
            return stray.map_or(Ok(None), |key| Err(invalid(key, "comes with \"pid\"")));
        };
        let number = number.filter(|number| *number > Seq::ZERO).ok_or_else(|| invalid(Key::N, "is from 1, and comes with \"pid\""))?;
        if self.value(Key::Cid).is_none() {
            return Err(invalid(Key::Cid, "comes with \"pid\""));
        }
        Ok(Some(Origin { producer: producer.into(), number, seen: seen.unwrap_or_default(), epoch }))
    }

    /// `cid`, else `id`, where one is there and short enough to be sent back.
    fn reference(&self) -> Option<Box<str>> {
        [Key::Cid, Key::Id].into_iter().find_map(|key| self.text(key, 64).ok().flatten()).map(Box::from)
    }
}

fn invalid(key: Key, what: &str) -> WireError {
    not_valid(key.name(), what)
}

fn not_valid(key: &str, what: &str) -> WireError {
    WireError::new(ErrorCode::InvalidMessage, format!("the envelope is not valid: \"{key}\" {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_by_its_name() {
        for (at, name) in Key::NAMES.into_iter().enumerate() {
            assert_eq!(Key::parse(name).map(|key| (key as usize, key.name())), Some((at, name)));
        }
        assert!(Key::parse("p").is_none());
    }
}
