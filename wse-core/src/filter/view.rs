//! How a filter looks at a payload, whether it is a decoded value or scanned text.
use super::number::Number;
use std::borrow::Cow;
use wse_protocol::{Value, prelude::*};

/// What kind of JSON value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number,
    Text,
    Array,
    Object,
}

/// One JSON value. Of a key that an object has twice, the last counts.
pub(super) trait View<'a>: Copy {
    /// Its kind.
    fn kind(self) -> Kind;
    /// The number that it is.
    fn number(self) -> Option<Number>;
    /// The string that it is.
    fn text(self) -> Option<Cow<'a, str>>;
    /// An object's field.
    fn get(self, key: &str) -> Option<Self>;
    /// An array's element.
    fn at(self, index: usize) -> Option<Self>;
    /// An array's elements; none of anything else.
    fn elements(self) -> impl Iterator<Item = Self>;
    /// An object's fields; none of anything else.
    fn entries(self) -> impl Iterator<Item = (Cow<'a, str>, Self)>;
}

impl<'a> View<'a> for &'a Value {
    fn kind(self) -> Kind {
        match self.value_type() {
            ValueType::Null => Kind::Null,
            ValueType::Bool => Kind::Bool(self.as_bool() == Some(true)),
            ValueType::String => Kind::Text,
            ValueType::Array => Kind::Array,
            ValueType::Object => Kind::Object,
            _ => Kind::Number,
        }
    }

    fn number(self) -> Option<Number> {
        let integer = self.as_i64().map(i128::from).or_else(|| self.as_u64().map(i128::from));
        integer.map(Number::Integer).or_else(|| Number::from_double(self.as_f64()?))
    }

    fn text(self) -> Option<Cow<'a, str>> {
        self.as_str().map(Cow::Borrowed)
    }

    fn get(self, key: &str) -> Option<Self> {
        self.as_object()?.get(key)
    }

    fn at(self, index: usize) -> Option<Self> {
        self.as_array()?.get(index)
    }

    fn elements(self) -> impl Iterator<Item = Self> {
        self.as_array().into_iter().flat_map(|array| array.iter())
    }

    fn entries(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        self.as_object().into_iter().flat_map(|object| object.iter()).map(|(key, value)| (Cow::Borrowed(key.as_str()), value))
    }
}
