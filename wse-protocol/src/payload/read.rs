//! serde over a payload: what JSON of the same value would give, by one pass over its MessagePack.
//!
//! rmp-serde is not used: it reads an enum from a number and an integer of 128 bits without its sign, no integer from a key, and says
//! "wrong msgpack marker" to who sent JSON.
use crate::check::PAYLOAD_DEPTH;
use crate::msgpack::{Reader, Token};
use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor, value::Error,
    },
    forward_to_deserialize_any,
};

/// Values that follow one another.
pub(super) struct Values<'de> {
    reader: Reader<'de>,
}

impl<'de> Values<'de> {
    pub(super) fn new(msgpack: &'de [u8]) -> Self {
        Self { reader: Reader::new(msgpack) }
    }

    /// The bytes were checked, so that no token is missing.
    fn token(&mut self) -> Result<Token<'de>, Error> {
        self.reader.token().map_err(Error::custom)
    }

    fn key(&mut self) -> Result<&'de str, Error> {
        self.reader.key().map_err(Error::custom)
    }

    fn is_null(&self) -> bool {
        self.reader.clone().token() == Ok(Token::Nil)
    }

    /// The value that `token` begins.
    fn visit<V: Visitor<'de>>(&mut self, token: Token<'de>, visitor: V) -> Result<V::Value, Error> {
        match token {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(number) => visitor.visit_u64(number),
            Token::Negative(number) => visitor.visit_i64(number),
            Token::Float(number) => visitor.visit_f64(number),
            Token::Text(text) => visitor.visit_borrowed_str(text),
            Token::Array(left) => {
                let mut items = Items { values: self, left };
                let value = visitor.visit_seq(&mut items)?;
                if items.left == 0 { Ok(value) } else { Err(Error::custom(format_args!("{} items more than fit", items.left))) }
            }
            Token::Map(left) => {
                let mut fields = Items { values: self, left };
                let value = visitor.visit_map(&mut fields)?;
                if fields.left == 0 { Ok(value) } else { Err(Error::custom(format_args!("{} keys more than fit", fields.left))) }
            }
        }
    }
}

impl<'de> Deserializer<'de> for &mut Values<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let token = self.token()?;
        self.visit(token, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { self.deserialize_any(visitor) } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A string, or an object with one key.
    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let unexpected = match self.token()? {
            Token::Text(variant) => return visitor.visit_enum(variant.into_deserializer()),
            Token::Map(1) => return visitor.visit_enum(Variant(self)),
            Token::Map(_) => Unexpected::Other("an object of other than one key"),
            Token::Array(_) => Unexpected::Seq,
            Token::Nil => Unexpected::Unit,
            Token::Bool(value) => Unexpected::Bool(value),
            Token::Unsigned(number) => Unexpected::Unsigned(number),
            Token::Negative(number) => Unexpected::Signed(number),
            Token::Float(number) => Unexpected::Float(number),
        };
        Err(Error::invalid_type(unexpected, &"a string, or an object with one key"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.reader.skip(PAYLOAD_DEPTH, PAYLOAD_DEPTH).map_err(Error::custom)?;
        visitor.visit_unit()
    }
}

/// What is left of an array or an object.
struct Items<'a, 'de> {
    values: &'a mut Values<'de>,
    left: usize,
}

impl Items<'_, '_> {
    fn take(&mut self) -> bool {
        let is_there = self.left > 0;
        self.left -= usize::from(is_there);
        is_there
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.take() { seed.deserialize(&mut *self.values).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.take() { seed.deserialize(Key(self.values.key()?)).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.values)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A key, which JSON has as a string whatever it stands for.
struct Key<'de>(&'de str);

/// Whether an integer has no plus, no leading zeros and no minus before zero, so that two keys that differ are never the same number.
fn is_written_as_json(integer: &str) -> bool {
    integer == "0" || !integer.strip_prefix('-').unwrap_or(integer).starts_with(['+', '0'])
}

macro_rules! integers {
    ($($method:ident $visit:ident $number:ty),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse::<$number>() {
                Ok(number) if is_written_as_json(self.0) => visitor.$visit(number),
                _ => visitor.visit_borrowed_str(self.0),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => visitor.visit_borrowed_str(other),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The only pair of an object: the name of a variant, and what it holds.
struct Variant<'a, 'de>(&'a mut Values<'de>);

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = self.0.key()?;
        Ok((seed.deserialize(IntoDeserializer::<Error>::into_deserializer(name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        serde::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_any(visitor)
    }
}
