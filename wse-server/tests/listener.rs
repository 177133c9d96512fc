//! The listener over real sockets: requests that come in by the slab, those that hyper answers, and those that never become whole.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use wse_server::{App, Engine, EngineConfig, listener};

const PATIENCE: Duration = Duration::from_secs(10);
const HEAD: &str = "GET /wse?topics=t HTTP/1.1\r\nHost: localhost\r\n";
const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request(more: &str) -> String {
    format!("{HEAD}{UPGRADE}{more}\r\n")
}

async fn service(config: EngineConfig) -> (Engine, SocketAddr, JoinHandle<()>) {
    let engine = Engine::start(config).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, app) = (socket.local_addr().unwrap(), App::new(engine.clone()));
    (engine, address, tokio::spawn(async move { listener::serve(socket, "/wse", &app).await }))
}

/// Reads until the text is there; panics with what came instead.
async fn until(socket: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(text) {
            if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                return false;
            }
        }
        true
    };
    let found = timeout(PATIENCE, reading).await;
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert_eq!(found, Ok(true), "{text:?} did not come after {seen:?}");
    seen
}

async fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket
}

async fn reaches(what: impl Fn() -> bool) {
    let reached = async {
        while !what() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_answered_at_once_however_its_request_is_cut() {
    let (engine, address, _serving) = service(EngineConfig::default()).await;
    let request = request("");
    for step in [request.len(), 100, 7, 1] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        for part in request.as_bytes().chunks(step) {
            socket.write_all(part).await.unwrap();
            if step < 100 {
                tokio::task::yield_now().await;
            }
        }
        let seen = until(&mut socket, "\"subscription_update\"").await;
        assert!(seen.starts_with("HTTP/1.1 101 ") && seen.contains(ACCEPT), "{seen}");
        assert!(seen.find("server_hello") < seen.find("server_ready"), "{seen}");
    }
    reaches(|| engine.health().connections == 0).await;
    assert_eq!((engine.health().accepted, engine.health().handshakes), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_come_with_the_request_are_handled_after_it() {
    let (_engine, address, _serving) = service(EngineConfig::default()).await;
    let mut bytes = request("Sec-WebSocket-Protocol: wse.v2\r\n").into_bytes();
    let hello = br#"{"v":2,"c":"WSE","t":"client_hello","p":{}}"#;
    bytes.extend([0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0]);
    bytes.extend(hello);
    let mut socket = sent(address, &bytes).await;
    let seen = until(&mut socket, "\"server_ready\"").await;
    assert!(seen.contains("Sec-WebSocket-Protocol: wse.v2"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_is_text_however_small_a_frame_is_compressed() {
    let mut config = EngineConfig::default();
    config.wire.compression.from_bytes = 1;
    let (_engine, address, _serving) = service(config).await;
    let mut bytes = request("Sec-WebSocket-Protocol: wse.v2\r\n").into_bytes();
    let hello = br#"{"v":2,"c":"WSE","t":"client_hello","p":{"compression":["zlib"]}}"#;
    bytes.extend([0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0]);
    bytes.extend(hello);
    let seen = until(&mut sent(address, &bytes).await, "C:").await;
    assert!(seen.contains(r#""t":"server_hello""#) && !seen.contains("server_ready"), "the hello plain, what follows not: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_spread_over_the_shards_and_all_served() {
    let mut config = EngineConfig::default();
    config.shards = 3;
    let (engine, address, _serving) = service(config).await;
    let mut sockets = Vec::new();
    for _ in 0..30 {
        sockets.push(sent(address, request("").as_bytes()).await);
    }
    for socket in &mut sockets {
        until(socket, "\"subscription_update\"").await;
    }
    assert_eq!(engine.health().connections, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_websocket_or_none_that_may_come_in_is_answered_by_http() {
    let mut config = EngineConfig::default();
    config.allowed_origins = vec!["https://a.example".into()];
    let (engine, address, _serving) = service(config).await;
    let many: String = (0..80).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("Cookie: {}\r\n", "x".repeat(20_000));
    for (bytes, answer) in [
        (format!("{HEAD}\r\n"), "426 Upgrade Required"),
        (format!("POST /wse HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{UPGRADE}\r\n"), "405 Method Not Allowed"),
        (format!("GET /other HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n"), "404 Not Found"),
        ("GET /wse HTTP/1.0\r\n\r\n".into(), "400 Bad Request"),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03".into(), "400 Bad Request"),
        (request(&many), "101 Switching"),
        (request(&long), "101 Switching"),
        (request("Content-Length: 0\r\n"), "101 Switching"),
        ("GET http://localhost/wse?topics=t HTTP/1.1\r\nHost: localhost\r\n".to_owned() + UPGRADE + "\r\n", "101 Switching"),
        (request("Origin: https://a.example\r\n"), "101 Switching"),
        // A page cannot see an HTTP refusal: it is let in for the word that it may not.
        (request("Origin: https://b.example\r\n"), "ORIGIN_NOT_ALLOWED"),
    ] {
        let mut socket = sent(address, bytes.as_bytes()).await;
        let seen = until(&mut socket, answer).await;
        if answer.starts_with("101") {
            let rest = if seen.contains("server_ready") { seen } else { until(&mut socket, "server_ready").await };
            assert!(rest.contains("server_ready"));
        }
    }
    reaches(|| engine.health().connections == 0 && engine.health().handshakes == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_than_are_taken_is_refused_with_429_until_one_leaves() {
    let mut config = EngineConfig::default();
    config.connections = Some(1);
    let (engine, address, _serving) = service(config).await;
    let mut first = sent(address, request("").as_bytes()).await;
    until(&mut first, "server_ready").await;
    until(&mut sent(address, request("").as_bytes()).await, "429 Too Many Requests").await;
    drop(first);
    reaches(|| engine.health().connections == 0).await;
    until(&mut sent(address, request("").as_bytes()).await, "server_ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asked_for_health_first_can_still_become_a_websocket() {
    let (_engine, address, _serving) = service(EngineConfig::default()).await;
    let mut socket = sent(address, b"GET /wse/health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(until(&mut socket, "\"handshakes\":0").await.contains("200 OK"));
    let mut upgrade = request("").into_bytes();
    // A ping right behind it: what hyper read of it comes along.
    upgrade.extend([0x89, 0x80, 0, 0, 0, 0]);
    socket.write_all(&upgrade).await.unwrap();
    let seen = until(&mut socket, "\u{fffd}\0").await;
    assert!(seen.contains("101 Switching Protocols"), "a pong follows the upgrade: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_becomes_whole_is_given_up_after_the_handshake_time() {
    let mut config = EngineConfig::default();
    config.session.handshake_timeout = Duration::from_millis(300);
    let (engine, address, _serving) = service(config).await;
    let begun = Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = sent(address, HEAD.as_bytes()).await;
    reaches(|| engine.health().handshakes == 2).await;
    let drip = async {
        while slow.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, drip).await.expect("the one that goes on a byte at a time is closed too");
    assert_eq!(timeout(PATIENCE, silent.read(&mut [0; 8])).await.expect("closed").unwrap_or(0), 0);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(3), "{took:?}");
    reaches(|| engine.health().handshakes == 0).await;
    assert_eq!(engine.health().accepted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_dropped_lets_go_of_its_port_and_of_requests_that_are_not_whole() {
    let (engine, address, serving) = service(EngineConfig::default()).await;
    let mut inside = sent(address, request("").as_bytes()).await;
    until(&mut inside, "subscription_update").await;
    let mut outside = sent(address, HEAD.as_bytes()).await;
    reaches(|| engine.health().handshakes == 1).await;
    serving.abort();
    assert_eq!(timeout(PATIENCE, outside.read(&mut [0; 8])).await.expect("closed").unwrap_or(0), 0);
    reaches(|| std::net::TcpListener::bind(address).is_ok()).await;
    reaches(|| engine.health().handshakes == 0).await;
    assert_eq!(engine.health().connections, 1, "who is in stays");
}
