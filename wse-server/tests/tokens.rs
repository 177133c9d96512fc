//! JSON Web Tokens in a Rust service: who passes, what handlers know of them, and who is asked in which order.
use bytes::BytesMut;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use wse_server::{
    App, Engine, EngineConfig, listener,
    token::{Key, TokenConfig, TokenVerifier, UnixSeconds},
};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "a secret of this test, 32 bytes or more";

fn token(user: &str, seconds: i64) -> String {
    let now = UnixSeconds::from(SystemTime::now()).0 as i64;
    let claims = json!({"sub": user, "exp": now + seconds});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("HS256 signs")
}

/// An engine that checks tokens, and a service that tells each client who it is.
async fn service(asks: bool, build: impl FnOnce(App) -> App) -> std::net::SocketAddr {
    let mut config = EngineConfig::default();
    config.tokens = Some(Arc::new(TokenVerifier::new(TokenConfig::default().key(Key::secret(SECRET))).expect("it works")));
    config.auth_required = asks;
    let app = App::new(Engine::start(config).expect("it starts")).on("who", |message| async move { Ok(message.user) });
    let (app, socket) = (build(app), TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move { listener::serve(socket, "/wse", &app).await });
    address
}

/// What the client is told up to its reply to `who`, or to its close: the last message, and the code.
async fn told(address: std::net::SocketAddr, token: &str) -> (Value, Option<u16>) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!(
        "GET /wse HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("in time").expect("an answer"));
    }
    let mut socket = WebSocket::after_handshake(stream, Role::Client);
    socket.set_auto_close(false);
    let mut last = Value::Null;
    loop {
        let frame = timeout(PATIENCE, socket.read_frame()).await.expect("in time").expect("a frame");
        if frame.opcode == OpCode::Close {
            return (last, frame.payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]])));
        }
        last = serde_json::from_slice(&frame.payload).expect("JSON");
        if last["t"] == "server_ready" {
            let text = json!({"v": 2, "t": "who", "cid": "1"}).to_string();
            socket.write_frame(Frame::text(Payload::Bytes(BytesMut::from(text.as_bytes())))).await.expect("sent");
        }
        if last["t"] == "reply" {
            return (last, None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_knows_the_user_that_the_token_names() {
    let address = service(false, |app| app).await;
    assert_eq!(told(address, &token("ann", 60)).await.0["p"], "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_or_lies_is_refused_with_4401() {
    let address = service(false, |app| app).await;
    for (token, says) in [(token("ann", -60), "expired"), (token("ann", 60) + "A", "not valid")] {
        let (error, code) = told(address, &token).await;
        assert_eq!((&error["p"]["code"], code), (&json!("AUTH_FAILED"), Some(4401)), "{error}");
        assert!(error["p"]["message"].as_str().is_some_and(|text| text.contains(says)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authenticator_is_asked_after_the_token_and_may_leave_its_user() {
    let asked = Arc::new(Mutex::new(0));
    let counter = asked.clone();
    let judge = move |_| {
        *counter.lock().expect("not poisoned") += 1;
        async { Ok(None) }
    };
    let address = service(true, |app| app.authenticate(judge)).await;
    assert_eq!(told(address, &token("ann", -60)).await.1, Some(4401));
    assert_eq!(*asked.lock().expect("not poisoned"), 0, "not about a token that has expired");
    assert_eq!(told(address, &token("ann", 60)).await.0["p"], "ann");
    assert_eq!(*asked.lock().expect("not poisoned"), 1);
}
