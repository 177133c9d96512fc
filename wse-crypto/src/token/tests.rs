//! Tokens that must not be believed, each for its own reason, and configurations that cannot work.
use super::*;
use jsonwebtoken::{EncodingKey, crypto};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const SECRET: &str = "thirty-two bytes, as HS256 needs";
const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("HS256 signs");
    format!("{message}.{signature}")
}

/// A token with these claims over good ones; null removes one.
fn token(changes: Value) -> String {
    let mut claims = json!({"sub": "ann", "exp": NOW.0 + 60, "iat": NOW.0});
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims, SECRET)
}

fn config() -> TokenConfig {
    TokenConfig::default().key(Key::secret(SECRET))
}

fn judged(config: TokenConfig, token: &str) -> Result<Identity, TokenError> {
    TokenVerifier::new(config).expect("the configuration works").verify(token, NOW)
}

fn refused(token: &str) -> TokenError {
    judged(config(), token).expect_err("not to be believed")
}

fn missing(claim: &str) -> TokenError {
    TokenError::MissingClaim(claim.into())
}

fn mistaken(config: TokenConfig) -> TokenConfigError {
    TokenVerifier::new(config).expect_err("cannot work")
}

#[test]
fn a_good_token_tells_the_user_every_claim_and_its_end() {
    let identity = judged(config(), &token(json!({"role": "admin"}))).expect("good");
    assert_eq!((identity.user.as_str(), &identity.claims["role"]), ("ann", &json!("admin")));
    assert_eq!(identity.expires, Some(UnixSeconds(NOW.0 + 60)));
}

#[test]
fn a_claim_is_the_number_that_was_written() {
    for number in [json!(1795479299.9500895), json!(u64::MAX), json!(i64::MIN), json!(5e-324)] {
        assert_eq!(judged(config(), &token(json!({"n": number}))).expect("good").claims["n"], number);
    }
}

#[test]
fn what_is_no_token_is_malformed() {
    for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "\u{e9}.\u{e9}.\u{e9}", "e30.e30.", &"[".repeat(8000)] {
        assert_eq!(refused(text), TokenError::Malformed, "{text:?}");
    }
    let good = token(json!({}));
    assert_eq!(refused(&format!("{good}=")), TokenError::Malformed, "base64url has no padding here");
    assert_eq!(refused(&signed(&json!({"alg": "HS256"}), &json!([1]), SECRET)), TokenError::Malformed, "claims are an object");
}

#[test]
fn a_large_token_is_not_even_read() {
    let large = token(json!({"pad": "x".repeat(MAX_TOKEN_BYTES)}));
    assert_eq!(refused(&large), TokenError::TooLarge);
    let room = MAX_TOKEN_BYTES - 200;
    assert!(judged(config(), &token(json!({"pad": "x".repeat(room * 3 / 4)}))).is_ok(), "below the bound");
}

#[test]
fn no_signature_is_no_token_whatever_the_header_says() {
    let payload = part(&json!({"sub": "ann", "exp": NOW.0 + 60}));
    for name in ["none", "None", "NONE", "", "HS1", "hs256"] {
        let unsigned = format!("{}.{payload}.", part(&json!({"alg": name})));
        assert_eq!(refused(&unsigned), TokenError::Algorithm, "{name}");
        assert_eq!(mistaken(config().algorithms([name])), TokenConfigError::UnknownAlgorithm(name.into()));
    }
    let stripped = format!("{}.{payload}.", part(&json!({"alg": "HS256"})));
    assert_eq!(refused(&stripped), TokenError::Signature);
}

#[test]
fn a_public_key_never_serves_as_a_secret() {
    let forged = signed(&json!({"alg": "HS256"}), &json!({"sub": "eve", "exp": NOW.0 + 60}), PEM);
    let public = TokenConfig::default().key(Key::public_key(PEM)).algorithms(["EdDSA"]);
    assert_eq!(judged(public, &forged), Err(TokenError::Algorithm));
    assert_eq!(mistaken(TokenConfig::default().key(Key::secret(PEM))), TokenConfigError::SecretIsPem("the key".into()));
}

#[test]
fn nor_where_both_kinds_are_allowed() {
    let both = TokenConfig::default().key(Key::secret(SECRET).with_id("s")).key(Key::public_key(PEM).with_id("p"));
    let forged = signed(&json!({"alg": "HS256", "kid": "p"}), &json!({"sub": "eve", "exp": NOW.0 + 60}), PEM);
    assert_eq!(judged(both.algorithms(["HS256", "EdDSA"]), &forged), Err(TokenError::Algorithm));
}

