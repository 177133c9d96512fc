//! Sessions: what resumes one, bound to the user that it was begun by.
use sha2::{Digest, Sha256};
use std::fmt;

/// A session of one user. As text it is what its client keeps to resume it: whoever has that text and is the same user may.
///
/// Nothing has to be remembered for it: the id follows from the secret and the user, so that with another user's text one has a
/// session of one's own at best. The id alone resumes nothing, and may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionKey {
    secret: u128,
    id: u128,
}

/// Of the text: two numbers of 32 hexadecimal digits, and a dot between.
const TEXT: usize = 65;

impl SessionKey {
    /// The session of a secret, which is drawn at random from 128 bits; `user` is none where the client is anonymous.
    #[must_use]
    pub fn new(secret: u128, user: Option<&str>) -> Self {
        let mut hash = Sha256::new_with_prefix(b"wse session");
        hash.update(secret.to_be_bytes());
        hash.update([u8::from(user.is_some())]);
        hash.update(user.unwrap_or_default());
        let id = hash.finalize().iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte));
        Self { secret, id }
    }

    /// Reads the text; none where it is not this user's, or no such text.
    #[must_use]
    pub fn resume(text: &str, user: Option<&str>) -> Option<Self> {
        let plain = text.len() == TEXT && text.bytes().all(|byte| byte == b'.' || byte.is_ascii_hexdigit());
        let (secret, id) = text.split_once('.').filter(|(secret, id)| plain && secret.len() == 32 && id.len() == 32)?;
        let key = Self::new(u128::from_str_radix(secret, 16).ok()?, user);
        (u128::from_str_radix(id, 16).ok()? == key.id).then_some(key)
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> u128 {
        self.id
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}.{:032x}", self.secret, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_resumed_by_its_own_user_alone() {
        let key = SessionKey::new(7, Some("ada"));
        let text = key.to_string();
        assert_eq!(SessionKey::resume(&text, Some("ada")), Some(key));
        for other in [Some("bob"), Some(""), None] {
            assert_eq!(SessionKey::resume(&text, other), None, "{other:?}");
        }
        assert_ne!(SessionKey::new(7, None).id(), SessionKey::new(7, Some("")).id());
        assert_ne!(SessionKey::new(8, Some("ada")).id(), key.id());
    }

    #[test]
    fn what_is_no_text_of_a_session_resumes_none() {
        let text = SessionKey::new(7, None).to_string();
        let wrong = [
            String::new(),
            text[1..].into(),
            text.replace('.', "0"),
            format!("+{}", &text[1..]),
            text.replace('.', "é"),
            "a".repeat(1 << 20),
        ];
        assert!(wrong.iter().all(|text| SessionKey::resume(text, None).is_none()));
        assert!(SessionKey::resume(&text, None).is_some());
    }

    #[test]
    fn the_id_is_the_beginning_of_the_hash() {
        // Python: hashlib.sha256(b"wse session" + (7).to_bytes(16) + b"\x01" + b"ada").hexdigest()[:32]
        let expected = u128::from_str_radix(EXPECTED, 16).expect("hexadecimal");
        assert_eq!(SessionKey::new(7, Some("ada")).id(), expected);
    }

    const EXPECTED: &str = "bbb24d6c3202f96815a967f25ade2c13";
}
