//! How every client's TCP socket is set.
use socket2::SockRef;
use std::io;

/// Bytes that the system may hold for one client beyond what is on its way to it. Without a bound it takes 4 MB for each client that reads
/// slowly (Linux), where nothing can be left out any more, and what is CRITICAL waits behind all of it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES: u32 = 128 * 1024;

/// Sends at once, and leaves what a client does not read to the session's own queues.
pub(super) fn prepare<'a>(socket: impl Into<SockRef<'a>>) -> io::Result<()> {
    let socket = socket.into();
    socket.set_tcp_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "the system bounds what it holds for a client as it likes"); // some sandboxes do not know the option
    }
    Ok(())
}
