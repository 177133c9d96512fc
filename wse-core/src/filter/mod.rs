//! Filters: which messages of a topic a subscription gets ([P-70] to [P-79]), compiled once and judged against each payload.
//!
//! A filter knows payloads only: it has no part in positions, and neither sends nor drops anything.
//!
//! ```text
//! JSON of a filter -> compile -> Filter (equal filters have equal canonical text)
//! payload's bytes -> Payload::parse, once per message -> Filter::matches_parsed, once per distinct filter
//! ```
mod clause;
mod compile;
mod error;
mod literal;
mod number;
mod path;
mod pattern;
mod payload;
mod scan;
#[cfg(test)]
mod tests;
mod view;

pub use error::{FilterError, FilterFault};
pub use pattern::PatternFault;
pub use payload::{NotJson, Payload, Scratch};

use clause::Clause;
use error::Trail;
use pattern::PATTERN_COST;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use wse_protocol::Value;

/// A compiled filter; cheap to clone. Two are equal when their canonical text is, so that it can be the key of a map.
///
/// ```
/// use wse_core::filter::Filter;
///
/// let filter = Filter::compile_json(br#"{"price":{"$gt":10,"$lte":20},"symbol":{"$in":["AAPL","MSFT"]}}"#)?;
/// let same = Filter::compile_json(br#"{ "symbol": {"$in": ["MSFT", "AAPL"]}, "price": {"$lte": 20.0, "$gt": 10} }"#)?;
/// assert_eq!(filter, same);
/// # Ok::<(), wse_core::filter::FilterError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Filter {
    compiled: Arc<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    root: Clause,
    canonical: Box<str>,
    pattern_cost: u32,
}

impl Filter {
    /// Compiles a filter that was read with its message.
    ///
    /// # Errors
    /// [`FilterError`], for `INVALID_FILTER`, naming the place of the fault.
    pub fn compile(filter: &Value) -> Result<Self, FilterError> {
        Self::compile_within(filter, PATTERN_COST)
    }

    /// [`Filter::compile`] where less is left for the cost of patterns than one filter may have.
    pub(crate) fn compile_within(filter: &Value, room: u32) -> Result<Self, FilterError> {
        compile::compile(filter, room).map(Self::new)
    }

    /// Compiles a filter from its JSON.
    ///
    /// # Errors
    /// As [`Filter::compile`], and for bytes that are not JSON.
    pub fn compile_json(filter: &[u8]) -> Result<Self, FilterError> {
        let mut scratch = Scratch::default();
        let filter = Payload::parse(&mut scratch, filter).map_err(|_| Trail::TOP.fault(FilterFault::NotJson))?;
        compile::compile(filter.root(), PATTERN_COST).map(Self::new)
    }

    fn new((root, pattern_cost): (Clause, u32)) -> Self {
        let canonical = root.canonical().into();
        Self { compiled: Arc::new(Compiled { root, canonical, pattern_cost }) }
    }

    /// What its patterns cost together ([P-76]).
    pub(crate) fn pattern_cost(&self) -> u32 {
        self.compiled.pattern_cost
    }

    /// Whether a decoded payload passes.
    #[must_use]
    pub fn matches(&self, payload: &Value) -> bool {
        self.compiled.root.matches(payload)
    }

    /// Whether a scanned payload passes. Allocates only for strings with escapes and for comparison with objects.
    #[must_use]
    pub fn matches_parsed(&self, payload: &Payload<'_>) -> bool {
        self.compiled.root.matches(payload.root())
    }

    /// The filter that passes what both pass: how a server's rule is put on a subscription. The caps hold for each of the two, not for both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let root = Clause::all(vec![self.compiled.root.clone(), other.compiled.root.clone()]);
        Self::new((root, self.pattern_cost() + other.pattern_cost()))
    }

    /// Whether it is `{}`, or another filter that leaves nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.compiled.root, Clause::All(parts) if parts.is_empty())
    }

    /// A filter in JSON that means the same, one text for all orders of keys and lists, spellings of numbers, and repetitions.
    ///
    /// It may be nested deeper than a filter may be that comes from a peer.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.compiled.canonical
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.compiled.canonical == other.compiled.canonical
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.compiled.canonical.hash(state);
    }
}
