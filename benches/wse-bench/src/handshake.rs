//! The opening handshake of RFC 6455 as bytes, both sides of it.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use std::net::SocketAddr;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The key of every handshake of this tool: a nonce serves caches and proxies, of which loopback has none.
const KEY: &str = "d3NlLWJlbmNoIGtleSAwMQ==";
/// The longest head that is taken.
pub const MOST_BYTES: usize = 16 << 10;

/// A client's request; a subprotocol is offered where there is one.
#[must_use]
pub fn request(server: SocketAddr, path: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let common = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13";
    let offer = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{common}\r\n{offer}Sec-WebSocket-Key: {KEY}\r\n\r\n").into_bytes()
}

/// Judges a server's answer: how many bytes it takes, or none while it is not whole.
///
/// # Errors
/// What is wrong with it, as words that follow "the server".
pub fn judge(bytes: &[u8], accept: &str) -> Result<Option<usize>, String> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > MOST_BYTES { Err("sent an endless HTTP head".into()) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(format!("refused the upgrade: {status}"));
    }
    match header(&head, "sec-websocket-accept") {
        Some(given) if given == accept => Ok(Some(end + 4)),
        _ => Err("answered another key than the one it was sent".into()),
    }
}

/// What a server must answer this tool's key with.
#[must_use]
pub fn expected_accept() -> String {
    accept(KEY)
}

/// A server's answer to a whole request, and how many bytes that takes; none while it is not whole, or for anything else.
#[must_use]
pub fn answer(bytes: &[u8]) -> Option<(String, usize)> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let accept = accept(header(&head, "sec-websocket-key")?);
    let common = "Upgrade: websocket\r\nConnection: Upgrade";
    Some((format!("HTTP/1.1 101 Switching Protocols\r\n{common}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"), end + 4))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

/// What answers a client's `Sec-WebSocket-Key`.
#[must_use]
pub fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn both_sides_agree_and_only_a_whole_and_right_answer_is_taken() {
        let request = request(([127, 0, 0, 1], 80).into(), "/a", Some("a.b"));
        let (text, used) = answer(&request).expect("whole");
        assert_eq!(used, request.len());
        assert_eq!(judge(text.as_bytes(), &expected_accept()), Ok(Some(text.len())));
        assert_eq!(judge(&text.as_bytes()[..text.len() - 1], &expected_accept()), Ok(None));
        assert!(judge(text.as_bytes(), "another").is_err());
        assert!(judge(b"HTTP/1.1 403 Forbidden\r\n\r\n", "any").is_err_and(|e| e.contains("403")));
        assert!(judge(&vec![b'a'; MOST_BYTES + 1], "any").is_err());
    }
}
