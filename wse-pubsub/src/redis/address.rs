//! The server's address: parsed for the client library, and shown without credentials.
use crate::BusError;
use redis::{Client, IntoConnectionInfo, RedisError};

/// The address without user, password and query: what errors and logs show.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = if scheme.contains("unix") { rest } else { rest.rsplit('@').next().unwrap_or_default() };
    let place = rest.split(['?', '#']).next().unwrap_or_default();
    if scheme.is_empty() { place.into() } else { format!("{scheme}://{place}") }
}

/// A client of this address; connects to nothing yet.
pub(crate) fn client(url: &str) -> Result<Client, BusError> {
    let wrong = |error: RedisError| BusError::Address { at: redacted(url), why: error.to_string() };
    Client::open(url.into_connection_info().map_err(wrong)?).map_err(wrong)
}

/// The bus's error for what the client library said.
pub(crate) fn unavailable(url: &str, why: &impl ToString) -> BusError {
    BusError::Unavailable { at: redacted(url), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_address_shows_a_password() {
        for (url, shown) in [
            ("redis://localhost:6379", "redis://localhost:6379"),
            ("redis://user:secret@db.example:1/2", "redis://db.example:1/2"),
            ("redis://:sec@ret/?@host:1", "redis://host:1"),
            ("unix:///run/redis.sock?pass=a@secret", "unix:///run/redis.sock"),
            ("user:secret@host", "host"),
            ("rediss://:secret@h?x=1", "rediss://h"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn a_wrong_scheme_is_the_configurations_fault() {
        let error = client("http://:secret@host").expect_err("no such scheme");
        assert!(matches!(&error, BusError::Address { .. }) && !error.to_string().contains("secret"), "{error}");
    }
}
