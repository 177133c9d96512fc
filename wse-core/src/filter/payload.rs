//! A message's payload, scanned once for all filters that judge it: places of values in the text, nothing copied or converted.
use super::number::Number;
use super::scan::{Scanner, Shape, Token};
use super::view::{Kind, View};
use std::borrow::Cow;

/// The bytes are not one JSON value. The publisher's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload is not JSON: see byte {at}")]
pub struct NotJson {
    /// Where it stops being JSON, in bytes from the start.
    pub at: usize,
}

/// Memory that scanning needs, kept from message to message.
///
/// It grows to 12 bytes for each value and key of the largest payload.
#[derive(Debug, Default)]
pub struct Scratch {
    tokens: Vec<Token>,
}

/// A scanned payload: what [`Filter::matches_parsed`](super::Filter::matches_parsed) judges.
///
/// ```
/// use wse_core::filter::{Filter, Payload, Scratch};
///
/// let (cheap, dear) = (Filter::compile_json(br#"{"price":{"$lt":10}}"#)?, Filter::compile_json(br#"{"price":{"$gte":10}}"#)?);
/// let mut scratch = Scratch::default();
/// let payload = Payload::parse(&mut scratch, br#"{"symbol":"AAPL","price":12.5}"#).expect("JSON");
/// assert!(!cheap.matches_parsed(&payload) && dear.matches_parsed(&payload));
/// # Ok::<(), wse_core::filter::FilterError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Payload<'a> {
    /// Checks that `bytes` are one JSON value and notes where its parts are. About 0.6 ns for each byte; allocates only while `scratch` grows.
    ///
    /// # Errors
    /// [`NotJson`] for anything that RFC 8259 does not allow, invalid UTF-8 and lone surrogates, and 4 GiB or more.
    pub fn parse(scratch: &'a mut Scratch, bytes: &'a [u8]) -> Result<Self, NotJson> {
        let text = simdutf8::compat::from_utf8(bytes).map_err(|error| NotJson { at: error.valid_up_to() })?;
        let Scratch { tokens } = scratch;
        Scanner::new(text, tokens).run()?;
        Ok(Self { text, tokens })
    }

    pub(super) fn root(&self) -> Place<'a> {
        Place { text: self.text, tokens: self.tokens, index: 0 }
    }
}

/// One value of a scanned payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    text: &'a str,
    tokens: &'a [Token],
    index: usize,
}

impl<'a> Place<'a> {
    fn token(self) -> Token {
        self.tokens.get(self.index).copied().unwrap_or(Token::NULL)
    }

    fn is(self, shape: Shape) -> bool {
        self.token().shape == shape
    }

    fn to(self, index: usize) -> Self {
        Self { index, ..self }
    }

    /// Where what follows it begins.
    fn next(self) -> usize {
        self.token().next(self.index)
    }

    /// The raw text of a string or number.
    fn raw(self) -> &'a str {
        self.slice(&self.token())
    }

    fn slice(self, token: &Token) -> &'a str {
        self.text.get(token.start as usize..token.end as usize).unwrap_or("")
    }

    /// Its parts one after the other: elements, or keys and values in turn.
    fn parts(self) -> impl Iterator<Item = Self> {
        let is_open = matches!(self.token().shape, Shape::Array | Shape::Object);
        let (mut index, end) = (self.index + 1, if is_open { self.next() } else { 0 });
        std::iter::from_fn(move || {
            let part = (index < end).then(|| self.to(index))?;
            index = part.next();
            Some(part)
        })
    }

    /// Whether a key that begins and ends where `token` says is `key`.
    fn is_key(self, token: &Token, key: &str) -> bool {
        // Lengths first: most keys differ in theirs.
        match token.shape {
            Shape::Escaped => unescaped(self.slice(token)) == key,
            _ => {
                token.len() == key.len()
                    && self.text.as_bytes().get(token.start as usize..).is_some_and(|rest| rest.starts_with(key.as_bytes()))
            }
        }
    }
}

impl<'a> View<'a> for Place<'a> {
    fn kind(self) -> Kind {
        match self.token().shape {
            Shape::Null => Kind::Null,
            Shape::False => Kind::Bool(false),
            Shape::True => Kind::Bool(true),
            Shape::Number => Kind::Number,
            Shape::Text | Shape::Escaped => Kind::Text,
            Shape::Array => Kind::Array,
            Shape::Object => Kind::Object,
        }
    }

    fn number(self) -> Option<Number> {
        if self.is(Shape::Number) { Number::parse(self.raw()) } else { None }
    }

    fn text(self) -> Option<Cow<'a, str>> {
        match self.token().shape {
            Shape::Text => Some(Cow::Borrowed(self.raw())),
            Shape::Escaped => Some(Cow::Owned(unescaped(self.raw()))),
            _ => None,
        }
    }

    fn get(self, key: &str) -> Option<Self> {
        if !self.is(Shape::Object) {
            return None;
        }
        let fields = self.tokens.get(..self.next())?;
        let (mut found, mut index) = (None, self.index + 1);
        while let Some([name, value, ..]) = fields.get(index..) {
            if self.is_key(name, key) {
                found = Some(self.to(index + 1));
            }
            index = value.next(index + 1);
        }
        found
    }

    fn at(self, index: usize) -> Option<Self> {
        self.elements().nth(index)
    }

    fn elements(self) -> impl Iterator<Item = Self> {
        self.is(Shape::Array).then(|| self.parts()).into_iter().flatten()
    }

    fn entries(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let mut parts = self.is(Shape::Object).then(|| self.parts()).into_iter().flatten();
        std::iter::from_fn(move || Some((parts.next()?.text()?, parts.next()?)))
    }
}

/// A scanned string's value; the scanner has checked its escapes.
fn unescaped(raw: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(raw.len()), raw);
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (c, used) = escape(after).unwrap_or((char::REPLACEMENT_CHARACTER, after.len()));
        out.push(c);
        rest = after.get(used..).unwrap_or("");
    }
    out + rest
}

/// What the escape after a backslash stands for, and its length; `None` where it is no escape or a lone surrogate.
pub(super) fn escape(after: &str) -> Option<(char, usize)> {
    let c = match after.as_bytes().first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(after),
        _ => return None,
    };
    Some((c, 1))
}

fn unicode_escape(after: &str) -> Option<(char, usize)> {
    let first = hex(after.get(1..5)?)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, 5));
    }
    let second = hex(after.get(5..11)?.strip_prefix("\\u")?)?;
    let is_pair = (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second);
    let c = is_pair.then(|| 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).and_then(char::from_u32)?;
    Some((c, 11))
}

fn hex(digits: &str) -> Option<u32> {
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}
