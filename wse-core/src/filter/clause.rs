//! The compiled form: three connectives over tests of fields. All other operators are made of these, so that negations are exact.
use super::literal::{Literal, write_list, write_text};
use super::number::Number;
use super::path::Path;
use super::view::{Kind, View};
use regex::Regex;
use std::cmp::Ordering;

/// A compiled filter or a part of one.
#[derive(Debug, Clone)]
pub(super) enum Clause {
    /// All of them, sorted by their canonical text; none matches everything.
    All(Box<[Clause]>),
    /// One of them, sorted likewise.
    Any(Box<[Clause]>),
    Not(Box<Clause>),
    Field(Path, Test),
}

impl Clause {
    pub(super) fn all(parts: Vec<Self>) -> Self {
        let is_flat = |part| match part {
            Self::All(inner) => inner.into_vec(),
            part => vec![part],
        };
        Self::joined(parts.into_iter().flat_map(is_flat).collect(), Self::All)
    }

    pub(super) fn any(parts: Vec<Self>) -> Self {
        let is_flat = |part| match part {
            Self::Any(inner) => inner.into_vec(),
            part => vec![part],
        };
        Self::joined(parts.into_iter().flat_map(is_flat).collect(), Self::Any)
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            clause => Self::Not(Box::new(clause)),
        }
    }

    /// Sorts and leaves out repetitions, so that order and repetition make no other filter.
    fn joined(parts: Vec<Self>, join: impl Fn(Box<[Self]>) -> Self) -> Self {
        let mut parts: Vec<(String, Self)> = parts.into_iter().map(|part| (part.canonical(), part)).collect();
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        parts.dedup_by(|(a, _), (b, _)| a == b);
        let mut parts: Vec<Self> = parts.into_iter().map(|(_, part)| part).collect();
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => join(parts.into_iter().chain(last).collect()),
        }
    }

    /// A filter in JSON that compiles to this.
    pub(super) fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::All(parts) if parts.is_empty() => out.push_str("{}"),
            Self::All(parts) => write_operator(out, "$and", |out| write_list(out, ['[', ']'], parts, Self::write)),
            Self::Any(parts) => write_operator(out, "$or", |out| write_list(out, ['[', ']'], parts, Self::write)),
            Self::Not(inner) => write_operator(out, "$not", |out| inner.write(out)),
            Self::Field(path, test) => write_operator(out, path.as_str(), |out| test.write(out)),
        }
    }

    pub(super) fn matches<'a>(&self, payload: impl View<'a>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(payload)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(payload)),
            Self::Not(inner) => !inner.matches(payload),
            Self::Field(path, test) => path.reaches(payload, |place| test.accepts(place)),
        }
    }
}

fn write_operator(out: &mut String, name: &str, operand: impl FnOnce(&mut String)) {
    out.push('{');
    write_text(name, out);
    out.push(':');
    operand(out);
    out.push('}');
}

/// What a comparison compares with: these two only are ordered.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Number(Number),
    Text(Box<str>),
}

/// Which side of the bound is accepted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relation {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Relation {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Above => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Below => order.is_lt(),
            Self::AtMost => order.is_le(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Above => "$gt",
            Self::AtLeast => "$gte",
            Self::Below => "$lt",
            Self::AtMost => "$lte",
        }
    }
}

/// The values of an `$in`, each kind sorted.
#[derive(Debug, Clone)]
pub(super) struct Set {
    texts: Box<[Box<str>]>,
    numbers: Box<[Number]>,
    others: Box<[Literal]>,
}

impl Set {
    pub(super) fn new(values: &[Literal]) -> Self {
        let mut values = values.to_vec();
        values.sort();
        values.dedup();
        let (mut texts, mut numbers, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            match value {
                Literal::Text(text) => texts.push(text),
                Literal::Number(number) => numbers.push(number),
                other => others.push(other),
            }
        }
        Self { texts: texts.into(), numbers: numbers.into(), others: others.into() }
    }

