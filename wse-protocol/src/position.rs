//! Where a message stands in its topic's log: epoch and sequence number.
use serde::{Deserialize, Serialize, de};
use std::{borrow::Cow, fmt, sync::Arc};

/// The largest integer that a header may hold: 2^53 - 1 ([P-11]).
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Between what stands for no log yet, and what tells one log from another.
const WITHIN: char = '.';

/// The life of one topic's log; random, compared for equality only. 1 to 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// Parses an epoch; `None` if it is empty or longer than 64 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (1..=64).contains(&text.len()).then(|| Self(text.into()))
    }

    /// An epoch of a log that its first message makes: `run` stands for the time before there is one.
    #[must_use]
    pub fn within(run: &Self, nonce: &str) -> Option<Self> {
        Self::parse(&format!("{run}{WITHIN}{nonce}", run = run.0))
    }

    /// Whether it stands for the time before the log of `other` had a first message.
    #[must_use]
    pub fn precedes(&self, other: &Self) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with(WITHIN))
    }

    /// The epoch as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: de::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("an epoch is a string of 1 to 64 bytes"))
    }
}

/// A sequence number within an epoch: 1 for the first message, 0 for "before the first".
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Seq(u64);

impl Seq {
    /// Before the first message.
    pub const ZERO: Self = Self(0);

    /// Parses a number; `None` above 2^53 - 1.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= MAX_INTEGER { Some(Self(number)) } else { None }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The next one; saturates at 2^53 - 1, which no log reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 < MAX_INTEGER { Self(self.0 + 1) } else { self }
    }
}

impl<'de> Deserialize<'de> for Seq {
    fn deserialize<D: de::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(input)?;
        Self::new(number).ok_or_else(|| de::Error::custom("an integer is at most 2^53-1"))
    }
}

/// A place in a topic's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Position {
    /// The log's epoch.
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// The sequence number within it.
    pub seq: Seq,
}

impl Position {
    /// The same place in the log of `epoch`: before its first message, where this is the time before there was one.
    #[must_use]
    pub fn within(self, epoch: &Epoch) -> Self {
        let begins = self.seq == Seq::ZERO && self.epoch.precedes(epoch);
        if begins { Self { epoch: epoch.clone(), ..self } } else { self }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: de::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(Fields)
    }
}

/// Reads a position from an object; what serde derives would take an array too.
struct Fields;

impl<'de> de::Visitor<'de> for Fields {
    type Value = Position;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position: an object with e and seq")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Position, A::Error> {
        let (mut epoch, mut seq) = (None, None);
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "e" => epoch = Some(map.next_value()?),
                "seq" => seq = Some(map.next_value()?),
                _ => drop(map.next_value::<de::IgnoredAny>()?),
            }
        }
        let missing = |field| move || de::Error::missing_field(field);
        Ok(Position { epoch: epoch.ok_or_else(missing("e"))?, seq: seq.ok_or_else(missing("seq"))? })
    }
}
