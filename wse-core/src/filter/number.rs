//! Numbers compared by value, whatever form they were written in ([P-74]).
use std::cmp::Ordering;

/// 2^64: from here on every double is an integer that no 64-bit integer holds.
const BEYOND_64_BITS: f64 = 18_446_744_073_709_551_616.0;

/// A JSON number. One value has one form: a double without fraction below 2^64 is an integer here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// An integer that 64 bits hold, or a negative double's.
    Integer(i128),
    /// A fraction, or an integer of 2^64 and more; never NaN.
    Double(f64),
}

impl Number {
    /// A double's value; `None` for NaN, which JSON does not have.
    pub(super) fn from_double(value: f64) -> Option<Self> {
        if value.fract() == 0.0 && value.abs() < BEYOND_64_BITS {
            return Some(Self::Integer(value as i128));
        }
        (!value.is_nan()).then_some(Self::Double(value))
    }

    /// Reads a number that keeps JSON's grammar.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.parse::<i64>() {
            Ok(integer) => Some(Self::Integer(integer.into())),
            Err(_) => text.parse::<u64>().map_or_else(|_| Self::from_double(text.parse().ok()?), |n| Some(Self::Integer(n.into()))),
        }
    }

    /// Whether JSON can write it.
    pub(super) fn is_finite(self) -> bool {
        !matches!(self, Self::Double(value) if value.is_infinite())
    }

    /// Appends it as JavaScript writes numbers: the shortest digits that read back, an exponent below 1e-6 and from 1e21.
    pub(super) fn write(self, out: &mut String) {
        let text = match self {
            Self::Integer(value) => value.to_string(),
            Self::Double(value) if (1e-6..1e21).contains(&value.abs()) => value.to_string(),
            Self::Double(value) if value.abs() >= 1.0 => format!("{value:e}").replace('e', "e+"),
            Self::Double(value) => format!("{value:e}"),
        };
        out.push_str(&text);
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Double(a), Self::Double(b)) => a.total_cmp(&b),
            (Self::Integer(a), Self::Double(b)) => integer_with_double(a, b),
            (Self::Double(a), Self::Integer(b)) => integer_with_double(b, a).reverse(),
        }
    }
}

/// They are never equal: a double that equals an integer has become one. The cast saturates, which keeps the order.
fn integer_with_double(integer: i128, double: f64) -> Ordering {
    if integer <= double.floor() as i128 { Ordering::Less } else { Ordering::Greater }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect(text)
    }

    #[test]
    fn one_value_is_equal_to_itself_in_every_spelling() {
        for (a, b) in [
            ("0", "-0"),
            ("0", "-0.0"),
            ("1", "1.0"),
            ("100", "1e2"),
            ("9007199254740993", "9007199254740993"),
            ("18446744073709551616", "1.8446744073709551616e19"),
        ] {
            assert_eq!(number(a), number(b));
            assert_eq!(number(a).cmp(&number(b)), Ordering::Equal);
        }
    }

    #[test]
    fn integers_and_doubles_are_ordered_without_rounding() {
        let ascending = [
            "-1e400",
            "-1e300",
            "-9223372036854775808",
            "-9007199254740993",
            "-9007199254740992.0",
            "-0.5",
            "0",
            "1e-300",
            "0.5",
            "1",
            "1.5",
            "9007199254740992.0",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808.0",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
            "1e400",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(number(a).cmp(&number(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        for (text, written) in [
            ("1.50", "1.5"),
            ("-0", "0"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("1.25e-10", "1.25e-10"),
        ] {
            let mut out = String::new();
            number(text).write(&mut out);
            assert_eq!(out, written);
        }
    }
}
