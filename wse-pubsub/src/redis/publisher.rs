//! Publishing: one topic's messages per script call, again until the deadline, without storing any twice.
use super::{Core, link, reader, record};
use crate::{BusError, NewEntry, Receipt, random::random_share};
use futures_util::{StreamExt, stream};
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::{collections::HashMap, sync::atomic::Ordering::Relaxed};
use tokio::time::{Instant, sleep, timeout_at};
use wse_core::Backoff;
use wse_protocol::Topic;

/// Messages per script call: as many as one call trims.
const RUN: usize = 64;
/// Bytes per script call after which no further message is added.
const RUN_BYTES: usize = 256 * 1024;
/// Topics of one batch that are on their way at the same time.
const TOPICS: usize = 32;

/// Messages of one topic, and where each stood in the batch.
type Lane = (Vec<usize>, Vec<NewEntry>);

impl Core {
    /// Stores each topic's messages in their order, several per call; the outcomes stand in the batch's order.
    pub(super) async fn publish_many(&self, batch: Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        let mut outcomes: Vec<_> = batch.iter().map(|_| Err(BusError::Closed)).collect();
        let lanes = lanes(batch).into_iter().map(|lane| self.publish_lane(lane));
        let mut done = stream::iter(lanes).buffer_unordered(TOPICS);
        while let Some(lane) = done.next().await {
            for (at, outcome) in lane {
                outcomes[at] = outcome;
            }
        }
        outcomes
    }

    async fn publish_lane(&self, (places, entries): Lane) -> Vec<(usize, Result<Receipt, BusError>)> {
        let (mut outcomes, mut rest) = (Vec::with_capacity(entries.len()), &entries[..]);
        while !rest.is_empty() {
            let (run, later) = rest.split_at(run_length(rest));
            match self.publish(run).await {
                Ok(receipts) => outcomes.extend(receipts.into_iter().map(Ok)),
                // Later ones are not tried: they would stand before these, should these be tried again.
                Err(error) => {
                    outcomes.extend(rest.iter().map(|_| Err(error.clone())));
                    break;
                }
            }
            rest = later;
        }
        places.into_iter().zip(outcomes).collect()
    }

    /// Stores messages of one topic, at least one, in one step.
    pub(super) async fn publish(&self, run: &[NewEntry]) -> Result<Vec<Receipt>, BusError> {
        self.guard.admit().map_err(|why| self.unavailable(&why))?;
        let outcome = self.publish_by_deadline(run).await;
        self.guard.report(!matches!(outcome, Err(BusError::Unavailable { .. })));
        outcome
    }

    /// Tries again until the publish timeout.
    async fn publish_by_deadline(&self, run: &[NewEntry]) -> Result<Vec<Receipt>, BusError> {
        let Some(NewEntry { topic, .. }) = run.first() else { return Ok(Vec::new()) };
        let deadline = Instant::now() + self.config.publish_timeout;
        let call = self.scripts.new_call(topic);
        let mut backoff = Backoff::new(self.config.retries());
        loop {
            self.open()?;
            let error = match self.publish_once(topic, run, &call, deadline).await {
                Ok(texts) => return self.receipts(run, &texts).ok_or_else(|| strange(topic)),
                Err(error) if passes(&error) => error,
                Err(error) => return Err(reader::failure(&self.config.url, topic.as_str(), &error)),
            };
            let wait = backoff.next(random_share());
            if Instant::now() + wait >= deadline {
                return Err(self.unavailable(&error));
            }
            sleep(wait).await;
        }
    }

    async fn publish_once(&self, topic: &Topic, run: &[NewEntry], call: &str, deadline: Instant) -> Result<Vec<String>, RedisError> {
        let node = timeout_at(deadline, self.link.node()).await.map_err(|_| link::late())??;
        let answer = timeout_at(deadline, self.scripts.publish(&node, topic, run, call)).await;
        let outcome = answer.unwrap_or_else(|_| Err(link::late()));
        if outcome.as_ref().is_err_and(passes) {
            self.link.discard(&node).await;
        }
        outcome
    }

    fn receipts(&self, run: &[NewEntry], texts: &[String]) -> Option<Vec<Receipt>> {
        let whole = run.len() == texts.len();
        let receipts = run.iter().zip(texts).map(|(entry, text)| record::decode_receipt(text, &entry.publication.id));
        let receipts: Vec<_> = receipts.collect::<Option<_>>().filter(|_| whole)?;
        let repeated = run.iter().zip(&receipts).filter(|(entry, receipt)| entry.publication.id != receipt.id).count();
        self.retries_answered.fetch_add(repeated as u64, Relaxed);
        Some(receipts)
    }
}

/// A batch by topic.
fn lanes(batch: Vec<NewEntry>) -> Vec<Lane> {
    let (mut lanes, mut of) = (Vec::<Lane>::new(), HashMap::new());
    for (place, entry) in batch.into_iter().enumerate() {
        let at = *of.entry(entry.topic.clone()).or_insert(lanes.len());
        if at == lanes.len() {
            lanes.push(Lane::default());
        }
        lanes[at].0.push(place);
        lanes[at].1.push(entry);
    }
    lanes
}

/// How many messages go into the next call: at least one.
fn run_length(entries: &[NewEntry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&NewEntry| {
        let before = bytes;
        bytes += entry.publication.cost();
        before < RUN_BYTES
    };
    entries.iter().take(RUN).take_while(fits).count()
}

pub(super) fn strange(topic: &Topic) -> BusError {
    BusError::Corrupt { topic: topic.as_str().into(), why: "it answers what this version does not know".into() }
}

/// Whether a failure may pass: the network's, or a node that is not (or no longer) the one to ask.
pub(super) fn passes(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    match error.kind() {
        ErrorKind::Io => true,
        ErrorKind::Server(kind) => matches!(kind, BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain),
        _ => error.is_unrecoverable_error(),
    }
}
