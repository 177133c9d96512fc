//! What an envelope carries: kept as MessagePack, and made into values only where somebody asks for them.
use crate::{ErrorCode, Format, Value, WireError, transcode};
use bytes::Bytes;
use rmp_serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed};
use std::marker::PhantomData;

/// Null.
static NIL: [u8; 1] = [0xc0];

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
#[derive(Debug, Clone)]
pub struct Payload(Bytes);

impl Payload {
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
        // It fails for what was not checked; there is none.
        if transcode(Format::Msgpack, Format::Json, &self.0, &mut out).is_err() {
            out.extend_from_slice(b"null");
        }
        out
    }

    /// As a type of the application's. Types that serde knows in two forms have the one for people, as in JSON: an address is a string.
    ///
    /// # Errors
    /// `INVALID_MESSAGE`, with what does not fit; a handler may return it as it is.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        self.deserialize(PhantomData)
    }

    /// [`Payload::parse`] for what is no type alone, such as values of another language.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn deserialize<T>(&self, seed: impl for<'de> DeserializeSeed<'de, Value = T>) -> Result<T, WireError> {
        let mut deserializer = Deserializer::from_read_ref(&self.0[..]).with_human_readable();
        seed.deserialize(&mut deserializer)
            .map_err(|error| WireError::new(ErrorCode::InvalidMessage, format!("the payload does not fit: {error}")))
    }

    /// As a tree of values. Of a key that stands twice the last value counts.
    #[must_use]
    pub fn value(&self) -> Value {
        self.parse().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn of(json: &str) -> Payload {
        envelope::decode(format!(r#"{{"v":2,"t":"a","p":{json}}}"#).into_bytes().as_mut_slice()).expect("a frame").payload
    }

    #[test]
    fn types_have_the_form_that_they_have_in_json() {
        assert_eq!(of(r#""127.0.0.1""#).parse(), Ok(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(of("[1,null,[true,-2.5]]").parse(), Ok((1_u8, None::<u8>, (true, -2.5_f64))));
        assert_eq!(of(r#"{"Ok":7}"#).parse(), Ok(Ok::<u8, String>(7)));
        assert_eq!(of("18446744073709551615").parse(), Ok(u64::MAX));
        assert_eq!(of("-9223372036854775808").parse(), Ok(i64::MIN));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = of("300").parse::<u8>().expect_err("too large");
        assert!(error.code == ErrorCode::InvalidMessage && error.message.contains("300"), "{error:?}");
    }

    #[test]
    fn one_that_is_absent_is_null() {
        let absent = envelope::decode(&mut br#"{"v":2,"t":"a"}"#.to_vec()).expect("a frame").payload;
        assert!(absent.is_null() && absent == of("null") && absent.json() == b"null");
        assert!(!of("0").is_null());
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Into::into)),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_payload_is_what_was_sent_in_either_format(sent in value()) {
            let payload = of(&sent.to_string());
            prop_assert_eq!(&payload.parse::<serde_json::Value>().expect("any value"), &sent);
            prop_assert_eq!(&serde_json::to_value(payload.value()).expect("JSON"), &sent);
            prop_assert_eq!(String::from_utf8(payload.json()).expect("UTF-8"), sent.to_string());
            let packed = rmp_serde::to_vec_named(&serde_json::json!({"v": 2, "t": "a", "p": sent})).expect("MessagePack");
            let of_packed = envelope::decode_msgpack(&packed).expect("a frame").payload;
            prop_assert_eq!(&of_packed.parse::<serde_json::Value>().expect("any value"), &sent);
            prop_assert_eq!(of_packed, payload);
        }
    }
}
