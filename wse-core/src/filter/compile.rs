//! The compiler: a filter's JSON into clauses, with every rule and cap of [P-70] to [P-78].
use super::clause::{Bound, Clause, Relation, Set, Test};
use super::error::{FilterError, FilterFault, Trail};
use super::literal::{Literal, Unreadable};
use super::path::Path;
use super::pattern::{self, PATTERN_COST};
use super::view::View;

/// The most bytes of a filter's JSON without white space.
const BYTES: usize = 4_096;

/// How deep filters are nested, and the arrays and objects of a value.
const DEPTH: usize = 8;

/// Arrays and objects inside one another that no filter within [`DEPTH`] has more of: what reading recurses to.
const LEVELS: usize = 4 * DEPTH;

/// The most operators of a filter, written or implied.
const CLAUSES: usize = 64;

/// The most values of one `$in` or `$nin`.
const VALUES: usize = 256;

type Entries = [(Box<str>, Literal)];

/// Compiles a filter as it was read from the wire or from text, and says what its patterns cost: no more than `room`.
pub(super) fn compile<'a>(view: impl View<'a>, room: u32) -> Result<(Clause, u32), FilterError> {
    let filter = Literal::read(view, LEVELS).map_err(|error| {
        Trail::TOP.fault(match error {
            Unreadable::TooDeep => FilterFault::TooDeep,
            Unreadable::NotFinite => FilterFault::Number,
        })
    })?;
    let mut json = String::new();
    filter.write(&mut json);
    if json.len() > BYTES {
        return Err(Trail::TOP.fault(FilterFault::TooLong));
    }
    let mut compiler = Compiler { clauses: 0, pattern_cost: 0, room: room.min(PATTERN_COST) };
    Ok((compiler.filter(&filter, &Trail::TOP, DEPTH)?, compiler.pattern_cost))
}

/// What of the caps is used up.
struct Compiler {
    clauses: usize,
    pattern_cost: u32,
    /// What patterns may cost.
    room: u32,
}

impl Compiler {
    /// `depth` is how many filters may be inside one another from here on, this one included.
    fn filter(&mut self, filter: &Literal, at: &Trail<'_>, depth: usize) -> Result<Clause, FilterError> {
        let depth = depth.checked_sub(1).ok_or_else(|| at.fault(FilterFault::TooDeep))?;
        let Literal::Object(entries) = filter else { return Err(at.fault(FilterFault::NotObject)) };
        let parts = entries.iter().map(|(key, operand)| {
            let at = at.key(key);
            if key.starts_with('$') { self.connective(key, operand, &at, depth) } else { self.field(key, operand, &at, depth) }
        });
        Ok(Clause::all(parts.collect::<Result<_, _>>()?))
    }

    fn connective(&mut self, name: &str, operand: &Literal, at: &Trail<'_>, depth: usize) -> Result<Clause, FilterError> {
        self.count(at)?;
        match name {
            "$and" => Ok(Clause::all(self.list(operand, at, depth)?)),
            "$or" => Ok(Clause::any(self.list(operand, at, depth)?)),
            "$nor" => Ok(Clause::any(self.list(operand, at, depth)?).negated()),
            "$not" => Ok(self.filter(operand, at, depth)?.negated()),
            _ => Err(at.fault(FilterFault::UnknownOperator)),
        }
    }

    fn list(&mut self, operand: &Literal, at: &Trail<'_>, depth: usize) -> Result<Vec<Clause>, FilterError> {
        match operand {
            Literal::Array(filters) if !filters.is_empty() => {
                filters.iter().enumerate().map(|(index, filter)| self.filter(filter, &at.index(index), depth)).collect()
            }
            _ => Err(at.fault(FilterFault::Operand("a non-empty array of filters"))),
        }
    }

    fn field(&mut self, path: &str, operand: &Literal, at: &Trail<'_>, depth: usize) -> Result<Clause, FilterError> {
        let path = Path::parse(path).ok_or_else(|| at.fault(FilterFault::Path))?;
        match operators(operand, at)? {
            Some(entries) => self.operators(&path, entries, at, depth),
            None => self.operator(&path, "$eq", operand, at, depth),
        }
    }

    fn operators(&mut self, path: &Path, entries: &Entries, at: &Trail<'_>, depth: usize) -> Result<Clause, FilterError> {
        let parts = entries.iter().map(|(name, operand)| self.operator(path, name, operand, &at.key(name), depth));
        Ok(Clause::all(parts.collect::<Result<_, _>>()?))
    }

