//! The task that tells the bus of members: under a lease that it renews, what changed since it last did, topic by topic.
use super::{Presences, Waiting, full};
use crate::host::ConnectionId;
use futures_util::{TryStreamExt, stream};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};
use wse_core::presence::Batch;
use wse_protocol::{MemberId, Topic, defaults};
use wse_pubsub::{Bus, BusError, Change, Held, Incarnation};

/// After which a bus that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// Topics that are stored at the same time.
const CALLS: usize = 16;
/// Changes of one call.
const CHANGES: usize = defaults::PRESENCE_ENTRIES as usize;

/// The incarnation under which this process holds its members; none where it has to begin one.
type Lease = watch::Sender<Option<Incarnation>>;

/// Tells a connection, wherever it is, that it is not in a topic any more.
pub(crate) type Evict = Box<dyn Fn(ConnectionId, &Topic) + Send + Sync>;

/// What the task deals with.
struct Ties {
    bus: Arc<dyn Bus>,
    lease: Lease,
    evict: Evict,
}

/// The bus is closed: nothing will be stored any more.
#[derive(Debug)]
struct Closed;

impl Presences {
    /// Runs until the bus is closed, or it is dropped. Cancel safe at the end of a process alone: what is under way may be stored or not.
    pub(crate) async fn run(self: Arc<Self>, bus: Arc<dyn Bus>, evict: Evict) {
        let ties = Ties { bus, lease: Lease::new(None), evict };
        tokio::select! {
            Closed = self.keep_lease(&ties) => {}
            Closed = self.flush(&ties) => {}
        }
    }

    /// Holds a lease, and begins another where it was lost. Others' that have lapsed are removed by the same calls.
    async fn keep_lease(&self, Ties { bus, lease, .. }: &Ties) -> Closed {
        let (every, mut lost) = (bus.presence_limits().lease / 3, lease.subscribe());
        loop {
            let held = lease.borrow().clone();
            let kept = match &held {
                Some(incarnation) => bus.renew_presence(incarnation).await,
                None => bus.begin_presence().await.map(|incarnation| self.begin(lease, incarnation)),
            };
            match kept {
                Ok(true) => {
                    tokio::select! {
                        () = sleep(every) => {}
                        _ = lost.wait_for(Option::is_none) => {}
                    }
                }
                Ok(false) => self.lose(lease, held.as_ref()),
                Err(BusError::Closed) => return Closed,
                Err(error) => {
                    tracing::debug!(%error, "the lease of members could not be renewed; again soon");
                    sleep(AGAIN).await;
                }
            }
        }
    }

    fn begin(&self, lease: &Lease, incarnation: Incarnation) -> bool {
        self.act(|registry| registry.begin_again());
        lease.send_replace(Some(incarnation));
        true
    }

    /// Others were told that the members of an incarnation have left.
    fn lose(&self, lease: &Lease, lost: Option<&Incarnation>) {
        let is_news = lease.send_if_modified(|held| held.is_some() && held.as_ref() == lost && held.take().is_some());
        if is_news {
            tracing::warn!("this process was not heard of for too long: its members were told to have left, and come again");
            self.counters.presence_lapses.fetch_add(1, Relaxed);
        }
    }

    /// Stores what there is to store when it is due.
    async fn flush(&self, ties: &Ties) -> Closed {
        let mut held = ties.lease.subscribe();
        loop {
            let Some(incarnation) = held.wait_for(Option::is_some).await.ok().and_then(|held| held.clone()) else { return Closed };
            let now = Instant::now();
            let batches = self.act_quietly(now);
            if batches.is_empty() {
                let due = self.registry().poll_timeout(now);
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = at(due) => {}
                }
                continue;
            }
            let stored = stream::iter(batches.into_iter().map(Ok));
            if let Err(closed) = stored.try_for_each_concurrent(CALLS, |batch| self.store(ties, &incarnation, batch)).await {
                return closed;
            }
        }
    }

    fn act_quietly(&self, now: Instant) -> Vec<Batch<Waiting>> {
        let mut registry = self.registry();
        registry.handle_timeout(now);
        registry.take(now)
    }

    async fn store(&self, ties: &Ties, incarnation: &Incarnation, batch: Batch<Waiting>) -> Result<(), Closed> {
        let change = |(member, hold): &(MemberId, Option<wse_core::presence::Hold>)| Change {
            member: member.clone(),
            to: hold.clone().map(|hold| Held { user: hold.user, data: hold.data, at: hold.at }),
        };
        let changes: Vec<_> = batch.changes.iter().map(change).collect();
        let mut refused = HashSet::new();
        for changes in changes.chunks(CHANGES) {
            match ties.bus.change_presence(incarnation, &batch.topic, changes).await {
                Ok(too_many) => refused.extend(too_many),
                Err(BusError::Closed) => return Err(Closed),
                Err(error) => {
                    self.failed(&ties.lease, incarnation, batch, &error);
                    return Ok(());
                }
            }
            self.counters.presence_stores.fetch_add(1, Relaxed);
        }
        let topic = batch.topic.clone();
        let stored = self.act(|registry| registry.stored(batch, &refused));
        for (waiting, is_refused) in stored.answers {
            // A connection that is gone does not wait any more.
            let _ = waiting.send(if is_refused { Err(full(&topic)) } else { Ok(()) });
        }
        for connection in stored.evicted {
            (ties.evict)(ConnectionId(connection), &topic);
        }
        Ok(())
    }

    fn failed(&self, lease: &Lease, incarnation: &Incarnation, batch: Batch<Waiting>, error: &BusError) {
        let now = Instant::now();
        let again = if matches!(error, BusError::Lapsed) {
            self.lose(lease, Some(incarnation));
            now
        } else {
            tracing::warn!(%error, topic = %batch.topic, "who is in a topic could not be stored; again soon");
            self.counters.presence_failures.fetch_add(1, Relaxed);
            now + AGAIN
        };
        self.act(|registry| registry.failed(batch, again));
    }
}

/// Waits for a moment, if there is one.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
