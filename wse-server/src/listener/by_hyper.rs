//! The part of the listener that hyper plays: requests of every kind, and the upgrade as any server of hyper's can call it.
use super::{Stray, stray::Rewound};
use crate::{Admission, Engine, RequestHead, SharedHost, ws::handshake};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, io, net::TcpStream};

/// The longest head of a request, with what its connection has sent beyond it.
const REQUEST_BYTES: usize = 64 * 1024;

/// An HTTP answer of this module.
pub type Answer = Response<Full<Bytes>>;

/// Answers an upgrade request of any hyper-based server (axum's too) and hands its stream to the engine.
///
/// Call it with the request as the server gave it; send what it returns.
pub fn upgrade<B>(engine: &Engine, host: &SharedHost, request: &mut Request<B>) -> Answer {
    let key = match handshake::check(request) {
        Ok(key) => key,
        Err(error) => return error.response(Full::from(error.to_string())),
    };
    let head = RequestHead { headers: request.headers().into(), query: request.uri().query().unwrap_or("") };
    let admission = engine.admit(head);
    if let Some((status, error)) = &admission.refusal {
        return plain(*status, error.message.clone());
    }
    let response = handshake::switching(&key, admission.subprotocol);
    tokio::spawn(adopt(engine.clone(), host.clone(), admission, hyper::upgrade::on(request)));
    response
}

async fn adopt(engine: Engine, host: SharedHost, admission: Admission, upgrade: OnUpgrade) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "an upgrade was not finished"),
    };
    let upgraded = match upgraded.downcast::<TokioIo<Rewound>>() {
        Ok(parts) => {
            let Rewound { read, socket } = parts.io.into_inner();
            return adopt_socket(&engine, host, admission, socket.into_std(), joined(parts.read_buf, read));
        }
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<tokio::net::TcpStream>>() {
        Ok(parts) => adopt_socket(&engine, host, admission, parts.io.into_inner().into_std(), parts.read_buf),
        Err(upgraded) => drop(engine.adopt_any(host, admission, TokioIo::new(upgraded), Bytes::new())),
    }
}

fn adopt_socket(engine: &Engine, host: SharedHost, admission: Admission, socket: io::Result<TcpStream>, leftover: Bytes) {
    match socket {
        Ok(socket) => drop(engine.adopt(host, admission, socket, leftover, None)),
        Err(error) => tracing::warn!(%error, "a socket could not leave its runtime"),
    }
}

/// What hyper read, and what it has not taken of what was read before it.
fn joined(first: Bytes, rest: Bytes) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut both = BytesMut::from(first);
    both.extend_from_slice(&rest);
    both.freeze()
}

/// What answers sockets that do not come in by the slab.
#[derive(Debug)]
pub(super) struct HttpServer {
    pub(super) engine: Engine,
    pub(super) host: SharedHost,
    /// Without a slash at its end.
    pub(super) path: Box<str>,
}

impl HttpServer {
    /// Serves one socket until it ends, or becomes a WebSocket.
    pub(super) async fn serve(&self, stray: Stray) {
        let socket = match stray.rewound() {
            Ok(socket) => socket,
            Err(error) => return tracing::warn!(%error, "a socket could not join its runtime"),
        };
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.engine.config().session.handshake_timeout)
            .max_buf_size(REQUEST_BYTES)
            .serve_connection(TokioIo::new(socket), service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) }))
            .with_upgrades()
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "an HTTP connection failed");
        }
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Answer {
        match request.uri().path().strip_prefix(&*self.path) {
            Some("" | "/") => upgrade(&self.engine, &self.host, &mut request),
            Some("/health") => health(&self.engine).await,
            _ => plain(StatusCode::NOT_FOUND, format!("the WebSocket is at {}", self.path)),
        }
    }
}

async fn health(engine: &Engine) -> Answer {
    let inspection = engine.inspect().await;
    let mut answer = Response::new(Full::from(serde_json::to_vec(&inspection).unwrap_or_default()));
    if inspection.health.is_draining() {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer
}
