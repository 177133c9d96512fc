//! The bare engine: fastwebsockets over tokio, a broadcast channel, and per connection all that has come in one `writev`.
//! What one gets from the libraries without an engine of one's own: no rules, no positions, no bounds beyond the channel's.
use bytes::Bytes;
use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, Role, WebSocketError, after_handshake_split};
use http_body_util::Empty;
use hyper::{Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{Mutex, broadcast},
};
use wse_bench::{
    Doing, Result,
    control::{Publish, READY, drive},
    handshake, scan, stamp,
};

/// Messages that a connection may lag behind.
const CHANNEL: usize = 32 << 10;
/// Messages in one `writev`, at most; the kernel takes 1,024 pieces.
const BATCH: usize = 512;

#[derive(Clone)]
struct Shared {
    messages: broadcast::Sender<Bytes>,
    handled: Arc<AtomicU64>,
}

type Writer = Arc<Mutex<OwnedWriteHalf>>;

impl Publish for Shared {
    async fn publish(&mut self, messages: Vec<Bytes>) {
        for message in messages {
            // Fails only while there are no subscribers.
            let _ = self.messages.send(framed(1, &message).into());
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let port = wse_bench::cli::port()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.doing("listen")?;
    wse_bench::machine::raise_descriptors();
    let mut shared = Shared { messages: broadcast::Sender::new(CHANNEL), handled: Arc::default() };
    let (handled, serving) = (shared.handled.clone(), shared.clone());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, serving.clone()));
        }
    });
    drive(&mut shared, handled).await
}

async fn serve(socket: TcpStream, shared: Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let service = service_fn(move |request| {
        let response = upgrade(request, shared.clone());
        async move { Ok::<_, Infallible>(response) }
    });
    // An HTTP error ends the connection, which is all that there is to do about it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).with_upgrades().await;
    Ok(())
}

fn upgrade(mut request: Request<Incoming>, shared: Shared) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let Ok(accept) = handshake::accept(key).parse() else { return response };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    tokio::spawn(open(hyper::upgrade::on(&mut request), shared));
    response
}

async fn open(upgrade: OnUpgrade, shared: Shared) {
    let Ok(Ok(parts)) = upgrade.await.map(|upgraded| upgraded.downcast::<TokioIo<TcpStream>>()) else { return };
    let (read, mut write) = parts.io.into_inner().into_split();
    let messages = shared.messages.subscribe();
    if write.write_all(&framed(1, READY.as_bytes())).await.is_err() {
        return;
    }
    let writer = Arc::new(Mutex::new(write));
    let broadcast = tokio::spawn(forward(messages, writer.clone()));
    // However the client ended, its tasks end.
    let _ = receive(read, writer, &shared.handled).await;
    broadcast.abort();
}

/// Writes all that has come at once, again and again.
async fn forward(mut messages: broadcast::Receiver<Bytes>, writer: Writer) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        match messages.recv().await {
            Ok(message) => batch.push(message),
            // A hole, which the load reports.
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
        while batch.len() < BATCH {
            let Ok(message) = messages.try_recv() else { break };
            batch.push(message);
        }
        let slices: Vec<_> = batch.iter().map(|frame| IoSlice::new(frame)).collect();
        write_all(&mut *writer.lock().await, slices).await?;
        batch.clear();
    }
}

async fn write_all(writer: &mut OwnedWriteHalf, mut slices: Vec<IoSlice<'_>>) -> io::Result<()> {
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let written = writer.write_vectored(rest).await?;
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

async fn receive(read: OwnedReadHalf, writer: Writer, handled: &AtomicU64) -> std::result::Result<(), WebSocketError> {
    // The write half is used by itself: this one only carries what fastwebsockets would answer by itself, which it hands out.
    let (mut read, _) = after_handshake_split(read, tokio::io::sink(), Role::Server);
    read.set_auto_pong(false);
    read.set_auto_close(false);
    let mut read = FragmentCollectorRead::new(read);
    loop {
        let Frame { opcode, payload, .. } = read.read_frame(&mut |_| async { Ok::<_, WebSocketError>(()) }).await?;
        let answer = match opcode {
            OpCode::Close => framed(8, &payload[..payload.len().min(2)]),
            OpCode::Ping => framed(10, &payload),
            OpCode::Text | OpCode::Binary if payload.get(1..3) == Some(stamp::MARK) => framed(1, &payload),
            OpCode::Text | OpCode::Binary => {
                handled.fetch_add(1, Relaxed);
                continue;
            }
            _ => continue,
        };
        writer.lock().await.write_all(&answer).await?;
        if opcode == OpCode::Close {
            return Ok(());
        }
    }
}

fn framed(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    scan::push_server_frame(&mut frame, opcode, payload);
    frame
}
