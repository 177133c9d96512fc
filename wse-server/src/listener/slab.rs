//! Connections come in by a shard's slab; what is no WebSocket, or none that may come in, is answered by hyper on this runtime.
use super::{Door, Stray, by_hyper::HttpServer};
use crate::{App, Engine};
use std::sync::Arc;
use tokio::{net::TcpListener, sync::mpsc};

/// Ends only when it is dropped.
pub(super) async fn serve(listener: TcpListener, path: &str, app: &App) {
    let (engine, host) = (app.engine().clone(), app.host());
    let server = Arc::new(HttpServer { engine: engine.clone(), host: host.clone(), path: path.into() });
    let (strays, mut turned_away) = mpsc::unbounded_channel::<Stray>();
    let number = engine.number().0;
    let door = Door { number, engine: engine.clone(), host, path: path.into(), strays };
    let _open = Open { engine: engine.clone(), door: number };
    match listener.into_std() {
        Ok(listener) => engine.listen(listener, door),
        Err(error) => tracing::error!(%error, "a listener could not leave its runtime"),
    }
    while let Some(stray) = turned_away.recv().await {
        let server = server.clone();
        tokio::spawn(async move { server.serve(stray).await });
    }
    std::future::pending().await
}

/// While it is there, its door is open.
struct Open {
    engine: Engine,
    door: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.engine.unlisten(self.door);
    }
}
