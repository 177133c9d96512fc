//! The same service mounted in an axum router: `cargo run -p rust-service --bin mounted -- 127.0.0.1:8000`.
use axum::{Json, Router, body::Body, extract::Request, http::StatusCode, routing::get};
use std::error::Error;
use wse_server::{Engine, Inspection, listener};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let engine = Engine::start(rust_service::config())?;
    let host = rust_service::app(engine.clone()).host();
    let (health, ending) = (engine.clone(), engine.clone());
    let router = Router::new()
        .route("/", get(|| async { "the page of the service" }))
        .route("/wse/health", get(|| async move { report(health.inspect().await) }))
        .route("/wse", get(move |mut request: Request| async move { listener::upgrade(&engine, &host, &mut request).map(Body::new) }));
    let socket = tokio::net::TcpListener::bind(&address).await?;
    println!("ws://{address}/wse");
    tokio::select! {
        served = axum::serve(socket, router).into_future() => Ok(served?),
        ended = rust_service::ended(&ending) => Ok(ended?),
    }
}

/// 503 once clients are sent away, so that a proxy brings no more.
fn report(inspection: Inspection) -> (StatusCode, Json<Inspection>) {
    let status = if inspection.health.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(inspection))
}
