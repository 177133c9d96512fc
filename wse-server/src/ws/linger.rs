//! The end of a connection, such that the close frame arrives.
use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Ends the writing side and discards what the peer still sends, until it ends too or `limit` has passed.
///
/// A socket that is dropped with unread bytes makes the kernel send RST, and RST may overtake the close frame (RFC 6455, section 7.1.1).
///
/// # Errors
/// What the stream reports; the connection is over in any case. That `limit` has passed is none.
///
/// # Cancel safety
/// May be dropped at any time; what is lost is the waiting.
pub async fn linger<R, W>(read: &mut R, write: &mut W, limit: Duration) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    timeout(limit, end(read, write)).await.unwrap_or(Ok(()))
}

async fn end<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(read: &mut R, write: &mut W) -> io::Result<()> {
    write.shutdown().await?;
    let mut waste = [0; 4096];
    while read.read(&mut waste).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    #[tokio::test(flavor = "current_thread")]
    async fn what_was_written_arrives_though_the_peer_is_still_sending() -> io::Result<()> {
        let (mut peer, ours) = duplex(64);
        let (mut read, mut write) = tokio::io::split(ours);
        write.write_all(b"last words").await?;
        let peer = async {
            peer.write_all(&[0; 10_000]).await?;
            let mut heard = String::new();
            peer.read_to_string(&mut heard).await?;
            peer.shutdown().await?;
            io::Result::Ok(heard)
        };
        let (ended, heard) = tokio::join!(linger(&mut read, &mut write, Duration::from_secs(5)), peer);
        ended?;
        assert_eq!(heard?, "last words");
        Ok(())
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_peer_that_stays_is_left_after_the_limit() -> io::Result<()> {
        let (_peer, ours) = duplex(64);
        let (mut read, mut write) = tokio::io::split(ours);
        linger(&mut read, &mut write, Duration::from_secs(1)).await
    }
}
