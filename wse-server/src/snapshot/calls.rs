//! The calls under way: one for all who may share it, so many at a time, each within its time.
use super::{State, call::Said};
use crate::{ConnectionId, SnapshotConfig, counters::Counters};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};
use wse_protocol::{ErrorCode, Position, Topic, WireError};

/// Who may share a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Everyone,
    User(Arc<str>),
    Connection(ConnectionId),
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) topic: Topic,
    pub(super) whose: Whose,
}

/// Why there is no state.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Whoever was asked went away: somebody else may be asked.
    Gone,
    /// The application's word, or the end of its time.
    Failed(WireError),
}

type Answer = Result<Arc<State>, Failure>;
type Answering = BoxFuture<'static, Answer>;

/// A call, for one of those who wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Read before the call: the state is at least as new.
    pub(crate) position: Position,
    pub(crate) answer: Shared<Answering>,
}

#[derive(Debug)]
struct Open {
    position: Position,
    answer: WeakShared<Answering>,
    number: u64,
}

/// The calls of one engine. A call ends with the last who waits for it.
#[derive(Debug)]
pub(super) struct Calls {
    open: Arc<Mutex<OpenCalls>>,
    turns: Arc<Semaphore>,
    limit: Duration,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct OpenCalls {
    calls: HashMap<Key, Open>,
    numbered: u64,
}

impl Calls {
    pub(super) fn new(config: SnapshotConfig, counters: Arc<Counters>) -> Self {
        Self { open: Arc::default(), turns: Arc::new(Semaphore::new(config.calls.max(1))), limit: config.timeout, counters }
    }

    /// Joins the call under way if it began at `least` or later, or begins one at `now_at`, or `least` if that is later.
    pub(super) fn join(
        &self,
        key: Key,
        now_at: &Position,
        least: Option<&Position>,
        ask: impl FnOnce(oneshot::Sender<Said>) + Send + 'static,
    ) -> Call {
        // Dropped after the lock: it may be the last who waits, and the call leaves the table with it.
        let known;
        let mut open = lock(&self.open);
        known = open.calls.get(&key).and_then(|known| Some((known.position.clone(), known.answer.upgrade()?)));
        if let Some((position, answer)) = &known
            && answer.peek().is_none()
            && position.epoch == now_at.epoch
            && least.is_none_or(|least| least.epoch == position.epoch && least.seq <= position.seq)
        {
            self.counters.snapshots_shared.fetch_add(1, Relaxed);
            return Call { position: position.clone(), answer: answer.clone() };
        }
        let position = least.filter(|least| least.epoch == now_at.epoch && least.seq > now_at.seq).unwrap_or(now_at).clone();
        open.numbered += 1;
        let number = open.numbered;
        let answer = self.begin(key.clone(), number, position.clone(), ask).boxed().shared();
        if let Some(weak) = answer.downgrade() {
            open.calls.insert(key, Open { position: position.clone(), answer: weak, number });
        }
        Call { position, answer }
    }

    fn begin(
        &self,
        key: Key,
        number: u64,
        position: Position,
        ask: impl FnOnce(oneshot::Sender<Said>) + Send + 'static,
    ) -> impl Future<Output = Answer> + Send + 'static {
        let (turns, limit) = (self.turns.clone(), self.limit);
        // Whoever waits may go away at any moment, and the call with the last of them.
        let entry = Entry { open: self.open.clone(), key, number };
        async move {
            let asked = async {
                let _turn = turns.acquire().await;
                let (answer, said) = oneshot::channel();
                ask(answer);
                said.await
            };
            let said = timeout(limit, asked).await;
            let topic = &entry.key.topic;
            match said {
                Ok(Ok(Ok((format, state)))) => Ok(Arc::new(State::new(topic.clone(), position, format, state))),
                Ok(Ok(Err(message))) => Err(failed(&message)),
                Ok(Err(_)) => Err(Failure::Gone),
                Err(_) => {
                    tracing::error!(%topic, ?limit, "a snapshot did not come in time");
                    Err(failed(&format!("the snapshot did not come within {} ms", limit.as_millis())))
                }
            }
        }
    }
}

/// A call's place in the table, which it leaves when it ends, however that is.
struct Entry {
    open: Arc<Mutex<OpenCalls>>,
    key: Key,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if open.calls.get(&self.key).is_some_and(|open| open.number == self.number) {
            open.calls.remove(&self.key);
        }
    }
}

fn failed(message: &str) -> Failure {
    Failure::Failed(WireError::new(ErrorCode::SnapshotFailed, message))
}

fn lock(open: &Mutex<OpenCalls>) -> MutexGuard<'_, OpenCalls> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