#[test]
fn an_algorithm_that_is_not_allowed_is_refused_though_its_signature_is_good() {
    let long = SECRET.repeat(2);
    let narrow = TokenConfig::default().key(Key::secret(long.clone())).algorithms(["HS512"]);
    let token = signed(&json!({"alg": "HS256"}), &json!({"sub": "ann", "exp": NOW.0 + 60}), &long);
    assert_eq!(judged(narrow, &token), Err(TokenError::Algorithm));
}

#[test]
fn a_named_key_serves_the_tokens_that_name_it_and_no_others() {
    let other = "another secret of thirty-two bytes";
    let config = TokenConfig::default().key(Key::secret(SECRET).with_id("old")).key(Key::secret(other).with_id("new"));
    let claims = json!({"sub": "ann", "exp": NOW.0 + 60});
    let by = |header: Value, secret| judged(config.clone(), &signed(&header, &claims, secret)).map(|identity| identity.user);
    assert_eq!(by(json!({"alg": "HS256", "kid": "old"}), SECRET), Ok("ann".into()));
    assert_eq!(by(json!({"alg": "HS256", "kid": "new"}), other), Ok("ann".into()));
    assert_eq!(by(json!({"alg": "HS256", "kid": "new"}), SECRET), Err(TokenError::Signature));
    assert_eq!(by(json!({"alg": "HS256", "kid": "lost"}), SECRET), Err(TokenError::UnknownKey));
    assert_eq!(by(json!({"alg": "HS256"}), SECRET), Err(TokenError::UnknownKey));
}

#[test]
fn a_single_key_without_an_id_serves_tokens_that_name_any() {
    let token = signed(&json!({"alg": "HS256", "kid": "2026"}), &json!({"sub": "ann", "exp": NOW.0 + 60}), SECRET);
    assert!(judged(config(), &token).is_ok());
}

#[test]
fn extensions_that_must_be_understood_are_not() {
    let header = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
    assert_eq!(refused(&signed(&header, &json!({"sub": "ann", "exp": NOW.0 + 60}), SECRET)), TokenError::Critical);
}

