//! The HTTP/1.1 side of a WebSocket: whether a request may become one, and the response that makes it one (RFC 6455, section 4.2).
use super::Fields;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::{
    ALLOW, CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use sha1::{Digest, Sha1};

/// The GUID of RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A valid `Sec-WebSocket-Key`: 16 bytes in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 24]);

impl Key {
    /// Parses the header's value, without regard to blanks around it.
    ///
    /// # Errors
    /// [`HandshakeError::Key`].
    pub fn parse(value: impl AsRef<[u8]>) -> Result<Self, HandshakeError> {
        let key: [u8; 24] = value.as_ref().trim_ascii().try_into().map_err(|_| HandshakeError::Key)?;
        // One more than the nonce has, since that is what the decoder asks for.
        match STANDARD.decode_slice(key, &mut [0; 18]) {
            Ok(16) => Ok(Self(key)),
            _ => Err(HandshakeError::Key),
        }
    }

    /// The value of `Sec-WebSocket-Accept` that answers this key.
    #[must_use]
    pub fn accept(&self) -> String {
        STANDARD.encode(self.digest())
    }

    fn digest(&self) -> [u8; 20] {
        Sha1::new().chain_update(self.0).chain_update(GUID).finalize().into()
    }
}

/// Why a request cannot become a WebSocket; each has an HTTP status and the headers that go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// 405.
    #[error("a WebSocket begins with GET")]
    Method,
    /// 400.
    #[error("a WebSocket over HTTP/1 needs HTTP/1.1")]
    HttpVersion,
    /// 426: a plain request.
    #[error("this is a WebSocket endpoint: send `Connection: Upgrade` and `Upgrade: websocket`")]
    NotUpgrade,
    /// 426.
    #[error("only `Sec-WebSocket-Version: 13` is spoken")]
    WebSocketVersion,
    /// 400.
    #[error("`Sec-WebSocket-Key` must be given once, as 16 bytes in base64")]
    Key,
}

impl HandshakeError {
    /// The HTTP status that says so.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HttpVersion | Self::Key => StatusCode::BAD_REQUEST,
            Self::NotUpgrade | Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
        }
    }

    /// The whole response but its body, for which the error's text will do.
    #[must_use]
    pub fn response<B>(self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self {
            Self::Method => set(headers, &[(ALLOW, "GET")]),
            Self::NotUpgrade | Self::WebSocketVersion => set(headers, &UPGRADE_REQUIRED),
            Self::HttpVersion | Self::Key => {}
        }
        response
    }
}

