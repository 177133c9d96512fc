//! Token checks for WSE: who a JSON Web Token says its bearer is, and whether to believe it; what resumes a session, and ids of members.
//!
//! Pure: keys and the time come in as arguments; it reads no clock, socket or file. It is not an issuer (it signs nothing), and
//! it fetches no keys.
//!
//! ```text
//! token -> size -> header: allowed algorithm, key by id -> signature -> claims: exp nbf iat iss aud -> Identity
//! ```
//!
//! ```
//! use wse_crypto::token::{Key, TokenConfig, TokenError, TokenVerifier, UnixSeconds};
//!
//! let config = TokenConfig::default().key(Key::secret("a secret of 32 bytes or more: only a sketch")).issuer("https://login.example");
//! let verifier = TokenVerifier::new(config)?;
//! let refused = verifier.verify("not.a.token", UnixSeconds(1_800_000_000));
//! assert_eq!(refused, Err(TokenError::Malformed));
//! # Ok::<(), wse_crypto::token::TokenConfigError>(())
//! ```
pub mod presence;
pub mod session;
pub mod token;
