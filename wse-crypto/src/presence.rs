//! Ids of members of topics ([P-61]): the same everywhere for the same user or key, and nobody learns a key from one.
use sha2::{Digest, Sha256};

/// Bytes of an id; 16 characters of base64url.
pub const ID_BYTES: usize = 12;

/// The id of a user.
#[must_use]
pub fn user_id(user: &str) -> [u8; ID_BYTES] {
    id("user", user)
}

/// The id of an anonymous client that has chosen this key.
#[must_use]
pub fn key_id(key: &str) -> [u8; ID_BYTES] {
    id("key", key)
}

/// What it is of is part of the hash: no key gives the id of a user.
fn id(of: &str, name: &str) -> [u8; ID_BYTES] {
    let mut hash = Sha256::new_with_prefix(b"wse-presence\0");
    hash.update(of);
    hash.update([0]);
    hash.update(name);
    let mut id = [0; ID_BYTES];
    id.iter_mut().zip(hash.finalize()).for_each(|(to, byte)| *to = byte);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::Value;

    #[test]
    fn ids_are_those_of_the_vectors_and_all_different() {
        let file: Value = serde_json::from_str(include_str!("../../vectors/presence.json")).expect("JSON");
        let cases = file["ids"].as_array().expect("a list");
        let lists = ["ids", "names", "refused"].map(|list| file[list].as_array().expect("a list").len());
        assert_eq!((lists, &file["count"]), ([6, 7, 13], &26.into()));
        let mut seen = std::collections::HashSet::new();
        for case in cases {
            let made = case["user"].as_str().map_or_else(|| key_id(case["key"].as_str().expect("a key")), user_id);
            assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(made), case["id"]);
            assert!(seen.insert(made));
        }
    }
}
