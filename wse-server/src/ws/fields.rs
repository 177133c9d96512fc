//! The header fields of a request, wherever they stand: in a map of `http`, or one after the other as they came.
use http::{HeaderMap, HeaderName};

/// A name and a value, as bytes of the request.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// All fields of one request; cheap to copy. Names are compared without regard to case.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(Kept<'a>);

#[derive(Debug, Clone, Copy)]
enum Kept<'a> {
    Map(&'a HeaderMap),
    Listed(&'a [Field<'a>]),
}

impl<'a> From<&'a HeaderMap> for Fields<'a> {
    fn from(map: &'a HeaderMap) -> Self {
        Self(Kept::Map(map))
    }
}

impl<'a> From<&'a [Field<'a>]> for Fields<'a> {
    fn from(listed: &'a [Field<'a>]) -> Self {
        Self(Kept::Listed(listed))
    }
}

impl<'a> Fields<'a> {
    /// The values of all fields of a name, in their order.
    pub fn all(self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let (map, listed) = match self.0 {
            Kept::Map(map) => (Some(map), &[][..]),
            Kept::Listed(listed) => (None, listed),
        };
        let mapped = map.into_iter().flat_map({
            let name = name.clone();
            move |map| map.get_all(&name)
        });
        let named = listed.iter().filter(move |field| field.0.eq_ignore_ascii_case(name.as_str().as_bytes()));
        mapped.map(http::HeaderValue::as_bytes).chain(named.map(|field| field.1))
    }

    /// The first value of a name, if it is visible ASCII.
    #[must_use]
    pub fn text(self, name: HeaderName) -> Option<&'a str> {
        self.all(name).next().and_then(visible)
    }

    /// The value of a field that is there exactly once, without the blanks around it.
    #[must_use]
    pub fn only(self, name: HeaderName) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none()).map(<[u8]>::trim_ascii)
    }

    /// Whether there is a field of a name.
    #[must_use]
    pub fn has(self, name: HeaderName) -> bool {
        self.all(name).next().is_some()
    }

    /// The elements of a field that is a list, over all its lines (RFC 9110, section 5.6.1). What is not visible ASCII is left out.
    pub fn elements(self, name: HeaderName) -> impl Iterator<Item = &'a str> {
        let lines = self.all(name).filter_map(visible);
        lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
    }

    /// Whether a list has an element, without regard to case.
    #[must_use]
    pub fn lists(self, name: HeaderName, wanted: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(wanted))
    }
}

/// A value as text, if it is visible ASCII.
pub(crate) fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    is_visible.then(|| std::str::from_utf8(value).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    #[test]
    fn a_map_and_a_list_say_the_same() {
        let listed: [Field<'_>; 5] =
            [(b"Host", b"a"), (b"COOKIE", b"x=1"), (b"cookie", b"y=2"), (b"connection", b"keep-alive ,Upgrade,"), (b"origin", b"\xe9")];
        let pair = |(name, value): &Field<'_>| Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?));
        let map: HeaderMap = listed.iter().filter_map(pair).collect();
        for fields in [Fields::from(&listed[..]), Fields::from(&map)] {
            assert_eq!(fields.all(header::COOKIE).collect::<Vec<_>>(), [b"x=1", b"y=2"]);
            assert_eq!((fields.only(header::COOKIE), fields.only(header::HOST)), (None, Some(&b"a"[..])));
            assert_eq!((fields.text(header::HOST), fields.text(header::ORIGIN), fields.text(header::ACCEPT)), (Some("a"), None, None));
            assert_eq!((fields.has(header::ORIGIN), fields.has(header::ACCEPT)), (true, false));
            assert!(fields.elements(header::CONNECTION).eq(["keep-alive", "Upgrade"]));
            assert!(fields.lists(header::CONNECTION, "upgrade") && !fields.lists(header::CONNECTION, "close"));
        }
    }
}
