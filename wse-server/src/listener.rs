//! The engine's own HTTP/1.1 listener, and the upgrade for services that have a hyper or axum server already.
use crate::{Admission, App, Engine, RequestHead, SharedHost, ws::handshake};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// How long after a failed `accept` (no descriptors left, mostly) the next is tried.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An HTTP answer of this module.
pub type Answer = Response<Full<Bytes>>;

/// Serves an application on a listening socket: WebSockets at `path`, `GET {path}/health`, and 404 elsewhere. Ends only when
/// it is dropped.
pub async fn serve(listener: TcpListener, path: &str, app: &App) {
    let (engine, host) = (app.engine().clone(), app.host());
    let path: std::sync::Arc<str> = path.trim_end_matches('/').into();
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let (engine, host, path) = (engine.clone(), host.clone(), path.clone());
                tokio::spawn(async move { serve_socket(socket, &path, engine, host).await });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Binds an address and serves there; see [`serve`].
///
/// # Errors
/// The address cannot be bound: the text names it.
pub async fn listen(address: SocketAddr, path: &str, app: &App) -> io::Result<()> {
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|e| io::Error::new(e.kind(), format!("{address} cannot be listened on: {e}")))?;
    serve(listener, path, app).await;
    Ok(())
}

/// Answers an upgrade request of any hyper-based server (axum's too) and hands its stream to the engine.
///
/// Call it with the request as the server gave it; send what it returns.
pub fn upgrade<B>(engine: &Engine, host: &SharedHost, request: &mut Request<B>) -> Answer {
    let key = match handshake::check(request) {
        Ok(key) => key,
        Err(error) => return error.response(Full::from(error.to_string())),
    };
    let head = RequestHead { headers: request.headers(), query: request.uri().query().unwrap_or("") };
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
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => match parts.io.into_inner().into_std() {
            Ok(socket) => drop(engine.adopt(host, admission, socket, parts.read_buf, None)),
            Err(error) => tracing::warn!(%error, "a socket could not leave its runtime"),
        },
        Err(upgraded) => drop(engine.adopt_any(host, admission, TokioIo::new(upgraded), Bytes::new())),
    }
}

async fn serve_socket(socket: TcpStream, path: &str, engine: Engine, host: SharedHost) {
    let answer = |mut request: Request<Incoming>| {
        let asks_health = request.uri().path().strip_prefix(path) == Some("/health");
        let answer = (!asks_health).then(|| route(path, &engine, &host, &mut request));
        let engine = engine.clone();
        async move {
            Ok::<_, std::convert::Infallible>(match answer {
                Some(answer) => answer,
                None => health(&engine).await,
            })
        }
    };
    let served = http1::Builder::new()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(Duration::from_millis(wse_protocol::defaults::HANDSHAKE_TIMEOUT_MS))
        .serve_connection(TokioIo::new(socket), service_fn(answer))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection failed");
    }
}

fn route(path: &str, engine: &Engine, host: &SharedHost, request: &mut Request<Incoming>) -> Answer {
    match request.uri().path().strip_prefix(path) {
        Some("" | "/") => upgrade(engine, host, request),
        _ => plain(StatusCode::NOT_FOUND, format!("the WebSocket is at {path}")),
    }
}

async fn health(engine: &Engine) -> Answer {
    let body = serde_json::to_vec(&engine.inspect().await).unwrap_or_default();
    let mut answer = Response::new(Full::from(body));
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer
}
