//! A JSON value that a filter compares with, and deep equality with a payload's.
use super::number::Number;
use super::view::{Kind, View};
use std::collections::BTreeMap;

/// A JSON value in a form that is equal, ordered and written the same whatever the order of keys and the spelling of numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    Array(Box<[Literal]>),
    /// Sorted by key, each once.
    Object(Box<[(Box<str>, Literal)]>),
}

/// Why a value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    TooDeep,
    NotFinite,
}

impl Literal {
    /// Reads a value with at most `depth` arrays and objects inside one another.
    pub(super) fn read<'a>(view: impl View<'a>, depth: usize) -> Result<Self, Unreadable> {
        let inner = || depth.checked_sub(1).ok_or(Unreadable::TooDeep);
        Ok(match view.kind() {
            Kind::Null => Self::Null,
            Kind::Bool(value) => Self::Bool(value),
            Kind::Number => Self::Number(view.number().filter(|n| n.is_finite()).ok_or(Unreadable::NotFinite)?),
            Kind::Text => Self::Text(view.text().unwrap_or_default().into()),
            Kind::Array => {
                let inner = inner()?;
                Self::Array(view.elements().map(|element| Self::read(element, inner)).collect::<Result<_, _>>()?)
            }
            Kind::Object => {
                let inner = inner()?;
                let entries = view.entries().map(|(key, value)| Ok((Box::from(key), Self::read(value, inner)?)));
                Self::Object(entries.collect::<Result<BTreeMap<_, _>, _>>()?.into_iter().collect())
            }
        })
    }

    /// Arrays and objects inside one another, itself included.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(entries) => 1 + entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Deep equality ([P-74]).
    pub(super) fn equals<'a>(&self, view: impl View<'a>) -> bool {
        match self {
            Self::Null => view.kind() == Kind::Null,
            Self::Bool(value) => view.kind() == Kind::Bool(*value),
            Self::Number(number) => view.number() == Some(*number),
            Self::Text(text) => view.text().is_some_and(|other| *other == **text),
            Self::Array(items) => view.kind() == Kind::Array && equals_elements(items, view),
            Self::Object(entries) => view.kind() == Kind::Object && equals_entries(entries, view),
        }
    }

    /// Appends its JSON, without white space.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => number.write(out),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => write_list(out, ['[', ']'], items, Self::write),
            Self::Object(entries) => write_list(out, ['{', '}'], entries, |(key, value), out| {
                write_text(key, out);
                out.push(':');
                value.write(out);
            }),
        }
    }
}

fn equals_elements<'a>(items: &[Literal], view: impl View<'a>) -> bool {
    let mut elements = view.elements();
    items.iter().all(|item| elements.next().is_some_and(|element| item.equals(element))) && elements.next().is_none()
}

/// One pass over the payload's fields, so that its cost is theirs, not the product.
fn equals_entries<'a>(entries: &[(Box<str>, Literal)], view: impl View<'a>) -> bool {
    let mut equal = vec![false; entries.len()];
    for (key, value) in view.entries() {
        let Ok(place) = entries.binary_search_by(|(ours, _)| (**ours).cmp(&*key)) else { return false };
        equal[place] = entries[place].1.equals(value);
    }
    equal.iter().all(|equal| *equal)
}

/// Appends `items` between brackets, with commas.
pub(super) fn write_list<T>(out: &mut String, [open, close]: [char; 2], items: &[T], write: impl Fn(&T, &mut String)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

/// Appends a JSON string with the escapes that JavaScript uses.
pub(super) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
