//! What goes wrong with tokens, by whose fault it is: the peer's token, or the configuration.

/// Why a token was not believed. The peer's fault; each sentence is fit to be told to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// More than [`crate::token::MAX_TOKEN_BYTES`].
    #[error("the token is not valid: it has more than 8192 bytes")]
    TooLarge,
    /// Not three parts of base64url with JSON objects inside.
    #[error("the token is not valid: it is not a signed JSON Web Token")]
    Malformed,
    /// Its algorithm is not allowed, or not with that key; `none` never is.
    #[error("the token is not valid: this server does not take its algorithm (alg)")]
    Algorithm,
    /// It demands extensions to be understood (`crit`), and none is.
    #[error("the token is not valid: it demands extensions (crit)")]
    Critical,
    /// It names a key that is not configured, or none where keys go by name.
    #[error("the token is not valid: it names no key of this server (kid)")]
    UnknownKey,
    /// Another key signed it, or it was changed.
    #[error("the token is not valid: its signature does not match")]
    Signature,
    /// `exp` is not after now.
    #[error("the token has expired: get a new one and connect again")]
    Expired,
    /// `nbf` is after now.
    #[error("the token is not valid yet (nbf); the clocks of its issuer and this server may differ")]
    NotYetValid,
    /// `iat` is after now.
    #[error("the token was issued in the future (iat); the clocks of its issuer and this server differ")]
    IssuedInFuture,
    /// A claim that this server requires is not there.
    #[error("the token is not valid: it has no claim {0}")]
    MissingClaim(Box<str>),
    /// A claim has a type that it may not have.
    #[error("the token is not valid: its claim {0} has the wrong type")]
    WrongType(Box<str>),
    /// `iss` is another one.
    #[error("the token is not valid: another issuer (iss) than this server trusts")]
    Issuer,
    /// `aud` does not name this server; with no audience configured, no token that names one is taken (RFC 7519, 4.1.3).
    #[error("the token is not valid: it is for another audience (aud)")]
    Audience,
}

/// Why a [`crate::token::TokenConfig`] cannot work. The configuration's fault; keys are named by id, never shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenConfigError {
    /// No keys.
    #[error("at least one key is needed")]
    NoKey,
    /// Keys that no token could choose between.
    #[error("several keys need an id each (kid), and no two the same")]
    KeyIds,
    /// A public or private key where a secret is expected.
    #[error("{0} is a PEM key, which is no secret: use RS256, PS256, ES256 or EdDSA with a public key")]
    SecretIsPem(String),
    /// RFC 7518, 3.2: a secret has at least the size of the hash.
    #[error("{key} has {bytes} bytes, and {algorithm} needs {least}: make one with `openssl rand -base64 {least}`")]
    ShortSecret {
        /// Which one.
        key: String,
        /// What it has.
        bytes: usize,
        /// What needs more.
        algorithm: String,
        /// How many it needs.
        least: usize,
    },
    /// A private key: to have it here would let this server issue tokens.
    #[error("{0} is a private key: give the public one, this server only verifies (`openssl pkey -pubout`)")]
    PrivateKey(String),
    /// Not a public key that can be read: PEM, RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519.
    #[error("{0} is not a public key in PEM (`-----BEGIN PUBLIC KEY-----`): RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519")]
    PublicKey(String),
    /// A key that no allowed algorithm can use: a secret goes with HS*, an RSA key with RS* and PS*, and so on.
    #[error(
        "{0} is of a kind that no allowed algorithm uses: secrets go with HS256, RSA keys with RS256 or PS256, P-256 keys with ES256, Ed25519 keys with EdDSA"
    )]
    UnusedKey(String),
    /// An allowed algorithm that no key can be used with.
    #[error("{0} is allowed, but no key is for it: leave it out, or add a key")]
    AlgorithmWithoutKey(String),
    /// No algorithms.
    #[error("at least one algorithm must be allowed, as HS256")]
    NoAlgorithm,
    /// Not an algorithm that can be checked; `none` never is one.
    #[error("{0:?} is not one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA")]
    UnknownAlgorithm(String),
    /// An empty name: the setting's.
    #[error("must not be empty")]
    Empty(&'static str),
}

impl TokenConfigError {
    /// The setting to change: `key`, `algorithms`, `issuer`, `audience` or `user_claim`.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        match self {
            Self::NoAlgorithm | Self::UnknownAlgorithm(_) | Self::AlgorithmWithoutKey(_) => "algorithms",
            Self::Empty(setting) => setting,
            _ => "key",
        }
    }
}
