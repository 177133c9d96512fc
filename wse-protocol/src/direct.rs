//! Names of the server's own that carry messages to one user or one session ([P-65]); no client may ask for them.
use crate::{ErrorCode, Topic, WireError, defaults};
use std::fmt::Write;

/// Whom a name that begins with `@user:` or `@session:` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direct {
    /// Every connection of one user.
    User,
    /// One connection, and those that resume it.
    Session,
}

const USER: &str = "@user:";
const SESSION: &str = "@session:";

impl Topic {
    /// Where messages to a user go. What no topic name may hold, and `%`, is percent-encoded, so that different ids have different names.
    ///
    /// # Errors
    /// `INVALID_TOPIC` for an id that is empty, or too long for a name of 200 bytes.
    pub fn of_user(id: &str) -> Result<Self, WireError> {
        let mut name = String::with_capacity(USER.len() + id.len());
        name.push_str(USER);
        id.chars().for_each(|c| push_encoded(&mut name, c));
        if id.is_empty() || name.len() as u64 > defaults::TOPIC_BYTES {
            let text = "messages to a user need an id of 1 to 194 bytes, where each byte that a topic name may not hold counts three times";
            return Err(WireError::new(ErrorCode::InvalidTopic, text));
        }
        Ok(Self::trusted(&name))
    }

    /// Where messages to a session go.
    #[must_use]
    pub fn of_session(id: &SessionId) -> Self {
        Self::trusted(&format!("{SESSION}{id}"))
    }

    /// Whom it is for, where it carries messages to a user or a session.
    #[must_use]
    pub fn direct(&self) -> Option<Direct> {
        let name = self.as_str();
        // Most names are others'.
        if !name.starts_with('@') {
            return None;
        }
        let is_user = || name.starts_with(USER).then_some(Direct::User);
        if name.starts_with(SESSION) { Some(Direct::Session) } else { is_user() }
    }

    /// Whether it is one of the server's own, of any kind.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.as_str().starts_with('@')
    }
}

fn push_encoded(name: &mut String, c: char) {
    if !(c.is_control() || c.is_whitespace() || matches!(c, ',' | '*' | '%')) {
        return name.push(c);
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a string cannot fail.
        let _ = write!(name, "%{byte:02X}");
    }
}

/// Names a session, without giving the right to resume it: 128 bits, 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u128);

impl SessionId {
    /// Reads what `Display` writes; none if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits { u128::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_users_have_different_names_that_no_client_can_ask_for() {
        let ids = ["ada", "a b", "a%20b", "a,b", "a*", "größe", "@x", "a:*", "\u{3000}", "a\n"];
        let names: std::collections::HashSet<_> = ids.iter().map(|id| Topic::of_user(id).expect("an id")).collect();
        assert_eq!(names.len(), ids.len());
        for name in names {
            assert_eq!((name.direct(), name.namespace()), (Some(Direct::User), None), "{name}");
            assert_eq!(Topic::parse(name.as_str()).map_err(|error| error.code), Err(ErrorCode::ReservedTopic));
            assert!(crate::Pattern::of(&name).is_none() && !name.as_str().contains([' ', ',', '*', '\n']));
        }
        assert_eq!(Topic::of_user("a b").expect("an id").as_str(), "@user:a%20b");
    }

    #[test]
    fn an_id_has_to_fit() {
        assert!(Topic::of_user(&"x".repeat(194)).is_ok() && Topic::of_user(&"x".repeat(195)).is_err() && Topic::of_user("").is_err());
        assert!(Topic::of_user(&"\n".repeat(64)).is_ok() && Topic::of_user(&"\n".repeat(65)).is_err());
    }

    #[test]
    fn a_session_is_read_back_from_its_digits_and_nothing_else() {
        let id = SessionId(0xfe);
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_eq!(Topic::of_session(&id).as_str(), "@session:000000000000000000000000000000fe");
        assert_eq!(Topic::of_session(&id).direct(), Some(Direct::Session));
        let upper = "0".repeat(31) + "F";
        assert!(["", "fe", &"0".repeat(33), &"g".repeat(32), &upper, &"+".repeat(32)].iter().all(|text| SessionId::parse(text).is_none()));
        assert_eq!(Topic::parse("a").expect("a name").direct(), None);
    }
}
