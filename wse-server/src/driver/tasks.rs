//! The sockets of a shard where no poller can be waited for (not Unix): each is served in a task of its own.
use super::socket::prepare;
use crate::{
    connection::Connection,
    shard::{NewConnection, Shard},
    transport::{Prelude, over_stream},
};
use std::{io, rc::Rc, time::Instant};
use wse_core::Chunk;

/// Nothing but a way in: what the slab does elsewhere, the tasks do here.
#[derive(Debug)]
pub(crate) struct Reactor;

impl Reactor {
    /// Never fails; the slab may.
    #[expect(clippy::unnecessary_wraps, reason = "the slab's signature")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Takes a socket in.
    pub(crate) fn adopt(&mut self, shard: &Rc<Shard>, new: NewConnection, socket: std::net::TcpStream, prelude: Prelude) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        prepare(&socket)?;
        let (read, write) = tokio::net::TcpStream::from_std(socket)?.into_split();
        shard.serve(new, over_stream(read, write, prelude, shard.config.message_bytes));
        Ok(())
    }

    /// Never: every task waits for its own socket.
    pub(crate) async fn ready(&mut self) {
        std::future::pending().await
    }

    /// Nothing waits here.
    pub(crate) fn turn(&mut self, _: &Rc<Shard>) {}

    /// Never: every task writes for itself.
    pub(crate) fn write(&mut self, _: &Connection, _: &Chunk, _: Instant) -> bool {
        false
    }

    /// Nothing waits here.
    pub(crate) fn flush(&mut self, _: &Rc<Shard>, _: Instant) {}
}
