//! Tokens that another implementation (PyJWT) made, by every algorithm: `pyjwt.py` writes them.
use serde_json::Value;
use wse_crypto::token::{Identity, Key, TokenConfig, TokenConfigError, TokenError, TokenVerifier, UnixSeconds};

fn vectors() -> Value {
    serde_json::from_str(include_str!("pyjwt.json")).expect("pyjwt.json is JSON")
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).expect("pyjwt.json has it")
}

fn public_key(vectors: &Value, kind: &str) -> Key {
    Key::public_key(text(&vectors["keys"], &format!("/{kind}")))
}

fn config(key: Key, algorithm: &str) -> TokenConfig {
    TokenConfig::default().key(key).algorithms([algorithm]).issuer("https://login.example").audience("wse")
}

fn verified(vectors: &Value, config: TokenConfig, token: &str) -> Result<Identity, TokenError> {
    let now = UnixSeconds(vectors["now"].as_u64().expect("a number"));
    TokenVerifier::new(config).expect("the configuration works").verify(token, now)
}

#[test]
fn a_token_of_every_algorithm_is_believed_and_its_claims_arrive_exactly() {
    let vectors = vectors();
    for (algorithm, token) in vectors["tokens"].as_object().expect("tokens") {
        let key = match vectors["kinds"][algorithm].as_str() {
            Some(kind) => public_key(&vectors, kind),
            None => Key::secret(text(&vectors, "/secret")),
        };
        let identity = verified(&vectors, config(key, algorithm), token.as_str().expect("text")).expect(algorithm);
        assert_eq!(identity.user, "ann");
        assert_eq!(Value::Object(identity.claims), vectors["claims"], "{algorithm}");
        assert_eq!(identity.expires, vectors["claims"]["exp"].as_u64().map(UnixSeconds));
    }
}

#[test]
fn a_token_of_every_algorithm_is_refused_once_a_bit_of_it_changes() {
    let vectors = vectors();
    for (algorithm, kind) in vectors["kinds"].as_object().expect("kinds") {
        let verifier = TokenVerifier::new(config(public_key(&vectors, kind.as_str().expect("text")), algorithm)).expect("works");
        let token = text(&vectors["tokens"], &format!("/{algorithm}"));
        let payload = token.find('.').expect("three parts") + 20;
        let signature = token.rfind('.').expect("three parts") + 20;
        for at in [payload, signature] {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(verifier.verify(&changed, UnixSeconds(1_800_000_000)), Err(TokenError::Signature), "{algorithm} at {at}");
        }
    }
}

#[test]
fn keys_go_by_id_and_each_only_with_its_own_kind() {
    let vectors = vectors();
    let kinds = ["RSA", "P-256", "P-384", "Ed25519"];
    let all = kinds.iter().fold(TokenConfig::default(), |config, kind| config.key(public_key(&vectors, kind).with_id(*kind)));
    let all = all.algorithms(["RS256", "PS512", "ES256", "ES384", "EdDSA"]).audience("wse");
    for algorithm in ["RS256", "PS512", "ES256", "ES384", "EdDSA"] {
        assert!(verified(&vectors, all.clone(), text(&vectors["tokens"], &format!("/{algorithm}"))).is_ok(), "{algorithm}");
    }
    assert_eq!(verified(&vectors, all, text(&vectors, "/tokens/RS512")), Err(TokenError::Algorithm), "not allowed");
}

#[test]
fn a_pkcs1_public_key_is_one_too() {
    let vectors = vectors();
    let key = Key::public_key(text(&vectors, "/keys/RSA, PKCS #1"));
    assert!(verified(&vectors, config(key, "RS256"), text(&vectors, "/tokens/RS256")).is_ok());
}

#[test]
fn a_key_of_another_kind_or_a_weak_one_is_a_mistake_of_the_configuration() {
    let vectors = vectors();
    let wrong = |kind: &str, algorithm: &str| TokenVerifier::new(config(public_key(&vectors, kind), algorithm)).expect_err(algorithm);
    for (kind, algorithm) in
        [("RSA", "HS256"), ("RSA", "ES256"), ("P-256", "RS256"), ("P-384", "ES256"), ("P-256", "ES384"), ("Ed25519", "ES256")]
    {
        assert_eq!(wrong(kind, algorithm), TokenConfigError::UnusedKey("the key".into()), "{kind} {algorithm}");
    }
    assert_eq!(wrong("RSA-1024", "RS256"), TokenConfigError::PublicKey("the key".into()));
    let secret = Key::secret(text(&vectors, "/secret"));
    assert_eq!(TokenVerifier::new(config(secret, "RS256")).expect_err("no RSA key"), TokenConfigError::UnusedKey("the key".into()));
}
