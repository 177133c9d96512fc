//! What moves frames between sessions and peers: the shard's slab for plain sockets, a task for everything else.
#[cfg(unix)]
mod entrance;
#[cfg(unix)]
mod guest;
mod outlet;
#[cfg(unix)]
mod peer;
#[cfg(unix)]
mod reactor;
mod socket;
pub(crate) mod task;
#[cfg(not(unix))]
mod tasks;
#[cfg(unix)]
mod timers;

pub(crate) use outlet::Sockets;
#[cfg(unix)]
pub(crate) use reactor::Reactor;
#[cfg(not(unix))]
pub(crate) use tasks::Reactor;
