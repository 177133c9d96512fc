//! Whether an HTTP request may become a connection, and with what: origin, subprotocol, credential, topics. Pure.
use crate::{
    EngineConfig, origin,
    ws::{Fields, handshake, visible},
};
use http::{StatusCode, header};
use wse_core::session::Offer;
use wse_protocol::{ErrorCode, WireError};

/// The only subprotocol that is ever selected.
pub const SUBPROTOCOL: &str = "wse.v2";

/// What of a request matters.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// All headers.
    pub headers: Fields<'a>,
    /// The query without `?`, percent-encoded; may be empty.
    pub query: &'a str,
}

/// The judgement of one request.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Refuse with this status; none: upgrade.
    pub refusal: Option<(StatusCode, WireError)>,
    /// Select this subprotocol.
    pub subprotocol: Option<&'static str>,
    /// What the session begins with.
    pub(crate) offer: Offer,
}

/// Judges a request; `connections` is how many there are now.
#[must_use]
pub(crate) fn admit(config: &EngineConfig, head: RequestHead<'_>, connections: usize) -> Admission {
    let promised = handshake::subprotocols(head.headers).any(|name| name == SUBPROTOCOL);
    let refusal = refusal(config, &head, connections);
    let from_browser = head.headers.has(header::ORIGIN);
    let (inside, outside) = if from_browser { (refusal, None) } else { (None, refusal) };
    Admission {
        refusal: outside.map(|error| (status(error.code), error)),
        subprotocol: promised.then_some(SUBPROTOCOL),
        offer: Offer {
            hello_promised: promised,
            auth_required: config.guarded(),
            token: token(config, &head),
            topics: topics(head.query),
            outcomes: None,
            secret: 0,
            refusal: inside,
        },
    }
}

fn refusal(config: &EngineConfig, head: &RequestHead<'_>, connections: usize) -> Option<WireError> {
    if let Err(error) = origin::check(&config.allowed_origins, head.headers) {
        return Some(error);
    }
    let limit = config.connections.filter(|limit| connections >= *limit)?;
    Some(WireError::new(ErrorCode::LimitReached, format!("this server takes {limit} connections; try later or raise `connections`")))
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::LimitReached => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::AuthFailed => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    }
}

fn token(config: &EngineConfig, head: &RequestHead<'_>) -> Option<String> {
    bearer(head.headers)
        .or_else(|| cookie(head.headers, config.token_cookie.as_deref()?))
        .or_else(|| parameter(head.query, config.token_query_parameter.as_deref()?).next())
}

fn bearer(headers: Fields<'_>) -> Option<String> {
    let (scheme, token) = headers.text(header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn cookie(headers: Fields<'_>, name: &str) -> Option<String> {
    let values = headers.all(header::COOKIE).filter_map(visible);
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
}

fn topics(query: &str) -> Vec<String> {
    let mut names = Vec::new();
    for name in parameter(query, "topics").flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>()) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn parameter<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    form_urlencoded::parse(query.as_bytes()).filter(move |(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn judged(config: &EngineConfig, query: &str, pairs: &[(&'static str, &str)]) -> Admission {
        let pair =
            |(name, value): &(&'static str, &str)| (header::HeaderName::from_static(name), HeaderValue::from_str(value).expect("ASCII"));
        let headers: HeaderMap = pairs.iter().map(pair).collect();
        admit(config, RequestHead { headers: (&headers).into(), query }, 1)
    }

    #[test]
    fn the_credential_is_taken_where_it_is_allowed_to_be() {
        let config = EngineConfig { token_cookie: Some("session".into()), ..EngineConfig::default() };
        let of = |query, pairs: &[_]| judged(&config, query, pairs).offer.token;
        assert_eq!(of("", &[("authorization", "bearer abc")]).as_deref(), Some("abc"));
        assert_eq!(of("", &[("cookie", "a=b; session=xyz")]).as_deref(), Some("xyz"));
        assert_eq!(of("token=leaked", &[]), None, "URLs are for logs");
    }

    #[test]
    fn topics_are_decoded_and_each_named_once() {
        let topics = judged(&EngineConfig::default(), "x=1&topics=a,b%3Ac,a,,&topics=d", &[]).offer.topics;
        assert_eq!(topics, ["a", "b:c", "d"]);
    }

    #[test]
    fn a_browser_is_refused_inside_the_socket_and_others_by_status() {
        let config = EngineConfig { connections: Some(1), ..EngineConfig::default() };
        let plain = judged(&config, "", &[]);
        assert_eq!(plain.refusal.map(|(status, _)| status), Some(StatusCode::TOO_MANY_REQUESTS));
        let browser = judged(&config, "", &[("origin", "http://localhost:1"), ("host", "localhost:2")]);
        assert!(browser.refusal.is_none());
        assert_eq!(browser.offer.refusal.map(|error| error.code), Some(ErrorCode::LimitReached));
    }
}
