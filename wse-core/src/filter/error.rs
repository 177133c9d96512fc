//! Why a filter is refused: the place of the fault in it, and one sentence on what to write instead.
use super::pattern::PatternFault;
use std::fmt;
use wse_protocol::{ErrorCode, WireError};

/// A filter that breaks a rule or a cap of [P-70] to [P-78]. The fault of who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("filter refused at {at}: {fault}")]
pub struct FilterError {
    /// The place, as `$and[1].price.$in`; `the top` for the filter as a whole.
    pub at: String,
    /// What is wrong there.
    pub fault: FilterFault,
}

impl FilterError {
    /// The code on the wire: `INVALID_FILTER`.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InvalidFilter
    }
}

impl From<FilterError> for WireError {
    fn from(error: FilterError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterFault {
    /// The bytes are not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// A filter is no object.
    #[error("a filter is an object of fields and operators")]
    NotObject,
    /// More than 4,096 bytes.
    #[error("a filter has at most 4,096 bytes of JSON")]
    TooLong,
    /// Filters, or the arrays and objects of a value, more than 8 deep.
    #[error("filters are nested at most 8 deep, and so are the values that they compare with")]
    TooDeep,
    /// More than 64 operators.
    #[error("a filter has at most 64 clauses")]
    TooManyClauses,
    /// More than 256 values in one list.
    #[error("a list has at most 256 values")]
    TooManyValues,
    /// A number that no double holds.
    #[error("a number is beyond the range of doubles")]
    Number,
    /// No such operator.
    #[error("there is no such operator here")]
    UnknownOperator,
    /// Some keys of an object are operators, others not.
    #[error("an object has either operators or fields, not both: to compare with an object, write it under `$eq`")]
    Mixed,
    /// A path that is empty, has an empty segment, or is too long.
    #[error("a path is 1 to 16 non-empty segments between dots and at most 256 bytes")]
    Path,
    /// The operand has the wrong type.
    #[error("the operator takes {0}")]
    Operand(&'static str),
    /// The pattern of a `$regex`.
    #[error("{0}")]
    Pattern(#[from] PatternFault),
}

/// Where in a filter the compiler is; costs nothing until an error is made.
#[derive(Clone, Copy)]
pub(super) struct Trail<'a> {
    up: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Top,
    Key(&'a str),
    Index(usize),
}

impl<'a> Trail<'a> {
    pub(super) const TOP: Trail<'static> = Trail { up: None, step: Step::Top };

    pub(super) fn key<'b>(&'b self, key: &'b str) -> Trail<'b> {
        Trail { up: Some(self), step: Step::Key(key) }
    }

    pub(super) fn index(&self, index: usize) -> Trail<'_> {
        Trail { up: Some(self), step: Step::Index(index) }
    }

    pub(super) fn fault(&self, fault: impl Into<FilterFault>) -> FilterError {
        FilterError { at: self.to_string(), fault: fault.into() }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_below_top = self.up.is_some_and(|up| !matches!(up.step, Step::Top));
        self.up.map_or(Ok(()), |up| up.write(f))?;
        match self.step {
            Step::Top => Ok(()),
            Step::Key(key) if is_below_top => write!(f, ".{key}"),
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.step, Step::Top) { f.write_str("the top") } else { self.write(f) }
    }
}