    fn operator(&mut self, path: &Path, name: &str, operand: &Literal, at: &Trail<'_>, depth: usize) -> Result<Clause, FilterError> {
        self.count(at)?;
        if name == "$not" {
            let depth = depth.checked_sub(1).ok_or_else(|| at.fault(FilterFault::TooDeep))?;
            let entries = operators(operand, at)?.ok_or_else(|| at.fault(FilterFault::Operand("an object of operators")))?;
            return Ok(self.operators(path, entries, at, depth)?.negated());
        }
        let (test, is_negated) = self.test(name, operand, at)?;
        let field = Clause::Field(path.clone(), test);
        Ok(if is_negated { field.negated() } else { field })
    }

    /// The test that an operator is, and whether the operator is its negation.
    fn test(&mut self, name: &str, operand: &Literal, at: &Trail<'_>) -> Result<(Test, bool), FilterError> {
        let test = match name {
            "$eq" | "$ne" => Test::Equal(value(operand, at)?),
            "$in" | "$nin" => set(operand, at)?,
            "$gt" => Test::Compare(Relation::Above, bound(operand, at)?),
            "$gte" => Test::Compare(Relation::AtLeast, bound(operand, at)?),
            "$lt" => Test::Compare(Relation::Below, bound(operand, at)?),
            "$lte" => Test::Compare(Relation::AtMost, bound(operand, at)?),
            "$exists" => Test::Exists,
            "$regex" => self.pattern(operand, at)?,
            "$contains" => Test::Contains(value(operand, at)?),
            "$startswith" => Test::Starts(text(operand, at)?),
            "$endswith" => Test::Ends(text(operand, at)?),
            _ => return Err(at.fault(FilterFault::UnknownOperator)),
        };
        match (name, operand) {
            ("$exists", Literal::Bool(exists)) => Ok((test, !exists)),
            ("$exists", _) => Err(at.fault(FilterFault::Operand("true or false"))),
            _ => Ok((test, matches!(name, "$ne" | "$nin"))),
        }
    }

    fn pattern(&mut self, operand: &Literal, at: &Trail<'_>) -> Result<Test, FilterError> {
        let pattern = text(operand, at)?;
        let (regex, cost) = pattern::compile(&pattern, self.room - self.pattern_cost).map_err(|fault| at.fault(fault))?;
        self.pattern_cost += cost;
        Ok(Test::Pattern(regex, pattern))
    }

    fn count(&mut self, at: &Trail<'_>) -> Result<(), FilterError> {
        self.clauses += 1;
        if self.clauses > CLAUSES { Err(at.fault(FilterFault::TooManyClauses)) } else { Ok(()) }
    }
}

/// The operators of an object that has nothing else; `None` for a plain value ([P-71]).
fn operators<'a>(operand: &'a Literal, at: &Trail<'_>) -> Result<Option<&'a Entries>, FilterError> {
    let Literal::Object(entries) = operand else { return Ok(None) };
    match entries.iter().filter(|(key, _)| key.starts_with('$')).count() {
        0 => Ok(None),
        all if all == entries.len() => Ok(Some(entries)),
        _ => Err(at.fault(FilterFault::Mixed)),
    }
}

fn value(operand: &Literal, at: &Trail<'_>) -> Result<Literal, FilterError> {
    if operand.depth() > DEPTH { Err(at.fault(FilterFault::TooDeep)) } else { Ok(operand.clone()) }
}

fn set(operand: &Literal, at: &Trail<'_>) -> Result<Test, FilterError> {
    let Literal::Array(values) = operand else { return Err(at.fault(FilterFault::Operand("an array of values"))) };
    if values.len() > VALUES {
        return Err(at.fault(FilterFault::TooManyValues));
    }
    if let Some(deep) = values.iter().position(|value| value.depth() > DEPTH) {
        return Err(at.index(deep).fault(FilterFault::TooDeep));
    }
    Ok(Test::In(Set::new(values)))
}

fn bound(operand: &Literal, at: &Trail<'_>) -> Result<Bound, FilterError> {
    match operand {
        Literal::Number(number) => Ok(Bound::Number(*number)),
        Literal::Text(text) => Ok(Bound::Text(text.clone())),
        _ => Err(at.fault(FilterFault::Operand("a number or a string"))),
    }
}

fn text(operand: &Literal, at: &Trail<'_>) -> Result<Box<str>, FilterError> {
    match operand {
        Literal::Text(text) => Ok(text.clone()),
        _ => Err(at.fault(FilterFault::Operand("a string"))),
    }
}
