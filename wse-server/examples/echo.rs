//! A raw echo over the engine's own frame layer, for conformance tests: `echo 127.0.0.1:9001`. Any path, messages to 16 MiB.
use std::{convert::Infallible, error::Error, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming as Body, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, net::TcpListener, net::TcpStream};
use wse_protocol::frame;
use wse_server::ws::{CloseFrame, Incoming, Limits, Reader, WsError, handshake, linger};

const MESSAGE_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: echo HOST:PORT")?;
    let listener = TcpListener::bind(&address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(serve(socket));
    }
}

async fn serve(socket: TcpStream) {
    let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(upgrade));
    if let Err(error) = connection.with_upgrades().await {
        eprintln!("http: {error}");
    }
}

async fn upgrade(mut request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let key = match handshake::check(&request) {
        Ok(key) => key,
        Err(error) => return Ok(error.response(Full::from(error.to_string()))),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgraded.await.map(hyper::upgrade::Upgraded::downcast::<TokioIo<TcpStream>>) {
            Ok(Ok(parts)) => {
                if let Err(error) = echo(parts.io.into_inner(), parts.read_buf).await {
                    eprintln!("socket: {error}");
                }
            }
            _ => eprintln!("the connection ended before it was a WebSocket"),
        }
    });
    Ok(handshake::switching(&key, None))
}

async fn echo(mut socket: TcpStream, leftover: Bytes) -> io::Result<()> {
    let (mut read, mut write) = socket.split();
    let mut reader = Reader::new(&mut read, leftover, Limits::default().message_bytes(MESSAGE_BYTES));
    loop {
        let incoming = reader.next().await;
        let last = !matches!(incoming, Ok(Incoming::Text(_) | Incoming::Binary(_) | Incoming::Ping(_) | Incoming::Pong(_)));
        if let Some(answer) = answer(incoming) {
            write.write_all(&answer).await?;
        }
        if last {
            break;
        }
    }
    linger(&mut read, &mut write, LINGER).await
}

/// The frame that answers; none to a pong, and none when nobody is there to read it.
fn answer(incoming: Result<Incoming, WsError>) -> Option<Bytes> {
    Some(match incoming {
        Ok(Incoming::Text(text)) => frame::text(text),
        Ok(Incoming::Binary(bytes)) => frame::binary(bytes),
        Ok(Incoming::Ping(payload)) => frame::pong(payload),
        Ok(Incoming::Pong(_)) => return None,
        Ok(Incoming::Close(None)) => frame::close_without_code(),
        Ok(Incoming::Close(Some(CloseFrame { code, .. }))) => frame::close(code, ""),
        Err(error) => frame::close(error.close_code()?, &error.to_string()),
    })
}
