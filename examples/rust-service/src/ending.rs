//! The end of the service: its clients go before the process does.
use std::{io, time::Duration};
use wse_server::{Engine, EngineConfig};

/// Waits for SIGTERM or Ctrl-C, and then for the clients: where other processes serve on the same Redis they move there, alone they
/// are closed and told to return soon. Meanwhile new ones are refused, so the listener stays. A second signal hurries whoever still moves.
///
/// # Errors
/// The system does not give signals.
pub async fn ended(engine: &Engine) -> io::Result<()> {
    asked_to_end().await?;
    let &EngineConfig { drain_window, drain_timeout, .. } = engine.config();
    tokio::select! {
        () = engine.drain(drain_window, drain_timeout) => {}
        again = asked_to_end() => {
            again?;
            engine.drain(Duration::ZERO, drain_timeout).await;
        }
    }
    engine.close_bus().await;
    Ok(())
}

#[cfg(unix)]
async fn asked_to_end() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(not(unix))]
async fn asked_to_end() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
