//! What an envelope carries: kept as MessagePack, and made into values only where somebody asks for them.
mod read;
#[cfg(test)]
mod tests;

use crate::{ErrorCode, Format, Value, WireError, check_payload, cut, transcode};
use bytes::Bytes;
use read::Values;
use serde::{
    Deserialize,
    de::{DeserializeSeed, value::Error},
};
use std::fmt;

/// Null.
static NIL: [u8; 1] = [0xc0];
/// Bytes of the sentence that says what does not fit: it goes back to the client, and quotes what it sent.
const SENTENCE_BYTES: usize = 300;
const CHECKED: &str = "a payload is checked when it comes";

/// One value of JSON's types, of bounded depth. It was checked when it came, and its bytes are shared by its clones.
///
/// ```
/// use serde::Deserialize;
/// use wse_protocol::{ErrorCode, envelope};
///
/// #[derive(Deserialize)]
/// struct Order { item: String, count: u32 }
///
/// let mut text = br#"{"v":2,"t":"order","p":{"item":"tea","count":3}}"#.to_vec();
/// let payload = envelope::decode(&mut text).unwrap().payload;
/// let order: Order = payload.parse().unwrap();
/// assert_eq!((&*order.item, order.count), ("tea", 3));
/// assert_eq!(payload.parse::<String>().unwrap_err().code, ErrorCode::InvalidMessage);
/// ```
#[derive(Clone)]
pub struct Payload(Bytes);

impl Payload {
    /// Of bytes from elsewhere, such as those of a dead letter.
    ///
    /// # Errors
    /// `INVALID_JSON`, `INVALID_MSGPACK` or `TOO_DEEP`.
    pub fn new(format: Format, bytes: &[u8]) -> Result<Self, WireError> {
        match format {
            Format::Json => {
                let mut packed = Vec::with_capacity(bytes.len());
                transcode(Format::Json, Format::Msgpack, bytes, &mut packed)?;
                Ok(Self(packed.into()))
            }
            Format::Msgpack => check_payload(format, bytes).map(|()| Self::of_checked(bytes)),
        }
    }

    /// Of MessagePack that holds one checked value.
    pub(crate) fn of_checked(msgpack: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(msgpack))
    }

    /// As MessagePack, to be published on for example: strings, numbers, booleans, nulls, arrays, and maps whose keys are strings.
    #[must_use]
    pub fn msgpack(&self) -> &Bytes {
        &self.0
    }

    /// As JSON text.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + self.0.len() / 4);
        transcode(Format::Msgpack, Format::Json, &self.0, &mut out).expect(CHECKED);
        out
    }

    /// As a type of the application's, as serde would read it from JSON; strings may be borrowed. As there a struct refuses a key that
    /// stands twice.
    ///
    /// # Errors
    /// `INVALID_MESSAGE`, with where what does not fit; a handler may return it as it is.
    pub fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, WireError> {
        T::deserialize(&mut Values::new(&self.0)).map_err(|_| self.misfit::<T>())
    }

    /// Where and what: found in a second pass, so that the first has no path to keep.
    #[cold]
    fn misfit<'de, T: Deserialize<'de>>(&'de self) -> WireError {
        let found = serde_path_to_error::deserialize::<_, T>(&mut Values::new(&self.0)).err();
        let sentence = format!("the payload does not fit: {}", found.map(|error| error.to_string()).unwrap_or_default());
        WireError::new(ErrorCode::InvalidMessage, cut(&sentence, SENTENCE_BYTES))
    }

    /// As what a seed makes of it: values of another language, for example.
    ///
    /// # Errors
    /// The seed's own.
    pub fn deserialize<'de, T>(&'de self, seed: impl DeserializeSeed<'de, Value = T>) -> Result<T, Error> {
        seed.deserialize(&mut Values::new(&self.0))
    }

    /// As a tree of values. Of a key that stands twice the last value counts.
    #[must_use]
    pub fn value(&self) -> Value {
        self.parse().expect(CHECKED)
    }

    /// Whether it is null, as one that is absent.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0[..] == NIL
    }
}

/// Null.
impl Default for Payload {
    fn default() -> Self {
        Self(Bytes::from_static(&NIL))
    }
}

/// The same value; it may be written in two ways.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.value() == other.value()
    }
}

/// As JSON.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.json()))
    }
}
