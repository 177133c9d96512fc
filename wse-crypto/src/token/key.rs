//! Keys: a secret or a public key, each only ever used with algorithms of its own kind.
use super::TokenConfigError;
use jsonwebtoken::{Algorithm, DecodingKey, crypto::JwtVerifier, crypto::rust_crypto::DEFAULT_PROVIDER};
use std::fmt;

/// RFC 7518, 3.3: RSA keys have 2048 bits or more. The upper end, 4096, is the backend's.
const LEAST_RSA_BYTES: usize = 2048 / 8;
const PEM: &[u8] = b"-----BEGIN ";

/// A key to check signatures with. `Debug` shows its id only.
#[derive(Clone)]
pub struct Key {
    pub(super) id: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(Vec<u8>),
    PublicKey(Vec<u8>),
}

/// A key that was proved to work, with the allowed algorithms that it is for.
pub(super) struct VerifyingKey {
    id: Option<String>,
    key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl Key {
    /// A secret shared with the issuer, for HS256 (32 bytes or more), HS384 (48) and HS512 (64). Used as it is: decode it first
    /// if the issuer's is base64.
    #[must_use]
    pub fn secret(secret: impl Into<Vec<u8>>) -> Self {
        Self { id: None, material: Material::Secret(secret.into()) }
    }

    /// The issuer's public key in PEM: RSA for RS* and PS*, P-256 for ES256, P-384 for ES384, Ed25519 for EdDSA.
    #[must_use]
    pub fn public_key(pem: impl Into<Vec<u8>>) -> Self {
        Self { id: None, material: Material::PublicKey(pem.into()) }
    }

    /// A public key if it is PEM, otherwise a secret: for settings that hold either.
    #[must_use]
    pub fn detect(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        if is_pem(&bytes) { Self::public_key(bytes) } else { Self::secret(bytes) }
    }

    /// The id that tokens name it by (`kid`).
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Ready for those of the allowed algorithms that are of its kind; there must be one.
    pub(super) fn verifying(&self, allowed: &[Algorithm]) -> Result<VerifyingKey, TokenConfigError> {
        let key = match &self.material {
            Material::Secret(secret) => self.hmac_key(secret, allowed)?,
            Material::PublicKey(pem) => self.asymmetric_key(pem)?,
        };
        let algorithms: Vec<_> = allowed.iter().copied().filter(|algorithm| verifier(*algorithm, &key).is_some()).collect();
        if algorithms.is_empty() {
            return Err(TokenConfigError::UnusedKey(self.name()));
        }
        Ok(VerifyingKey { id: self.id.clone(), key, algorithms })
    }

    fn hmac_key(&self, secret: &[u8], allowed: &[Algorithm]) -> Result<DecodingKey, TokenConfigError> {
        if is_pem(secret) {
            return Err(TokenConfigError::SecretIsPem(self.name()));
        }
        let short = allowed.iter().map(|algorithm| (*algorithm, least_secret(*algorithm))).find(|(_, least)| secret.len() < *least);
        match short {
            Some((algorithm, least)) => {
                let algorithm = format!("{algorithm:?}");
                Err(TokenConfigError::ShortSecret { key: self.name(), bytes: secret.len(), algorithm, least })
            }
            None => Ok(DecodingKey::from_secret(secret)),
        }
    }

    fn asymmetric_key(&self, pem: &[u8]) -> Result<DecodingKey, TokenConfigError> {
        let label = String::from_utf8_lossy(pem.trim_ascii_start().strip_prefix(PEM).unwrap_or_default());
        if label.split("-----").next().is_some_and(|label| label.ends_with("PRIVATE KEY")) {
            return Err(TokenConfigError::PrivateKey(self.name()));
        }
        let is_public = label.starts_with("PUBLIC KEY-----") || label.starts_with("RSA PUBLIC KEY-----");
        let rsa = || DecodingKey::from_rsa_pem(pem).ok().filter(is_strong_rsa);
        let ec = || DecodingKey::from_ec_pem(pem).ok();
        let key = if is_public { rsa().or_else(ec).or_else(|| DecodingKey::from_ed_pem(pem).ok()) } else { None };
        key.ok_or_else(|| TokenConfigError::PublicKey(self.name()))
    }

    fn name(&self) -> String {
        self.id.as_ref().map_or_else(|| "the key".into(), |id| format!("key {id:?}"))
    }
}

impl VerifyingKey {
    /// Whether it is the one for tokens that name this key. A single key without an id serves all.
    pub(super) fn serves(&self, kid: Option<&str>) -> bool {
        self.id.is_none() || self.id.as_deref() == kid
    }

    pub(super) fn signed(&self, algorithm: Algorithm, message: &str, signature: &[u8]) -> bool {
        verifier(algorithm, &self.key).is_some_and(|verifier| verifier.verify(message.as_bytes(), &signature.to_vec()).is_ok())
    }
}

/// None where the key is not of the algorithm's kind. Asks the backend by name: the process-wide default of jsonwebtoken panics
/// where another crate of a service has turned on the other backend.
fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Option<Box<dyn JwtVerifier>> {
    (DEFAULT_PROVIDER.verifier_factory)(&algorithm, key).ok()
}

/// The backend reads an RSA key only when it is used; this reads it now.
fn is_strong_rsa(key: &DecodingKey) -> bool {
    let components = |der: &[u8]| (DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key)(der);
    key.try_get_as_bytes().and_then(components).is_ok_and(|(modulus, _)| modulus.len() >= LEAST_RSA_BYTES)
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(PEM)
}

/// RFC 7518, 3.2: as many bytes as the hash; none for algorithms that use no secret.
fn least_secret(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS256 => 32,
        Algorithm::HS384 => 48,
        Algorithm::HS512 => 64,
        _ => 0,
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("id", &self.id).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}
