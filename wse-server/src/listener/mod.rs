//! The engine's own HTTP/1.1 listener, and the upgrade for services that have a hyper or axum server already.
//!
//! ```text
//! accept (a shard) -> the request's bytes -> Door: a WebSocket that may come in -> 101, hello and all in one write
//!                                            anything else, refusals too         -> hyper
//! ```
mod by_hyper;
#[cfg(unix)]
mod door;
#[cfg(not(unix))]
mod plain;
#[cfg(unix)]
mod slab;
mod stray;

pub use by_hyper::{Answer, upgrade};
#[cfg(unix)]
pub(crate) use door::{Door, Judged};
#[cfg(not(unix))]
use plain as way_in;
#[cfg(unix)]
use slab as way_in;
pub(crate) use stray::Stray;

use crate::App;
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// Serves an application on a listening socket: WebSockets at `path`, `GET {path}/health`, and 404 elsewhere. Ends only when
/// it is dropped.
pub async fn serve(listener: TcpListener, path: &str, app: &App) {
    app.engine().serve();
    way_in::serve(listener, path.trim_end_matches('/'), app).await;
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
