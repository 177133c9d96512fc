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
///
/// What is left of the text goes from step to step as an argument: as a field it would be stored and loaded again at every one.
pub(super) struct Scanner<'a> {
    text: &'a str,
    tokens: &'a mut Vec<Token>,
    /// The innermost array or object that is open. Until it is closed, its own `end` is what it is in.
    open: u32,
    /// Whether that is an object.
    is_object: bool,
}

/// What is left of the text.
type Rest<'a> = &'a [u8];

/// What the outermost value is in.
const NOTHING: u32 = u32::MAX;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, tokens: &'a mut Vec<Token>) -> Self {
        tokens.clear();
        Self { text, tokens, open: NOTHING, is_object: false }
    }

    /// Scans the whole text.
    pub(super) fn run(mut self) -> Result<(), NotJson> {
        let mut rest = self.text.as_bytes();
        if u32::try_from(rest.len()).is_err() {
            return self.fail(rest);
        }
        loop {
            let (first, after) = self.token(rest)?;
            rest = match first {
                b'"' => self.string(after)?,
                b'{' => {
                    self.opened(after, Shape::Object);
                    match self.token(after)? {
                        (b'}', after) => self.closed(after),
                        (b'"', after) => {
                            rest = self.key(after)?;
                            continue;
                        }
                        _ => return self.fail(after),
                    }
                }
                b'[' => {
                    self.opened(after, Shape::Array);
                    match self.token(after)? {
                        (b']', after) => self.closed(after),
                        _ => {
                            rest = after;
                            continue;
                        }
                    }
                }
                b't' => self.word(after, b"rue", Shape::True)?,
                b'f' => self.word(after, b"alse", Shape::False)?,
                b'n' => self.word(after, b"ull", Shape::Null)?,
                _ => self.number(first, after)?,
            };
            match self.advance(rest)? {
                Some(next) => rest = next,
                None => return Ok(()),
            }
        }
    }

    /// Goes on after a value: to the next one, past its key, or, with `None`, to the end of the text.
    #[inline(always)]
    fn advance(&mut self, mut rest: Rest<'a>) -> Result<Option<Rest<'a>>, NotJson> {
        loop {
            match rest {
                // As most fields follow one another.
                [b',', b'"', after @ ..] if self.is_object => return self.key(after).map(Some),
                _ if self.open == NOTHING => return self.finish(rest).map(|()| None),
                _ => {}
            }
            match (self.token(rest)?, self.is_object) {
                ((b',', after), false) => return Ok(Some(after)),
                ((b',', after), true) => match self.token(after)? {
                    (b'"', after) => return self.key(after).map(Some),
                    _ => return self.fail(after),
                },
                ((b'}', after), true) | ((b']', after), false) => rest = self.closed(after),
                _ => return self.fail(rest),
            }
        }
    }

    #[inline(always)]
    fn opened(&mut self, after: Rest<'a>, shape: Shape) {
        let index = self.tokens.len() as u32;
        self.tokens.push(Token { start: self.at(after), end: self.open, shape });
        self.open = index;
        self.is_object = shape == Shape::Object;
    }

    #[inline(always)]
    fn closed(&mut self, after: Rest<'a>) -> Rest<'a> {
        let end = self.tokens.len() as u32;
        if let Some(token) = self.tokens.get_mut(self.open as usize) {
            self.open = std::mem::replace(&mut token.end, end);
        }
        self.is_object = self.tokens.get(self.open as usize).is_some_and(|token| token.shape == Shape::Object);
        after
    }

    /// Reads a key whose quote has been read, and its colon.
    #[inline(always)]
    fn key(&mut self, start: Rest<'a>) -> Result<Rest<'a>, NotJson> {
        let end = after_plain(start);
        if let [b'"', b':', after @ ..] = end {
            self.push(start, end, Shape::Text);
            return Ok(after);
        }
        let rest = self.ended(start, end)?;
        let (b':', after) = self.token(rest)? else { return self.fail(rest) };
        Ok(after)
    }

    /// Reads a string whose quote has been read.
    #[inline(always)]
    fn string(&mut self, start: Rest<'a>) -> Result<Rest<'a>, NotJson> {
        self.ended(start, after_plain(start))
    }

    /// Reads the rest of a string from its first byte that does not stand for itself.
    #[inline(always)]
    fn ended(&mut self, start: Rest<'a>, stop: Rest<'a>) -> Result<Rest<'a>, NotJson> {
        if let [b'"', after @ ..] = stop {
            self.push(start, stop, Shape::Text);
            return Ok(after);
        }
        let end = after_escapes(self.text, stop).or_else(|rest| self.fail(rest))?;
        self.push(start, end, Shape::Escaped);
        Ok(end.get(1..).unwrap_or_default())
    }

    /// Reads the rest of a word whose first byte has been read.
    #[inline(always)]
    fn word(&mut self, after: Rest<'a>, more: &[u8], shape: Shape) -> Result<Rest<'a>, NotJson> {
        let start = self.at(after) - 1;
        let Some(rest) = after.strip_prefix(more) else { return self.fail(after) };
        self.tokens.push(Token { start, end: self.at(rest), shape });
        Ok(rest)
    }

    /// Reads a number whose first byte has been read.
    #[inline(always)]
    fn number(&mut self, first: u8, after: Rest<'a>) -> Result<Rest<'a>, NotJson> {
        let start = self.at(after) - 1;
        let mut rest = match (first, after) {
            (b'0', rest) | (b'-', [b'0', rest @ ..]) => rest,
            (b'1'..=b'9', rest) => after_digits(rest),
            (b'-', rest) => self.digits(rest)?,
            _ => return self.fail(after),
        };
        if let [b'.', after @ ..] = rest {
            rest = self.digits(after)?;
        }
        if let [b'e' | b'E', b'+' | b'-', after @ ..] | [b'e' | b'E', after @ ..] = rest {
            rest = self.digits(after)?;
        }
        self.tokens.push(Token { start, end: self.at(rest), shape: Shape::Number });
        Ok(rest)
    }

    /// Reads one digit or more.
    #[inline(always)]
    fn digits(&mut self, rest: Rest<'a>) -> Result<Rest<'a>, NotJson> {
        match rest {
            [b'0'..=b'9', after @ ..] => Ok(after_digits(after)),
            _ => self.fail(rest),
        }
    }

    /// The next byte that is no white space, and what is after it.
    #[inline(always)]
    fn token(&self, rest: Rest<'a>) -> Result<(u8, Rest<'a>), NotJson> {
        match rest {
            [byte, after @ ..] if *byte > b' ' => Ok((*byte, after)),
            _ => self.after_space(rest),
        }
    }

    #[cold]
    fn after_space(&self, mut rest: Rest<'a>) -> Result<(u8, Rest<'a>), NotJson> {
        while let [byte, after @ ..] = rest {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok((*byte, after));
            }
            rest = after;
        }
        self.fail(rest)
    }

    fn finish(&self, rest: Rest<'a>) -> Result<(), NotJson> {
        if self.token(rest).is_err() { Ok(()) } else { self.fail(rest) }
    }

    #[inline(always)]
    fn push(&mut self, start: Rest<'a>, end: Rest<'a>, shape: Shape) {
        self.tokens.push(Token { start: self.at(start), end: self.at(end), shape });
    }

    #[inline(always)]
    fn at(&self, rest: Rest<'a>) -> u32 {
        (self.text.len() - rest.len()) as u32
    }

    #[cold]
    fn fail<T>(&self, rest: Rest<'a>) -> Result<T, NotJson> {
        Err(NotJson { at: self.text.len() - rest.len() })
    }
}

#[inline(always)]
fn after_digits(mut rest: Rest<'_>) -> Rest<'_> {
    while let [b'0'..=b'9', after @ ..] = rest {
        rest = after;
    }
    rest
}

/// From the quote that ends a string whose next byte does not stand for itself; an error is from what is wrong in it.
#[inline(never)]
fn after_escapes<'a>(text: &str, mut rest: Rest<'a>) -> Result<Rest<'a>, Rest<'a>> {
    while let [b'\\', after @ ..] = rest {
        let (_, used) = text.get(text.len() - after.len()..).and_then(escape).ok_or(rest)?;
        rest = after_plain(after.get(used..).unwrap_or_default());
    }
    if rest.first() == Some(&b'"') { Ok(rest) } else { Err(rest) }
}

/// From the next quote, backslash or control character.
#[inline(always)]
fn after_plain(rest: Rest<'_>) -> Rest<'_> {
    match rest.first_chunk().map(stops) {
        Some(0) | None => after_long(rest),
        Some(stops) => rest.get(first_of(stops)..).unwrap_or_default(),
    }
}

/// The same of what is not found in the first few bytes.
#[inline(never)]
fn after_long(mut rest: Rest<'_>) -> Rest<'_> {
    while let Some((chunk, after)) = rest.split_first_chunk() {
        let stops = stops(chunk);
        if stops != 0 {
            return rest.get(first_of(stops)..).unwrap_or_default();
        }
        rest = after;
    }
    while let [byte, after @ ..] = rest
        && !matches!(byte, b'"' | b'\\' | 0..=0x1f)
    {
        rest = after;
    }
    rest
}

/// The high bit of each byte that is a quote, a backslash or below 0x20; bytes after the first such one may be marked wrongly.
const fn stops(chunk: &[u8; 8]) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let word = u64::from_le_bytes(*chunk);
    // With this bit turned, a quote and what is below 0x20 are what is below 0x21.
    let control_or_quote = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (control_or_quote | backslash) & !word & (ONES * 0x80)
}

const fn first_of(stops: u64) -> usize {
    (stops.trailing_zeros() / 8) as usize
}
