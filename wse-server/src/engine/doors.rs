//! The engine's own doors: listening sockets that its first shard accepts on, for all of them.
use super::Engine;
use crate::{ConnectionId, counters::Counters, listener::Door, shard::Command};
use mio::net::TcpStream;
use std::{net::TcpListener, sync::Arc};

impl Engine {
    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Accepts on a socket, which must not block, until `unlisten`.
    pub(crate) fn listen(&self, listener: TcpListener, door: Door) {
        // A shard ends only with the last handle, and this is one; so in all of these.
        self.0.shards[0].commands.send(Command::Listen { listener, door: Arc::new(door) });
    }

    pub(crate) fn unlisten(&self, door: u64) {
        for shard in &self.0.shards {
            shard.commands.send(Command::Unlisten { door });
        }
    }

    /// Whether a connection is the first shard's, which accepts.
    pub(crate) fn is_first_shards(&self, id: ConnectionId) -> bool {
        self.shard_of(id) == 0
    }

    /// Gives an accepted socket to the shard of its connection to be.
    pub(crate) fn pass_on(&self, id: ConnectionId, socket: TcpStream, door: Arc<Door>) {
        self.command(id, Command::Guest { id, socket, door });
    }
}
