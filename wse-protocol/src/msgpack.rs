//! Reading MessagePack that a peer sent: one token at a time, over borrowed bytes.
//!
//! rmp-serde is not used for reading: it takes binary, extensions and keys of any kind, reserves room by claimed lengths, and recurses
//! by its own limit. Here a length that the frame does not hold is an error before anything is made of it.
use crate::{ErrorCode, WireError, tape::too_deep};
use rmp::Marker;

/// One value, or the head of a container whose values follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    /// Finite.
    Float(f64),
    Text(&'a str),
    Array(usize),
    Map(usize),
}

/// What is left of the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that were read since `before`, a copy of this reader as it was then.
    pub(crate) fn since(&self, before: &Self) -> &'a [u8] {
        &before.rest[..before.rest.len() - self.rest.len()]
    }

    /// The next token. A container's claimed length is at most what the bytes left can hold.
    #[inline]
    pub(crate) fn token(&mut self) -> Result<Token<'a>, WireError> {
        let [first] = self.bytes()?;
        Ok(match Marker::from_u8(first) {
            Marker::Null => Token::Nil,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::FixPos(number) => Token::Unsigned(number.into()),
            Marker::FixNeg(number) => Token::Negative(number.into()),
            Marker::FixStr(len) => self.text(len.into())?,
            Marker::FixArray(len) => self.array(len.into())?,
            Marker::FixMap(len) => self.map(len.into())?,
            marker => self.sized(marker)?,
        })
    }

    /// The key of a map.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<&'a str, WireError> {
        match self.token()? {
            Token::Text(key) => Ok(key),
            _ => Err(invalid("a key that is no string")),
        }
    }

    /// Passes over the next value, of at most `depth` levels; the error names `limit`.
    pub(crate) fn skip(&mut self, depth: usize, limit: usize) -> Result<(), WireError> {
        let token = self.token()?;
        self.skip_rest(token, depth, limit)
    }

    /// `skip` after the first token. Recurses at most `depth` deep.
    pub(crate) fn skip_rest(&mut self, first: Token<'a>, depth: usize, limit: usize) -> Result<(), WireError> {
        let (len, keyed) = match first {
            Token::Array(len) => (len, false),
            Token::Map(len) => (len, true),
            _ => return Ok(()),
        };
        let inner = depth.checked_sub(1).ok_or_else(|| too_deep(limit))?;
        for _ in 0..len {
            if keyed {
                self.key()?;
            }
            self.skip(inner, limit)?;
        }
        Ok(())
    }

    /// Says that nothing may follow.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(invalid("bytes after the value")) }
    }

    fn sized(&mut self, marker: Marker) -> Result<Token<'a>, WireError> {
        Ok(match marker {
            Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => Token::Unsigned(self.unsigned(marker)?),
            Marker::I8 => signed(i8::from_be_bytes(self.bytes()?).into()),
            Marker::I16 => signed(i16::from_be_bytes(self.bytes()?).into()),
            Marker::I32 => signed(i32::from_be_bytes(self.bytes()?).into()),
            Marker::I64 => signed(i64::from_be_bytes(self.bytes()?)),
            Marker::F32 => finite(f32::from_be_bytes(self.bytes()?).into())?,
            Marker::F64 => finite(f64::from_be_bytes(self.bytes()?))?,
            Marker::Str8 => self.text_of(Marker::U8)?,
            Marker::Str16 => self.text_of(Marker::U16)?,
            Marker::Str32 => self.text_of(Marker::U32)?,
            Marker::Array16 => self.array_of(Marker::U16)?,
            Marker::Array32 => self.array_of(Marker::U32)?,
            Marker::Map16 => self.map_of(Marker::U16)?,
            Marker::Map32 => self.map_of(Marker::U32)?,
            Marker::Reserved => return Err(invalid("the byte 0xc1, which means nothing")),
            _ => return Err(invalid("a binary or extension type, which JSON has not")),
        })
    }

    fn unsigned(&mut self, marker: Marker) -> Result<u64, WireError> {
        Ok(match marker {
            Marker::U8 => u8::from_be_bytes(self.bytes()?).into(),
            Marker::U16 => u16::from_be_bytes(self.bytes()?).into(),
            Marker::U32 => u32::from_be_bytes(self.bytes()?).into(),
            _ => u64::from_be_bytes(self.bytes()?),
        })
    }

    fn text_of(&mut self, size: Marker) -> Result<Token<'a>, WireError> {
        let len = self.unsigned(size)?;
        self.text(len)
    }

    fn array_of(&mut self, size: Marker) -> Result<Token<'a>, WireError> {
        let len = self.unsigned(size)?;
        self.array(len)
    }

    fn map_of(&mut self, size: Marker) -> Result<Token<'a>, WireError> {
        let len = self.unsigned(size)?;
        self.map(len)
    }

    #[inline]
    fn text(&mut self, len: u64) -> Result<Token<'a>, WireError> {
        let len = self.held(len, 1)?;
        let (text, rest) = self.rest.split_at_checked(len).ok_or_else(truncated)?;
        self.rest = rest;
        std::str::from_utf8(text).map(Token::Text).map_err(|_| invalid("a string that is not UTF-8"))
    }

    fn array(&self, len: u64) -> Result<Token<'a>, WireError> {
        self.held(len, 1).map(Token::Array)
    }

    fn map(&self, len: u64) -> Result<Token<'a>, WireError> {
        self.held(len, 2).map(Token::Map)
    }

    /// `len` things of at least `size` bytes each, if the rest can hold them.
    #[inline]
    fn held(&self, len: u64, size: usize) -> Result<usize, WireError> {
        usize::try_from(len).ok().filter(|len| *len <= self.rest.len() / size).ok_or_else(truncated)
    }

    #[inline]
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or_else(truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

fn signed(number: i64) -> Token<'static> {
    u64::try_from(number).map_or(Token::Negative(number), Token::Unsigned)
}

fn finite(number: f64) -> Result<Token<'static>, WireError> {
    if number.is_finite() { Ok(Token::Float(number)) } else { Err(invalid("NaN or an infinity, which JSON has not")) }
}

fn truncated() -> WireError {
    invalid("a length beyond its end")
}

fn invalid(what: &str) -> WireError {
    WireError::new(ErrorCode::InvalidMsgpack, format!("the MessagePack has {what}"))
}
