//! The scanner: one pass over JSON text that checks it and lists its values, without a recursion that nesting could exhaust.
use super::payload::{NotJson, escape};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    False,
    True,
    Number,
    /// A string without escapes.
    Text,
    /// A string with escapes.
    Escaped,
    Array,
    Object,
}

/// A value or key. Objects are followed by key, value, key, value; arrays by their elements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// Where its text begins.
    pub(super) start: u32,
    /// Where its text ends; of arrays and objects the index of the token after all that is in them.
    pub(super) end: u32,
    /// What it is.
    pub(super) shape: Shape,
}

impl Token {
    pub(super) const NULL: Self = Self { start: 0, end: 0, shape: Shape::Null };

    /// The bytes of a string or number.
    pub(super) fn len(&self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The index of what follows it, where `index` is its own.
    pub(super) fn next(&self, index: usize) -> usize {
        if matches!(self.shape, Shape::Array | Shape::Object) { self.end as usize } else { index + 1 }
    }
}

/// Writes the tokens of a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: &'a mut Vec<Token>,
    open: &'a mut Vec<u32>,
    /// Whether the innermost open one is an object.
    is_object: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, tokens: &'a mut Vec<Token>, open: &'a mut Vec<u32>) -> Self {
        tokens.clear();
        open.clear();
        Self { text, bytes: text.as_bytes(), at: 0, tokens, open, is_object: false }
    }

    /// Scans the whole text.
    pub(super) fn run(mut self) -> Result<(), NotJson> {
        if u32::try_from(self.bytes.len()).is_err() {
            return self.fail();
        }
        loop {
            if self.is_object {
                self.key()?;
            }
            if self.value()? {
                continue;
            }
            loop {
                if self.open.is_empty() {
                    return self.finish();
                }
                match (self.token()?, self.is_object) {
                    (b',', _) => break,
                    (b'}', true) | (b']', false) => self.close(),
                    _ => return self.fail(),
                }
            }
        }
    }

    /// Reads one value; true if it is an array or object whose first value or key comes next.
    #[inline(always)]
    fn value(&mut self) -> Result<bool, NotJson> {
        match self.token()? {
            b'"' => self.string(),
            b'{' => return self.opened(Shape::Object, b'}'),
            b'[' => return self.opened(Shape::Array, b']'),
            b't' => self.word("true", Shape::True),
            b'f' => self.word("false", Shape::False),
            b'n' => self.word("null", Shape::Null),
            _ => self.number(),
        }?;
        Ok(false)
    }

    /// Opens an array or object; true if there is anything in it.
    #[inline(always)]
    fn opened(&mut self, shape: Shape, closing: u8) -> Result<bool, NotJson> {
        self.open.push(self.tokens.len() as u32);
        self.push(self.at, shape);
        self.is_object = shape == Shape::Object;
        let before = self.at;
        if self.token()? == closing {
            self.close();
            return Ok(false);
        }
        self.at = before;
        Ok(true)
    }

    #[inline]
    fn close(&mut self) {
        let end = self.tokens.len() as u32;
        if let Some(token) = self.open.pop().and_then(|open| self.tokens.get_mut(open as usize)) {
            token.end = end;
        }
        let around = self.open.last().and_then(|open| self.tokens.get(*open as usize));
        self.is_object = around.is_some_and(|token| token.shape == Shape::Object);
    }

    #[inline(always)]
    fn key(&mut self) -> Result<(), NotJson> {
        if self.token()? != b'"' {
            return self.fail();
        }
        self.string()?;
        if self.token()? == b':' { Ok(()) } else { self.fail() }
    }

    /// Reads a string whose quote has been read.
    #[inline(always)]
    fn string(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        self.at = end_of_plain(self.bytes, start);
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.escaped(start);
        }
        self.push(start, Shape::Text);
        self.at += 1;
        Ok(())
    }

    /// Reads the rest of a string from its first byte that does not stand for itself.
    #[inline(never)]
    fn escaped(&mut self, start: usize) -> Result<(), NotJson> {
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let Some((_, used)) = self.text.get(self.at + 1..).and_then(escape) else { return self.fail() };
                    self.at = end_of_plain(self.bytes, self.at + 1 + used);
                }
                _ => return self.fail(),
            }
        }
        self.push(start, Shape::Escaped);
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, shape: Shape) -> Result<(), NotJson> {
        let start = self.at - 1;
        if !self.bytes.get(start..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return self.fail();
        }
        self.at = start + word.len();
        self.push(start, shape);
        Ok(())
    }

    /// Reads a number whose first byte has been read.
    #[inline(always)]
    fn number(&mut self) -> Result<(), NotJson> {
        let start = self.at - 1;
        self.at = start + usize::from(self.bytes.get(start) == Some(&b'-'));
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        self.push(start, Shape::Number);
        Ok(())
    }

    #[inline]
    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { self.fail() }
    }

    /// The next byte that is no white space, read.
    #[inline(always)]
    fn token(&mut self) -> Result<u8, NotJson> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte > b' ' => {
                self.at += 1;
                Ok(*byte)
            }
            _ => self.after_space(),
        }
    }

    #[cold]
    fn after_space(&mut self) -> Result<u8, NotJson> {
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(*byte);
            }
        }
        self.fail()
    }

    fn finish(mut self) -> Result<(), NotJson> {
        if self.token().is_err() { Ok(()) } else { self.fail() }
    }

    #[inline]
    fn push(&mut self, start: usize, shape: Shape) {
        self.tokens.push(Token { start: start as u32, end: self.at as u32, shape });
    }

    #[cold]
    fn fail<T>(&self) -> Result<T, NotJson> {
        Err(NotJson { at: self.at.min(self.bytes.len()) })
    }
}

/// Where the next quote, backslash or control character is, or the end; eight bytes at a time.
#[inline(always)]
fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let stop = stops(u64::from_le_bytes(*chunk));
        if stop != 0 {
            return at + (stop.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)) {
        at += 1;
    }
    at
}

/// The high bit of each byte that is a quote, a backslash or below 0x20; bytes after the first such one may be marked wrongly.
const fn stops(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    (quote.wrapping_sub(ONES) & !quote | backslash.wrapping_sub(ONES) & !backslash | word.wrapping_sub(ONES * 0x20) & !word) & HIGH
}
