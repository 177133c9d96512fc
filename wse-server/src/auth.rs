//! Who judges a client: the engine's own token check, the host, or one after the other.
use crate::EngineConfig;
use std::sync::Arc;
use wse_crypto::token::{Identity, TokenVerifier, UnixSeconds};
use wse_protocol::{ErrorCode, WireError};

/// The judges of one engine.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    tokens: Option<Arc<TokenVerifier>>,
    host_asked: bool,
}

/// What becomes of a client.
#[derive(Debug)]
pub(crate) enum Verdict {
    Welcome(Identity),
    /// The host decides; the identity, where the token was checked already.
    Ask(Option<Identity>),
    Refuse(WireError),
}

impl Auth {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self { tokens: config.tokens.clone(), host_asked: config.auth_required }
    }

    pub(crate) fn judge(&self, token: Option<&str>, now: UnixSeconds) -> Verdict {
        let Some(tokens) = &self.tokens else { return Verdict::Ask(None) };
        match token.filter(|token| !token.is_empty()).map(|token| tokens.verify(token, now)) {
            Some(Ok(identity)) if self.host_asked => Verdict::Ask(Some(identity)),
            Some(Ok(identity)) => Verdict::Welcome(identity),
            Some(Err(error)) => refuse(error.to_string()),
            None => refuse("a token is required: send it in client_hello, or as the header `Authorization: Bearer`".into()),
        }
    }
}

fn refuse(message: String) -> Verdict {
    Verdict::Refuse(WireError::new(ErrorCode::AuthFailed, message))
}
