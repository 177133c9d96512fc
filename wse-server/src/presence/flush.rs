//! The task that tells the bus of members: under a lease that it renews, what changed since it last did, topic by topic.
use super::{Presences, Waiting};
use futures_util::{StreamExt, stream};
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
use wse_protocol::{ErrorCode, MemberId, WireError, defaults};
use wse_pubsub::{Bus, BusError, Change, Held, Incarnation};

/// After which a bus that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// Topics that are stored at the same time.
const CALLS: usize = 16;
/// Changes of one call.
const CHANGES: usize = defaults::PRESENCE_ENTRIES as usize;

/// The incarnation under which this process holds its members; none where it has to begin one.
type Lease = watch::Sender<Option<Incarnation>>;

impl Presences {
    /// Runs until it is dropped. Cancel safe at the end of a process alone: what is under way may be stored or not.
    pub(crate) async fn run(self: Arc<Self>, bus: Arc<dyn Bus>) {
        let lease = Lease::new(None);
        tokio::join!(self.keep_lease(&*bus, &lease), self.flush(&*bus, &lease));
    }

    /// Holds a lease, and begins another where it was lost. Others' that have lapsed are removed by the same calls.
    async fn keep_lease(&self, bus: &dyn Bus, lease: &Lease) {
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
    async fn flush(&self, bus: &dyn Bus, lease: &Lease) {
        let mut held = lease.subscribe();
        loop {
            let Some(incarnation) = held.wait_for(Option::is_some).await.ok().and_then(|held| held.clone()) else { return };
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
            stream::iter(batches).for_each_concurrent(CALLS, |batch| self.store(bus, lease, &incarnation, batch)).await;
        }
    }

    fn act_quietly(&self, now: Instant) -> Vec<Batch<Waiting>> {
        let mut registry = self.registry();
        registry.handle_timeout(now);
        registry.take(now)
    }

    async fn store(&self, bus: &dyn Bus, lease: &Lease, incarnation: &Incarnation, batch: Batch<Waiting>) {
        let change = |(member, hold): &(MemberId, Option<wse_core::presence::Hold>)| Change {
            member: member.clone(),
            to: hold.clone().map(|hold| Held { user: hold.user, data: hold.data, at: hold.at }),
        };
        let changes: Vec<_> = batch.changes.iter().map(change).collect();
        let mut refused = HashSet::new();
        for changes in changes.chunks(CHANGES) {
            match bus.change_presence(incarnation, &batch.topic, changes).await {
                Ok(too_many) => refused.extend(too_many),
                Err(error) => return self.failed(lease, incarnation, batch, &error),
            }
            self.counters.presence_stores.fetch_add(1, Relaxed);
        }
        let topic = batch.topic.clone();
        let waiting = self.act(|registry| registry.stored(batch, &refused));
        for (member, waiting) in waiting {
            let is_full = refused.contains(&member);
            // A connection that is gone does not wait any more.
            let _ = waiting.send(if is_full { Err(full(topic.as_str())) } else { Ok(()) });
        }
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

fn full(topic: &str) -> WireError {
    WireError::new(
        ErrorCode::PresenceFull,
        format!("topic {topic:?} has as many members as it may have; watch it, or raise presence_members"),
    )
}

/// Waits for a moment, if there is one.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
