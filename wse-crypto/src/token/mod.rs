//! JSON Web Tokens (RFC 7519, signed by RFC 7515): checked against keys and algorithms that are listed, never that the token names.
mod claims;
mod config;
mod error;
mod key;
#[cfg(test)]
mod tests;

pub use claims::{Identity, UnixSeconds};
pub use config::TokenConfig;
pub use error::{TokenConfigError, TokenError};
pub use key::Key;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use claims::Rules;
use jsonwebtoken::Algorithm;
use key::VerifyingKey;
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};

/// Largest token that is looked at, bytes: what common servers allow for a whole header line.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Judges tokens. Made once, used for every connection, from any thread.
#[derive(Debug)]
pub struct TokenVerifier {
    keys: Vec<VerifyingKey>,
    rules: Rules,
}

/// What of a token's header counts. Keys that the header brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl TokenVerifier {
    /// A verifier with these keys and rules.
    ///
    /// # Errors
    /// [`TokenConfigError`]: a key that fits no allowed algorithm, an algorithm without a key, a secret that is too short.
    pub fn new(config: TokenConfig) -> Result<Self, TokenConfigError> {
        let (keys, rules) = config.into_parts()?;
        Ok(Self { keys, rules })
    }

    /// Who the bearer of `token` is at `now`.
    ///
    /// # Errors
    /// [`TokenError`], whose sentence may be told to the peer: it holds nothing of the token, the keys or the rules' values.
    pub fn verify(&self, token: &str, now: UnixSeconds) -> Result<Identity, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let (algorithm, key) = self.select(&decode(header)?)?;
        if !key.signed(algorithm, message, &bytes(signature)?) {
            return Err(TokenError::Signature);
        }
        self.rules.identify(decode(payload)?, now)
    }

    fn select(&self, header: &Header) -> Result<(Algorithm, &VerifyingKey), TokenError> {
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let algorithm = header.alg.parse().map_err(|_| TokenError::Algorithm)?;
        let key = self.keys.iter().find(|key| key.serves(header.kid.as_deref())).ok_or(TokenError::UnknownKey)?;
        if key.algorithms.contains(&algorithm) { Ok((algorithm, key)) } else { Err(TokenError::Algorithm) }
    }
}

fn bytes(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

/// Nesting is bounded by serde_json, at 128 levels.
fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| TokenError::Malformed)
}
