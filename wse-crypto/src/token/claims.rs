//! What a token with a good signature says, and whether that is enough.
use super::{TokenConfigError, TokenError};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in whole seconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

impl From<SystemTime> for UnixSeconds {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

/// Who a token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user's id: never empty.
    pub user: String,
    /// Every claim of the token.
    pub claims: Map<String, Value>,
    /// When it ends, leeway not counted; none where `exp` is not required and not there.
    pub expires: Option<UnixSeconds>,
}

/// What claims are checked against.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) leeway: Duration,
    pub(super) user_claim: String,
    pub(super) required: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { issuer: None, audience: None, leeway: Duration::from_secs(5), user_claim: "sub".into(), required: vec!["exp".into()] }
    }
}

impl Rules {
    pub(super) fn checked(self) -> Result<Self, TokenConfigError> {
        let named = [("issuer", self.issuer.as_deref()), ("audience", self.audience.as_deref()), ("user_claim", Some(&*self.user_claim))];
        match named.iter().find(|(_, value)| *value == Some("")) {
            Some((setting, _)) => Err(TokenConfigError::Empty(setting)),
            None => Ok(self),
        }
    }

    pub(super) fn identify(&self, claims: Map<String, Value>, now: UnixSeconds) -> Result<Identity, TokenError> {
        if let Some(missing) = self.required.iter().find(|name| !claims.contains_key(*name)) {
            return Err(TokenError::MissingClaim(missing.as_str().into()));
        }
        let expires = self.check_times(&claims, now)?;
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        Ok(Identity { user: self.user(&claims)?, claims, expires })
    }

    /// A token ends *on* its `exp` (RFC 7519, 4.1.4) and begins on its `nbf`.
    fn check_times(&self, claims: &Map<String, Value>, now: UnixSeconds) -> Result<Option<UnixSeconds>, TokenError> {
        let (now, leeway) = (now.0 as f64, self.leeway.as_secs_f64());
        let expires = moment(claims, "exp")?;
        if expires.is_some_and(|expires| expires + leeway <= now) {
            return Err(TokenError::Expired);
        }
        if moment(claims, "nbf")?.is_some_and(|begin| begin > now + leeway) {
            return Err(TokenError::NotYetValid);
        }
        if moment(claims, "iat")?.is_some_and(|issued| issued > now + leeway) {
            return Err(TokenError::IssuedInFuture);
        }
        Ok(expires.map(|expires| UnixSeconds(expires as u64)))
    }

    fn check_issuer(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        match (&self.issuer, claims.get("iss")) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(TokenError::MissingClaim("iss".into())),
            (Some(wanted), Some(Value::String(issuer))) if wanted == issuer => Ok(()),
            (Some(_), Some(_)) => Err(TokenError::Issuer),
        }
    }

    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let named = |wanted: &str, value: &Value| match value {
            Value::String(audience) => audience == wanted,
            Value::Array(audiences) => audiences.iter().any(|audience| audience == wanted),
            _ => false,
        };
        match (&self.audience, claims.get("aud")) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(TokenError::MissingClaim("aud".into())),
            (Some(wanted), Some(value)) if named(wanted, value) => Ok(()),
            (_, Some(_)) => Err(TokenError::Audience),
        }
    }

    fn user(&self, claims: &Map<String, Value>) -> Result<String, TokenError> {
        let name = self.user_claim.as_str();
        match claims.get(name) {
            None => Err(TokenError::MissingClaim(name.into())),
            Some(Value::String(user)) if !user.is_empty() => Ok(user.clone()),
            Some(Value::Number(user)) if user.is_i64() || user.is_u64() => Ok(user.to_string()),
            Some(_) => Err(TokenError::WrongType(name.into())),
        }
    }
}

/// A NumericDate: seconds, which may have a fraction.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    value.as_f64().map(Some).ok_or_else(|| TokenError::WrongType(name.into()))
}
