//! Which web pages may open a connection: the `Origin` header against the configuration. Pure.
use crate::ws::{Fields, visible};
use http::{HeaderName, header};
use std::net::IpAddr;
use wse_protocol::{ErrorCode, WireError};

/// Allows a request without an origin (not a browser), of the same host and port as the server, of this machine to this
/// machine on any port, or of a listed origin.
///
/// # Errors
/// `ORIGIN_NOT_ALLOWED`, with the line that would allow it.
pub(crate) fn check(allowed: &[String], headers: Fields<'_>) -> Result<(), WireError> {
    let Some(origin) = headers.all(header::ORIGIN).next() else { return Ok(()) };
    let origin = visible(origin).unwrap_or("");
    let listed = allowed.iter().any(|entry| entry == "*" || entry.trim_end_matches('/').eq_ignore_ascii_case(origin));
    if listed || (allowed.is_empty() && is_own(origin, headers)) {
        return Ok(());
    }
    let text = format!("pages of origin {origin:?} may not connect; add it: WSEConfig(allowed_origins=[{origin:?}])");
    Err(WireError::new(ErrorCode::OriginNotAllowed, text))
}

/// A page cannot set the headers of a WebSocket request, so a proxy's `X-Forwarded-Host` is as good as `Host`.
fn is_own(origin: &str, headers: Fields<'_>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let hosts = [header::HOST, HeaderName::from_static("x-forwarded-host")].into_iter().filter_map(|name| headers.text(name));
    let standard = if scheme == "https" { "443" } else { "80" };
    let own = split(authority, standard);
    hosts.map(|host| split(host, standard)).any(|host| (is_loopback(own.0) && is_loopback(host.0)) || same(own, host))
}

fn same(a: (&str, &str), b: (&str, &str)) -> bool {
    a.0.eq_ignore_ascii_case(b.0) && a.1 == b.1
}

/// Host and port; an IPv6 address keeps its brackets.
fn split<'a>(authority: &'a str, standard: &'a str) -> (&'a str, &'a str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() => (host, port),
        _ => (authority, standard),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn allowed(list: &[&str], origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).expect("ASCII"));
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("ASCII"));
        let list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
        check(&list, (&headers).into()).is_ok()
    }

    #[test]
    fn by_default_the_own_origin_and_pages_of_this_machine_may_connect() {
        assert!(check(&[], (&HeaderMap::new()).into()).is_ok(), "not a browser");
        assert!(allowed(&[], "http://localhost:5173", "127.0.0.1:8000"));
        assert!(allowed(&[], "http://[::1]:5173", "localhost:8000"));
        assert!(allowed(&[], "https://app.example", "app.example"));
        assert!(allowed(&[], "https://app.example", "app.example:443"));
        assert!(!allowed(&[], "https://evil.example", "app.example"));
        assert!(!allowed(&[], "https://app.example:8443", "app.example"));
        assert!(!allowed(&[], "http://localhost.evil.example", "localhost:8000"));
        assert!(!allowed(&[], "null", "localhost:8000"));
    }

    #[test]
    fn a_list_allows_what_is_in_it_and_nothing_else() {
        assert!(allowed(&["https://a.example/"], "https://a.example", "b.example"));
        assert!(!allowed(&["https://a.example"], "http://localhost:1", "localhost:2"));
        assert!(allowed(&["*"], "https://any.example", "b.example"));
    }
}
