//! The regular expressions of `$regex`: the subset that Rust's `regex` and JavaScript's `u` flag read alike ([P-76]).
use regex::{Regex, RegexBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// The longest pattern, in bytes of UTF-8.
pub(super) const PATTERN_BYTES: usize = 256;

/// What all patterns of one filter may cost together: characters, members of classes, assertions and `|`, each times its repetitions. It bounds the states of
/// the compiled patterns, and with them the time to compile them and, where the search's cache does not hold, the time for each character.
pub(super) const PATTERN_COST: u32 = 512;

/// What a class costs more that takes characters beyond ASCII: in UTF-8 it is about ten states.
const WIDE_COST: u32 = 8;

/// The largest count in `{n,m}`.
const REPETITIONS: u32 = 1_000;

/// Room for a pattern of the highest cost, in bytes; the costliest ones that were found take a fifth of it.
const COMPILED_BYTES: usize = 1 << 20;

/// What the search's cache may hold, in bytes per thread; past it the search goes on without one, still linear.
const CACHE_BYTES: usize = 256 << 10;

/// Characters that stand for themselves only after a backslash.
const SYNTAX: &str = "^$\\.*+?()[]{}|/";

/// Why a pattern is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternFault {
    /// It has too many bytes.
    #[error("a pattern has at most 256 bytes")]
    TooLong,
    /// The filter's patterns cost too much.
    #[error(
        "the patterns of a filter cost at most 512 together, and those of a connection's filters 4,096: use fewer or smaller repetitions"
    )]
    TooCostly,
    /// An escape outside the subset.
    #[error("`\\{0}` is not in the subset of regular expressions that filters take")]
    Escape(char),
    /// A group that is neither `(` nor `(?:`.
    #[error("of groups only `(...)` and `(?:...)` are taken: no lookaround, no names, no flags")]
    Group,
    /// Brackets without their other half.
    #[error("a bracket or parenthesis is not closed, or closes nothing")]
    Unbalanced,
    /// A repetition of nothing, of an assertion or of a repetition.
    #[error("a repetition follows nothing that can be repeated")]
    Repetition,
    /// Not `{n}`, `{n,}` or `{n,m}`.
    #[error("`{{` begins a count, `{{n}}`, `{{n,}}` or `{{n,m}}` with n <= m <= 1,000: write `\\{{` for the character")]
    Count,
    /// A class outside the subset.
    #[error("a class in brackets has single characters, ascending ranges and \\d \\w \\s; `[`, and `-` between others, need a backslash")]
    Class,
    /// It ends in a backslash.
    #[error("the pattern ends in a backslash")]
    Trailing,
}

/// Compiles a pattern and returns its cost with it; one that costs more than `room` is not built.
pub(super) fn compile(pattern: &str, room: u32) -> Result<(Regex, u32), PatternFault> {
    if pattern.len() > PATTERN_BYTES {
        return Err(PatternFault::TooLong);
    }
    let (translated, cost) = Translator::new(pattern).run()?;
    if cost > room {
        return Err(PatternFault::TooCostly);
    }
    let mut builder = RegexBuilder::new(&translated);
    builder.size_limit(COMPILED_BYTES).dfa_size_limit(CACHE_BYTES).nest_limit(4 * PATTERN_BYTES as u32);
    Ok((builder.build().map_err(|_| PatternFault::TooCostly)?, cost))
}

/// Cost of what has been read of a group, and of its last item where that can be repeated.
#[derive(Default)]
struct Group {
    cost: u32,
    last: Option<u32>,
}

/// Reads a pattern and writes it as the `regex` crate reads it, with every character class spelled out.
struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    outer: Vec<Group>,
    group: Group,
}

