//! The queue of commands to a shard: other threads never wait for it, and what it holds is bounded.
use super::Command;
use crate::{counters::Counters, host::ConnectionId};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};
use tokio::sync::mpsc;

/// Bytes of commands that may wait for a shard, 64 MiB: a turn takes 256 of them, so only a shard that is stalled comes near it.
pub(crate) const WAITING_BYTES: usize = 64 << 20;
/// What a command counts beside its payload.
const COMMAND_BYTES: usize = 256;

/// How other threads reach a shard; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    sender: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// The shard's end.
#[derive(Debug)]
pub(crate) struct CommandReceiver {
    receiver: mpsc::UnboundedReceiver<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    waiting: AtomicUsize,
    /// Connections of which a command had no room; a `GiveUp` of each is on its way, so there is one at most.
    given_up: Mutex<HashSet<ConnectionId>>,
    counters: Arc<Counters>,
}

/// Both ends of a queue that holds about `limit` bytes.
pub(crate) fn commands(limit: usize, counters: Arc<Counters>) -> (Commands, CommandReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared { limit, waiting: AtomicUsize::new(0), given_up: Mutex::default(), counters });
    (Commands { sender, shared: shared.clone() }, CommandReceiver { receiver, shared })
}

impl Commands {
    /// Queues a command. Without room a connection's command closes the connection (1013) instead, since none may be lost of one
    /// that goes on; a question stays without its answer; new connections, which admission has bounded, and the drain enter always.
    pub(crate) fn send(&self, command: Command) {
        match command.subject() {
            Subject::Connection(id) if self.is_full() => {
                self.shared.counters.overloads.fetch_add(1, Relaxed);
                if self.shared.given_up().insert(id) {
                    self.push(Command::GiveUp { id });
                }
            }
            Subject::Question if self.is_full() => drop(command),
            _ => self.push(command),
        }
    }

    /// Whether so much waits that nobody new should come.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.waiting.load(Acquire) >= self.shared.limit
    }

    fn push(&self, command: Command) {
        self.shared.waiting.fetch_add(command.cost(), AcqRel);
        // The shard ends only with the last handle, and the caller has one; a panic there has been reported already.
        let _ = self.sender.send(command);
    }
}

impl CommandReceiver {
    /// Waits for commands and moves up to `max` to the end of `out`; 0 once every sender is gone. Cancel safe.
    pub(crate) async fn recv_many(&mut self, out: &mut Vec<Command>, max: usize) -> usize {
        let before = out.len();
        let taken = self.receiver.recv_many(out, max).await;
        let taken_now = out.get(before..).unwrap_or_default();
        self.shared.waiting.fetch_sub(taken_now.iter().map(Command::cost).sum(), AcqRel);
        for command in taken_now {
            if let Command::GiveUp { id } = command {
                self.shared.given_up().remove(id);
            }
        }
        taken
    }
}

impl Shared {
    fn given_up(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a command concerns.
enum Subject {
    Connection(ConnectionId),
    Question,
    Other,
}

impl Command {
    fn subject(&self) -> Subject {
        match self {
            Self::Welcome { id, .. }
            | Self::Refuse { id, .. }
            | Self::Reply { id, .. }
            | Self::Fail { id, .. }
            | Self::Handled { id, .. }
            | Self::Evict { id, .. }
            | Self::Close { id, .. } => Subject::Connection(*id),
            Self::Topics { .. } | Self::Tally { .. } => Subject::Question,
            _ => Subject::Other,
        }
    }

    fn cost(&self) -> usize {
        COMMAND_BYTES
            + match self {
                Self::Reply { cid, payload, .. } => cid.len() + payload.len(),
                Self::Refuse { error, .. } | Self::Fail { error, .. } => error.message.len(),
                Self::Close { reason, .. } => reason.len(),
                Self::Evict { topic, .. } => topic.as_str().len(),
                _ => 0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;
    use wse_protocol::Format;

    fn reply(id: u64, bytes: usize) -> Command {
        Command::Reply { id: ConnectionId(id), cid: "q".into(), format: Format::Json, payload: vec![b' '; bytes].into() }
    }

    #[tokio::test]
    async fn beyond_its_bound_it_holds_one_word_for_each_connection_and_then_takes_again() {
        let counters = Arc::new(Counters::default());
        let (commands, mut receiver) = commands(10_000, counters.clone());
        let mut sent = 0;
        while !commands.is_full() {
            commands.send(reply(1, 1000));
            sent += 1;
        }
        assert_eq!(sent, 8);
        for _ in 0..100 {
            commands.send(reply(1, 1000));
            commands.send(Command::Handled { id: ConnectionId(2), count: 1 });
        }
        let (answer, tally) = oneshot::channel();
        commands.send(Command::Tally { answer });
        assert!(tally.await.is_err(), "it is not waited for");
        let mut taken = Vec::new();
        receiver.recv_many(&mut taken, 1000).await;
        let given_up: Vec<_> = taken.iter().filter_map(|c| if let Command::GiveUp { id } = c { Some(id.0) } else { None }).collect();
        assert_eq!((taken.len(), given_up, counters.overloads.load(Relaxed)), (sent + 2, vec![1, 2], 200));
        assert_eq!(commands.shared.waiting.load(Relaxed), 0);
        commands.send(reply(1, 1000));
        assert_eq!(receiver.recv_many(&mut taken, 1000).await, 1);
        assert!(matches!(taken.last(), Some(Command::Reply { .. })));
    }
}