    fn has<'a>(&self, value: impl View<'a>) -> bool {
        match value.kind() {
            Kind::Text => value.text().is_some_and(|text| self.texts.binary_search_by(|ours| (**ours).cmp(&*text)).is_ok()),
            Kind::Number => value.number().is_some_and(|number| self.numbers.binary_search(&number).is_ok()),
            _ => self.others.iter().any(|ours| ours.equals(value)),
        }
    }

    fn write(&self, out: &mut String) {
        let texts = self.texts.iter().cloned().map(Literal::Text);
        let numbers = self.numbers.iter().copied().map(Literal::Number);
        Literal::Array(self.others.iter().cloned().chain(numbers).chain(texts).collect()).write(out);
    }
}

/// What is asked of the value at a place.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Equal(Literal),
    In(Set),
    Compare(Relation, Bound),
    Exists,
    Pattern(Regex, Box<str>),
    Contains(Literal),
    Starts(Box<str>),
    Ends(Box<str>),
}

impl Test {
    /// [P-72], [P-73]: a missing field, the value, or one of the elements that it has.
    fn accepts<'a, V: View<'a>>(&self, place: Option<V>) -> bool {
        let Some(value) = place else { return self.accepts_missing() };
        let looks_inside = !matches!(self, Self::Exists | Self::Contains(_)) && value.kind() == Kind::Array;
        self.holds(value) || looks_inside && value.elements().any(|element| self.holds(element))
    }

    fn accepts_missing(&self) -> bool {
        match self {
            Self::Equal(value) => *value == Literal::Null,
            Self::In(set) => set.others.contains(&Literal::Null),
            _ => false,
        }
    }

    fn holds<'a>(&self, value: impl View<'a>) -> bool {
        match self {
            Self::Equal(ours) => ours.equals(value),
            Self::In(set) => set.has(value),
            Self::Compare(relation, Bound::Number(bound)) => value.number().is_some_and(|number| relation.accepts(number.cmp(bound))),
            Self::Compare(relation, Bound::Text(bound)) => value.text().is_some_and(|text| relation.accepts((*text).cmp(bound))),
            Self::Exists => true,
            Self::Pattern(regex, _) => value.text().is_some_and(|text| regex.is_match(&text)),
            Self::Contains(ours) => contains(value, ours),
            Self::Starts(start) => value.text().is_some_and(|text| text.starts_with(&**start)),
            Self::Ends(end) => value.text().is_some_and(|text| text.ends_with(&**end)),
        }
    }

    fn write(&self, out: &mut String) {
        let text = |text: &str, out: &mut String| write_text(text, out);
        match self {
            Self::Equal(value) => write_operator(out, "$eq", |out| value.write(out)),
            Self::In(set) => write_operator(out, "$in", |out| set.write(out)),
            Self::Compare(relation, Bound::Number(bound)) => write_operator(out, relation.name(), |out| bound.write(out)),
            Self::Compare(relation, Bound::Text(bound)) => write_operator(out, relation.name(), |out| text(bound, out)),
            Self::Exists => out.push_str(r#"{"$exists":true}"#),
            Self::Pattern(_, pattern) => write_operator(out, "$regex", |out| text(pattern, out)),
            Self::Contains(value) => write_operator(out, "$contains", |out| value.write(out)),
            Self::Starts(start) => write_operator(out, "$startswith", |out| text(start, out)),
            Self::Ends(end) => write_operator(out, "$endswith", |out| text(end, out)),
        }
    }
}

fn contains<'a>(value: impl View<'a>, ours: &Literal) -> bool {
    match (value.kind(), ours) {
        (Kind::Text, Literal::Text(part)) => value.text().is_some_and(|text| text.contains(&**part)),
        (Kind::Array, ours) => value.elements().any(|element| ours.equals(element)),
        _ => false,
    }
}
