//! Where there is no slab, hyper answers every request.
use super::{Stray, by_hyper::HttpServer};
use crate::App;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// How long after a failed `accept` (no descriptors left, mostly) the next is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Ends only when it is dropped.
pub(super) async fn serve(listener: TcpListener, path: &str, app: &App) {
    let server = Arc::new(HttpServer { engine: app.engine().clone(), host: app.host(), path: path.into() });
    loop {
        match listener.accept().await.and_then(|(socket, _)| socket.into_std()) {
            Ok(socket) => {
                let server = server.clone();
                tokio::spawn(async move { server.serve(Stray { socket, read: Bytes::new() }).await });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
