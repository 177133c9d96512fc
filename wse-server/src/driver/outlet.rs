//! The reactor, as the hub of its shard writes through it.
use super::Reactor;
use crate::{connection::Connection, hub::Outlet, shard::Shard};
use std::{rc::Rc, time::Instant};
use wse_core::Chunk;

/// Sockets that the hub's frames go to as it comes to their subscribers.
pub(crate) struct Sockets<'a> {
    pub(crate) reactor: &'a mut Reactor,
    pub(crate) shard: &'a Rc<Shard>,
}

impl Outlet for Sockets<'_> {
    fn write(&mut self, connection: &Connection, chunk: &Chunk, now: Instant) -> bool {
        self.reactor.write(connection, chunk, now)
    }

    fn flush(&mut self, now: Instant) {
        self.reactor.flush(self.shard, now);
    }
}