/// One member of a class in brackets, or one character outside.
#[derive(Clone, Copy)]
enum Item {
    One(char),
    Ranges(&'static str),
    /// Ranges to the end of Unicode.
    Complement(&'static str),
}

impl Item {
    fn is_wide(self) -> bool {
        match self {
            Self::One(c) => !c.is_ascii(),
            Self::Ranges(_) => false,
            Self::Complement(_) => true,
        }
    }
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str) -> Self {
        Self { rest: pattern.chars().peekable(), out: String::new(), outer: Vec::new(), group: Group::default() }
    }

    fn run(mut self) -> Result<(String, u32), PatternFault> {
        while let Some(c) = self.rest.next() {
            self.item(c)?;
            if self.group.cost > PATTERN_COST {
                return Err(PatternFault::TooCostly);
            }
        }
        if self.outer.is_empty() { Ok((self.out, self.group.cost)) } else { Err(PatternFault::Unbalanced) }
    }

    fn item(&mut self, c: char) -> Result<(), PatternFault> {
        match c {
            '(' => self.open()?,
            ')' => self.close()?,
            '[' => self.class()?,
            ']' | '}' => return Err(PatternFault::Unbalanced),
            '*' | '+' | '?' => self.repeat(&c.to_string(), 1)?,
            '{' => self.count()?,
            '|' | '^' | '$' => self.assertion(c.encode_utf8(&mut [0; 4])),
            '.' => self.atom(r"[^\n]", WIDE_COST),
            '\\' if self.rest.next_if_eq(&'b').is_some() => self.assertion(r"(?-u:\b)"),
            '\\' => match self.escape("")? {
                Item::One(c) => self.character(c),
                Item::Ranges(ranges) => self.atom(&format!("[{ranges}]"), 1),
                Item::Complement(ranges) => self.atom(&format!("[{ranges}]"), WIDE_COST),
            },
            c => self.character(c),
        }
        Ok(())
    }

    fn character(&mut self, c: char) {
        self.atom(&escaped(c), 1);
    }

    fn atom(&mut self, text: &str, cost: u32) {
        self.out.push_str(text);
        self.group.cost += cost;
        self.group.last = Some(cost);
    }

    fn assertion(&mut self, text: &str) {
        self.out.push_str(text);
        self.group.cost += 1;
        self.group.last = None;
    }

    fn open(&mut self) -> Result<(), PatternFault> {
        if self.rest.next_if_eq(&'?').is_some() && self.rest.next_if_eq(&':').is_none() {
            return Err(PatternFault::Group);
        }
        self.out.push_str("(?:");
        self.outer.push(std::mem::take(&mut self.group));
        Ok(())
    }

    fn close(&mut self) -> Result<(), PatternFault> {
        let outer = self.outer.pop().ok_or(PatternFault::Unbalanced)?;
        let inner = std::mem::replace(&mut self.group, outer);
        self.atom(")", inner.cost.max(1));
        Ok(())
    }

    fn repeat(&mut self, sign: &str, times: u32) -> Result<(), PatternFault> {
        let cost = self.group.last.take().ok_or(PatternFault::Repetition)?;
        self.group.cost += cost * times.saturating_sub(1);
        self.out.push_str(sign);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), PatternFault> {
        let least = self.digits().ok_or(PatternFault::Count)?;
        let most = if self.rest.next_if_eq(&',').is_some() { self.digits() } else { Some(least) };
        let is_open = most.is_none();
        let most = most.unwrap_or(least);
        if self.rest.next() != Some('}') || least > most || most > REPETITIONS {
            return Err(PatternFault::Count);
        }
        let sign = if is_open { format!("{{{least},}}") } else { format!("{{{least},{most}}}") };
        self.repeat(&sign, most)
    }

    /// A count; past the largest one it stays just above it.
    fn digits(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            number = Some((number.unwrap_or(0) * 10 + digit).min(REPETITIONS + 1));
        }
        number
    }

    fn class(&mut self) -> Result<(), PatternFault> {
        let is_negated = self.rest.next_if_eq(&'^').is_some();
        let (mut members, mut count, mut is_wide) = (String::new(), 0, is_negated);
        loop {
            match self.rest.next().ok_or(PatternFault::Unbalanced)? {
                ']' if count == 0 => return Err(PatternFault::Class),
                ']' => break,
                c => is_wide |= self.member(c, count == 0, &mut members)?,
            }
            count += 1;
        }
        let negation = if is_negated { "^" } else { "" };
        self.atom(&format!("[{negation}{members}]"), if is_wide { count + WIDE_COST } else { count });
        Ok(())
    }

    /// Reads one member; true if it takes characters beyond ASCII.
    fn member(&mut self, c: char, is_first: bool, members: &mut String) -> Result<bool, PatternFault> {
        if c == '-' && !is_first && self.rest.peek() != Some(&']') {
            return Err(PatternFault::Class);
        }
        let from = if c == '-' { Item::One(c) } else { self.class_item(c)? };
        if !self.is_range() {
            match from {
                Item::One(c) => members.push_str(&escaped(c)),
                Item::Ranges(ranges) | Item::Complement(ranges) => members.push_str(ranges),
            }
            return Ok(from.is_wide());
        }
        self.rest.next();
        let c = self.rest.next().ok_or(PatternFault::Unbalanced)?;
        match (from, self.class_item(c)?) {
            (Item::One(from), Item::One(to)) if from <= to => {
                members.push_str(&format!("{}-{}", escaped(from), escaped(to)));
                Ok(!to.is_ascii())
            }
            _ => Err(PatternFault::Class),
        }
    }

    /// Whether a `-` follows that has something after it.
    fn is_range(&self) -> bool {
        let mut ahead = self.rest.clone();
        ahead.next() == Some('-') && ahead.next() != Some(']')
    }

    fn class_item(&mut self, c: char) -> Result<Item, PatternFault> {
        match c {
            '[' | '-' => Err(PatternFault::Class),
            '\\' => self.escape("-"),
            c => Ok(Item::One(c)),
        }
    }

    /// What a backslash was followed by; `also` may be escaped too.
    fn escape(&mut self, also: &str) -> Result<Item, PatternFault> {
        let c = self.rest.next().ok_or(PatternFault::Trailing)?;
        Ok(match c {
            'd' => Item::Ranges("0-9"),
            'D' => Item::Complement(r"\x00-/:-\x{10FFFF}"),
            'w' => Item::Ranges("0-9A-Z_a-z"),
            'W' => Item::Complement(r"\x00-/:-@\[-\^`\{-\x{10FFFF}"),
            's' => Item::Ranges(r"\t-\r\x20"),
            'S' => Item::Complement(r"\x00-\x08\x0E-\x1F!-\x{10FFFF}"),
            't' => Item::One('\t'),
            'n' => Item::One('\n'),
            'v' => Item::One('\u{b}'),
            'f' => Item::One('\u{c}'),
            'r' => Item::One('\r'),
            c if SYNTAX.contains(c) || also.contains(c) => Item::One(c),
            c => return Err(PatternFault::Escape(c)),
        })
    }
}

fn escaped(c: char) -> String {
    regex::escape(c.encode_utf8(&mut [0; 4]))
}