const SWITCHING: [(HeaderName, &str); 2] = [(CONNECTION, "Upgrade"), (UPGRADE, "websocket")];
const UPGRADE_REQUIRED: [(HeaderName, &str); 3] = [(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")];

fn set(headers: &mut HeaderMap, values: &[(HeaderName, &'static str)]) {
    headers.extend(values.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
}

/// Whether the request may become a WebSocket; its key if so. Extensions are not negotiated: offers of them are ignored.
///
/// # Errors
/// The first rule that the request breaks.
pub fn check<T>(request: &Request<T>) -> Result<Key, HandshakeError> {
    check_head(request.method().as_str().as_bytes(), request.version() == Version::HTTP_11, request.headers().into())
}

/// [`check`] for a request that no `http::Request` was made of.
///
/// # Errors
/// The first rule that the request breaks.
pub fn check_head(method: &[u8], is_http_11: bool, fields: Fields<'_>) -> Result<Key, HandshakeError> {
    if method != Method::GET.as_str().as_bytes() {
        return Err(HandshakeError::Method);
    }
    if !is_http_11 {
        return Err(HandshakeError::HttpVersion);
    }
    if !(fields.lists(CONNECTION, "upgrade") && fields.lists(UPGRADE, "websocket")) {
        return Err(HandshakeError::NotUpgrade);
    }
    if fields.only(SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(HandshakeError::WebSocketVersion);
    }
    fields.only(SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key).and_then(Key::parse)
}

/// The subprotocols that the client offers, the one it likes best first. What is not visible ASCII is left out.
pub fn subprotocols(fields: Fields<'_>) -> impl Iterator<Item = &str> {
    fields.elements(SEC_WEBSOCKET_PROTOCOL)
}

/// The 101 response. `subprotocol` must be one of those offered; it is `'static` so that it can only be one of ours.
///
/// # Panics
/// If `subprotocol` is not visible ASCII.
#[must_use]
pub fn switching<B: Default>(key: &Key, subprotocol: Option<&'static str>) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    set(headers, &SWITCHING);
    let accept = HeaderValue::from_str(&key.accept()).expect("base64 is visible ASCII");
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        set(headers, &[(SEC_WEBSOCKET_PROTOCOL, subprotocol)]);
    }
    response
}

/// The bytes of the same response, for a socket that no HTTP server answers on.
#[must_use]
pub fn raw_switching(key: &Key, subprotocol: Option<&'static str>) -> Vec<u8> {
    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ";
    let mut response = String::with_capacity(192);
    response.push_str(HEAD);
    STANDARD.encode_string(key.digest(), &mut response);
    if let Some(subprotocol) = subprotocol {
        response.push_str("\r\nSec-WebSocket-Protocol: ");
        response.push_str(subprotocol);
    }
    response.push_str("\r\n\r\n");
    response.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and answer of RFC 6455, section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn request(changes: &[(&str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        let browser = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        let both = browser.into_iter().chain([("sec-websocket-version", "13"), ("sec-websocket-key", KEY)]);
        for (name, value) in both.chain(changes.iter().copied()) {
            let name = HeaderName::try_from(name).expect("a header name");
            request.headers_mut().remove(&name);
            if !value.is_empty() {
                request.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        request
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        assert_eq!(check(&request(&[])).map(|key| key.accept()).as_deref(), Ok(ACCEPT));
    }

    #[test]
    fn each_broken_rule_has_its_error_and_status() {
        let refused = |changes: &[_]| check(&request(changes)).map_err(|error| (error, error.status().as_u16()));
        assert_eq!(refused(&[("upgrade", "")]), Err((HandshakeError::NotUpgrade, 426)));
        assert_eq!(refused(&[("upgrade", "h2c")]), Err((HandshakeError::NotUpgrade, 426)));
        assert_eq!(refused(&[("connection", "close")]), Err((HandshakeError::NotUpgrade, 426)));
        assert_eq!(refused(&[("sec-websocket-version", "")]), Err((HandshakeError::WebSocketVersion, 426)));
        assert_eq!(refused(&[("sec-websocket-version", "8")]), Err((HandshakeError::WebSocketVersion, 426)));
        for key in ["", "short", "dGhlIHNhbXBsZSBub25jZSE=", "!GhlIHNhbXBsZSBub25jZQ=="] {
            assert_eq!(refused(&[("sec-websocket-key", key)]), Err((HandshakeError::Key, 400)), "{key}");
        }
    }

    #[test]
    fn method_and_http_version_are_checked() {
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert_eq!(check(&post), Err(HandshakeError::Method));
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(check(&old), Err(HandshakeError::HttpVersion));
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let mut twice = request(&[]);
        twice.headers_mut().append(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
        assert_eq!(check(&twice), Err(HandshakeError::Key));
    }

    #[test]
    fn refusals_say_what_would_do() {
        let response = HandshakeError::WebSocketVersion.response("");
        assert_eq!(response.headers()[SEC_WEBSOCKET_VERSION], "13");
        assert_eq!(HandshakeError::Method.response("").headers()[ALLOW], "GET");
    }

    #[test]
    fn subprotocols_come_in_the_order_of_the_offer() {
        let mut request = request(&[("sec-websocket-protocol", "wse.v2 ,other")]);
        request.headers_mut().append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("third"));
        assert!(subprotocols(request.headers().into()).eq(["wse.v2", "other", "third"]));
    }

    #[test]
    fn the_raw_response_says_what_the_typed_one_says() {
        let key = Key::parse(KEY).expect("a key");
        for subprotocol in [None, Some("wse.v2")] {
            let typed = switching::<()>(&key, subprotocol);
            let raw = String::from_utf8(raw_switching(&key, subprotocol)).expect("text");
            let mut lines = raw.strip_suffix("\r\n\r\n").expect("an empty line ends it").split("\r\n");
            assert_eq!(lines.next(), Some("HTTP/1.1 101 Switching Protocols"));
            let fields: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
            assert_eq!(fields.len(), typed.headers().len());
            for (name, value) in fields {
                assert_eq!(typed.headers()[name], value);
            }
        }
    }
}
