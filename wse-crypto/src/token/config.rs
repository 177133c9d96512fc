//! What tokens are checked against.
use super::{Key, TokenConfigError, claims::Rules, key::VerifyingKey};
use jsonwebtoken::Algorithm;
use std::time::Duration;

/// Keys, algorithms and rules of one [`crate::token::TokenVerifier`]. `Debug` shows the ids of keys only.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    keys: Vec<Key>,
    algorithms: Vec<String>,
    rules: Rules,
}

impl Default for TokenConfig {
    /// No key yet, HS256, `exp` required, 5 s of leeway, `sub` is the user.
    fn default() -> Self {
        Self { keys: Vec::new(), algorithms: vec!["HS256".into()], rules: Rules::default() }
    }
}

impl TokenConfig {
    /// Adds a key. One key without an id serves every token; several need an id each, and serve tokens that name it (`kid`).
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Allows these algorithms only, by their names of RFC 7518; default `HS256`. Each needs a key of its kind.
    #[must_use]
    pub fn algorithms<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.algorithms = names.into_iter().map(Into::into).collect();
        self
    }

    /// Requires this `iss`; default: any or none.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.rules.issuer = Some(issuer.into());
        self
    }

    /// Requires this `aud`, or a list with it; default: tokens without `aud` only.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audience = Some(audience.into());
        self
    }

    /// How far the issuer's clock may be off, for `exp`, `nbf` and `iat`; default 5 s. An expired token is taken for this long.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway;
        self
    }

    /// The claim that is the user's id, a string or an integer; default `sub`. Always required.
    #[must_use]
    pub fn user_claim(mut self, claim: impl Into<String>) -> Self {
        self.rules.user_claim = claim.into();
        self
    }

    /// Claims that must be there besides those that other rules need; default `exp`. Without it, a token may be good for ever.
    #[must_use]
    pub fn required_claims<S: Into<String>>(mut self, claims: impl IntoIterator<Item = S>) -> Self {
        self.rules.required = claims.into_iter().map(Into::into).collect();
        self
    }

    pub(super) fn into_parts(self) -> Result<(Vec<VerifyingKey>, Rules), TokenConfigError> {
        let algorithms = parse(&self.algorithms)?;
        check_ids(&self.keys)?;
        let keys = self.keys.iter().map(|key| key.verifying(&algorithms)).collect::<Result<Vec<_>, _>>()?;
        let unserved = algorithms.iter().find(|algorithm| !keys.iter().any(|key| key.algorithms.contains(algorithm)));
        match unserved {
            Some(algorithm) => Err(TokenConfigError::AlgorithmWithoutKey(format!("{algorithm:?}"))),
            None => Ok((keys, self.rules.checked()?)),
        }
    }
}

fn parse(names: &[String]) -> Result<Vec<Algorithm>, TokenConfigError> {
    if names.is_empty() {
        return Err(TokenConfigError::NoAlgorithm);
    }
    names.iter().map(|name| name.parse().map_err(|_| TokenConfigError::UnknownAlgorithm(name.clone()))).collect()
}

fn check_ids(keys: &[Key]) -> Result<(), TokenConfigError> {
    let twice = |(n, key): (usize, &Key)| keys.iter().take(n).any(|other| other.id == key.id);
    match keys {
        [] => Err(TokenConfigError::NoKey),
        [_] => Ok(()),
        _ if keys.iter().any(|key| key.id.is_none()) || keys.iter().enumerate().any(twice) => Err(TokenConfigError::KeyIds),
        _ => Ok(()),
    }
}
