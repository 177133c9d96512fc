//! A service that listens, and a client of it by an implementation that is not ours.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
use bytes::BytesMut;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use wse_server::{App, Engine, EngineConfig, listener};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const UPGRADE: &str = "GET /wse?topics=t HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A peer by an implementation that is not ours.
pub(crate) struct Client<S>(WebSocket<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn over(mut stream: S) -> Self {
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 101"));
        Self::upgraded(stream)
    }

    pub(crate) fn upgraded(stream: S) -> Self {
        let mut socket = WebSocket::after_handshake(stream, Role::Client);
        socket.set_auto_close(false);
        Self(socket)
    }

    /// The next message, or the close code.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        let frame = timeout(PATIENCE, self.0.read_frame()).await.expect("something comes in time").expect("a whole frame");
        match frame.opcode {
            OpCode::Close => Err(frame.payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]))),
            _ => Ok(serde_json::from_slice(&frame.payload).expect("JSON")),
        }
    }

    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.unwrap_or_else(|code| panic!("closed with {code} before {kind}"));
            if message["t"] == kind {
                return message;
            }
        }
    }

    pub(crate) async fn send(&mut self, message: Value) {
        let text = message.to_string();
        self.0.write_frame(Frame::text(Payload::Bytes(BytesMut::from(text.as_bytes())))).await.unwrap();
    }
}

pub(crate) async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("an answer in time").expect("an answer"));
    }
    String::from_utf8(head).unwrap()
}

/// A service with these handlers, listening; and its engine.
pub(crate) async fn service(config: EngineConfig, handlers: impl FnOnce(App) -> App) -> (Engine, SocketAddr) {
    let engine = Engine::start(config).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, app) = (socket.local_addr().unwrap(), handlers(App::new(engine.clone())));
    tokio::spawn(async move { listener::serve(socket, "/wse", &app).await });
    (engine, address)
}

pub(crate) async fn connect(address: SocketAddr) -> Client<TcpStream> {
    let mut client = Client::over(TcpStream::connect(address).await.unwrap()).await;
    client.until("subscription_update").await;
    client
}
