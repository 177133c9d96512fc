//! A dotted path and the places in a payload that it reaches ([P-72]).
use super::view::{Kind, View};

/// The longest path, in bytes.
const PATH_BYTES: usize = 256;

/// The most segments of a path.
const SEGMENTS: usize = 16;

/// The most digits of an array index.
const INDEX_DIGITS: usize = 9;

/// A compiled path.
#[derive(Debug, Clone)]
pub(super) struct Path {
    text: Box<str>,
    segments: Box<[Segment]>,
}

#[derive(Debug, Clone)]
struct Segment {
    key: Box<str>,
    index: Option<usize>,
}

impl Path {
    /// `None` for a path that breaks a rule.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let segments: Box<[Segment]> = text.split('.').map(Segment::new).collect();
        let is_valid = text.len() <= PATH_BYTES && segments.len() <= SEGMENTS && segments.iter().all(|segment| !segment.key.is_empty());
        is_valid.then(|| Self { text: text.into(), segments })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `accepts` holds at one of the places that the path reaches; `None` is a missing field.
    pub(super) fn reaches<'a, V: View<'a>>(&self, root: V, accepts: impl Fn(Option<V>) -> bool + Copy) -> bool {
        walk(Some(root), &self.segments, accepts)
    }
}

impl Segment {
    fn new(key: &str) -> Self {
        let is_index = key.len() <= INDEX_DIGITS && key.bytes().all(|b| b.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
        Self { key: key.into(), index: if is_index { key.parse().ok() } else { None } }
    }
}

/// The recursion is as deep as the path is long: an array within an array is not fanned out again.
fn walk<'a, V: View<'a>>(at: Option<V>, segments: &[Segment], accepts: impl Fn(Option<V>) -> bool + Copy) -> bool {
    let (Some((segment, rest)), Some(value)) = (segments.split_first(), at) else { return accepts(at) };
    match (value.kind(), segment.index) {
        (Kind::Array, Some(index)) => walk(value.at(index), rest, accepts),
        (Kind::Array, None) => {
            let mut elements = value.elements().peekable();
            elements.peek().is_none() && accepts(None) || elements.any(|element| walk(element.get(&segment.key), rest, accepts))
        }
        _ => walk(value.get(&segment.key), rest, accepts),
    }
}