#[test]
fn another_secret_and_changed_claims_do_not_match_the_signature() {
    let claims = json!({"sub": "ann", "exp": NOW.0 + 60});
    assert_eq!(refused(&signed(&json!({"alg": "HS256"}), &claims, "a guess of thirty-two bytes or so")), TokenError::Signature);
    let good = token(json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let changed = format!("{}.{}.{}", parts[0], part(&json!({"sub": "root", "exp": NOW.0 + 60})), parts[2]);
    assert_eq!(refused(&changed), TokenError::Signature);
}

#[test]
fn times_are_judged_by_the_time_given_and_the_leeway() {
    let strict = config().leeway(Duration::ZERO);
    let at = |claim: &str, offset: f64, config: &TokenConfig| judged(config.clone(), &token(json!({claim: NOW.0 as f64 + offset}))).err();
    for (claim, offset, outcome) in [
        ("exp", 1.0, None),
        ("exp", 0.0, Some(TokenError::Expired)),
        ("exp", -0.5, Some(TokenError::Expired)),
        ("nbf", 0.0, None),
        ("nbf", 1.0, Some(TokenError::NotYetValid)),
        ("iat", 0.0, None),
        ("iat", 1.0, Some(TokenError::IssuedInFuture)),
    ] {
        assert_eq!(at(claim, offset, &strict), outcome, "{claim} {offset:+}");
    }
    let lenient = config().leeway(Duration::from_secs(30));
    for (claim, within, beyond) in [("exp", -29.0, -30.0), ("nbf", 30.0, 31.0), ("iat", 30.0, 31.0)] {
        assert_eq!(at(claim, within, &lenient), None, "{claim}");
        assert!(at(claim, beyond, &lenient).is_some(), "{claim}");
    }
}

#[test]
fn times_are_numbers_and_no_number_is_too_large_to_judge() {
    for claim in ["exp", "nbf", "iat"] {
        assert_eq!(refused(&token(json!({claim: "1800000060"}))), TokenError::WrongType(claim.into()));
    }
    assert!(judged(config(), &token(json!({"exp": 1e300}))).is_ok());
    assert_eq!(refused(&token(json!({"exp": -1e300}))), TokenError::Expired);
}

#[test]
fn an_end_is_required_unless_told_otherwise_and_other_claims_if_told() {
    assert_eq!(refused(&token(json!({"exp": null}))), missing("exp"));
    let endless = judged(config().required_claims(["iat"]), &token(json!({"exp": null}))).expect("allowed");
    assert_eq!(endless.expires, None);
    assert_eq!(judged(config().required_claims(["exp", "jti"]), &token(json!({}))), Err(missing("jti")));
}

#[test]
fn the_issuer_and_the_audience_must_be_the_ones_set() {
    let issuer = |claims| judged(config().issuer("https://a.example"), &token(claims)).err();
    assert_eq!(issuer(json!({"iss": "https://a.example"})), None);
    assert_eq!(issuer(json!({"iss": "https://a.example.evil"})), Some(TokenError::Issuer));
    assert_eq!(issuer(json!({"iss": ["https://a.example"]})), Some(TokenError::Issuer));
    assert_eq!(issuer(json!({})), Some(missing("iss")));
    let audience = |claims| judged(config().audience("wse"), &token(claims)).err();
    assert_eq!(audience(json!({"aud": "wse"})), None);
    assert_eq!(audience(json!({"aud": ["api", "wse"]})), None);
    assert_eq!(audience(json!({"aud": "api"})), Some(TokenError::Audience));
    assert_eq!(audience(json!({"aud": {"wse": 1}})), Some(TokenError::Audience));
    assert_eq!(audience(json!({})), Some(missing("aud")));
    assert_eq!(refused(&token(json!({"aud": "api"}))), TokenError::Audience, "it says that it is for another");
}

#[test]
fn the_user_is_a_claim_of_ones_choice_and_never_empty() {
    assert_eq!(judged(config().user_claim("uid"), &token(json!({"uid": 7}))).expect("good").user, "7");
    assert_eq!(refused(&token(json!({"sub": null}))), missing("sub"));
    for wrong in [json!(""), json!(true), json!(1.5), json!({}), json!(["ann"])] {
        assert_eq!(refused(&token(json!({"sub": wrong}))), TokenError::WrongType("sub".into()));
    }
}

#[test]
fn a_configuration_that_cannot_work_names_its_setting() {
    let long = || Key::secret(SECRET.repeat(2));
    let cases = [
        (TokenConfig::default(), TokenConfigError::NoKey, "key"),
        (config().key(long()), TokenConfigError::KeyIds, "key"),
        (TokenConfig::default().key(long().with_id("a")).key(long().with_id("a")), TokenConfigError::KeyIds, "key"),
        (config().algorithms([""; 0]), TokenConfigError::NoAlgorithm, "algorithms"),
        (config().algorithms(["HS256", "RS256"]), TokenConfigError::AlgorithmWithoutKey("RS256".into()), "algorithms"),
        (config().issuer(""), TokenConfigError::Empty("issuer"), "issuer"),
        (config().audience(""), TokenConfigError::Empty("audience"), "audience"),
        (config().user_claim(""), TokenConfigError::Empty("user_claim"), "user_claim"),
    ];
    for (config, error, setting) in cases {
        assert_eq!(mistaken(config), error);
        assert_eq!(error.setting(), setting);
    }
}

#[test]
fn secrets_have_the_size_of_the_hash() {
    for (algorithm, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let of = |size: usize| TokenVerifier::new(TokenConfig::default().key(Key::secret("x".repeat(size))).algorithms([algorithm]));
        assert!(of(least).is_ok());
        assert!(matches!(of(least - 1), Err(TokenConfigError::ShortSecret { bytes, .. }) if bytes == least - 1));
    }
}

#[test]
fn only_public_keys_are_public_keys() {
    let key = |pem: &str| mistaken(TokenConfig::default().key(Key::public_key(pem)).algorithms(["EdDSA"]));
    assert_eq!(key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), TokenConfigError::PrivateKey("the key".into()));
    assert_eq!(key("-----BEGIN EC PRIVATE KEY-----\nAAAA"), TokenConfigError::PrivateKey("the key".into()));
    for pem in [
        "",
        SECRET,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    ] {
        assert_eq!(key(pem), TokenConfigError::PublicKey("the key".into()), "{pem}");
    }
}

#[test]
fn neither_keys_nor_tokens_are_shown() {
    let config = config().key(Key::public_key(PEM).with_id("p"));
    let shown = format!("{config:?} {:?}", TokenVerifier::new(self::config()).expect("works"));
    assert!(!shown.contains("thirty-two") && !shown.contains("MCow"), "{shown}");
    let bytes = format!("{:?}", SECRET.as_bytes());
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    let good = token(json!({"sub": 1.25}));
    assert!(!format!("{0} {0:?}", refused(&good)).contains("1.25"));
}

proptest! {
    #[test]
    fn no_text_is_believed_or_ends_in_a_panic(text in ".{0,200}", header in "\\{\"alg\":\"HS256\".{0,40}") {
        let (header, rest) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&text));
        let shaped = format!("{header}.{rest}.{rest}");
        prop_assert!([text, shaped].iter().all(|token| judged(config(), token).is_err()));
    }
}
