//! What moves frames between sessions and peers: the shard's slab for plain sockets, a task for everything else.
#[cfg(unix)]
pub(crate) mod peer;
#[cfg(unix)]
pub(crate) mod reactor;
pub(crate) mod task;
#[cfg(unix)]
mod timers;
