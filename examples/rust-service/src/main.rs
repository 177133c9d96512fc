//! A live channel on its own listener: `cargo run -p rust-service -- 127.0.0.1:8000`.
use std::error::Error;
use wse_server::{Engine, listener};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let engine = Engine::start(rust_service::config())?;
    let app = rust_service::app(engine.clone());
    println!("ws://{address}/wse");
    tokio::select! {
        served = listener::listen(address.parse()?, "/wse", &app) => Ok(served?),
        ended = rust_service::ended(&engine) => Ok(ended?),
    }
}
