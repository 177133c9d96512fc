//! The bus of many processes: every topic's log in one Redis server.
mod address;
mod config;
mod guard;
mod interest;
mod keys;
mod link;
mod listener;
mod pulse;
mod reader;
mod record;
mod scripts;
mod track;

pub use config::RedisConfig;

use crate::{
    Births, Bus, BusError, BusHealth, Consumer, Entry, EventReceiver, Following, History, NewEntry, Receipt,
    handover::handovers,
    random::{random_share, random_u64},
};
use guard::Guard;
use interest::Interests;
use link::Link;
use pulse::Pulse;
use reader::Reader;
use redis::{Client, ErrorKind, RedisError, ServerErrorKind};
use scripts::Scripts;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use wse_core::{Backoff, BackoffConfig};
use wse_protocol::{Pattern, Position, Publication, Topic};

/// Tasks that read logs at the same time.
const FILLERS: usize = 4;
/// Between the tries of one publish: short, since its caller waits.
const RETRIES: BackoffConfig =
    BackoffConfig { base: Duration::from_millis(200), cap: Duration::from_millis(400), full_after: u32::MAX, restart_tries: 0 };
/// Entries that one read of `history` asks for.
const HISTORY_CHUNK: usize = 1024;

/// A bus over one Redis server (6.2 or later), shared by every process that connects to it.
///
/// One script stores a message, numbers it and rings the topic's bell (a pub/sub channel). Every process checks that what
/// the bells bring is contiguous and reads the log for what they did not bring, so a lost connection loses nothing that the
/// log still holds. Dropping it ends its tasks.
#[derive(Debug)]
pub struct RedisBus {
    core: Arc<Core>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the bus and its tasks share.
#[derive(Debug)]
pub(crate) struct Core {
    config: RedisConfig,
    client: Client,
    scripts: Arc<Scripts>,
    link: Link,
    reader: Reader,
    interests: Interests,
    pulse: Pulse,
    guard: Guard,
    canary: String,
    closed: AtomicBool,
}

impl RedisBus {
    /// Connects, for 1 to 64 consumers, of which the first is `Consumer(0)`; call it within a tokio runtime, which then runs the
    /// bus's tasks.
    ///
    /// # Errors
    /// [`BusError::Address`] for an address that cannot be used or credentials that are refused, [`BusError::Unavailable`]
    /// when nothing answers within the connect timeout (2 s).
    pub async fn connect(config: RedisConfig, consumers: usize) -> Result<(Self, Vec<EventReceiver>), BusError> {
        let client = address::client(&config.url)?;
        let scripts = Arc::new(Scripts::new(&config));
        let suspected = Arc::default();
        let (queues, receivers) = handovers(consumers, config.handover_bytes, &suspected);
        let core = Arc::new(Core {
            link: Link::new(client.clone(), config.connect_timeout),
            reader: Reader::new(&client, scripts.clone(), &config)?,
            interests: Interests::new(queues, suspected),
            pulse: Pulse::new(),
            guard: Guard::new(config.breaker),
            canary: scripts.keys().canary(random_u64()),
            closed: AtomicBool::new(false),
            client,
            scripts,
            config,
        });
        core.link.node().await.map_err(|error| core.refused(&error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(listener::listen(core.clone()));
        for _ in 0..FILLERS {
            tasks.spawn(listener::fill(core.clone()));
        }
        Ok((Self { core, tasks: Mutex::new(tasks) }, receivers))
    }
}

#[async_trait::async_trait]
impl Bus for RedisBus {
    async fn publish(&self, topic: &Topic, publication: Publication, retry_key: Option<&str>) -> Result<Receipt, BusError> {
        self.core.open()?;
        self.core.publish(topic, &publication, retry_key).await
    }

    fn try_publish(&self, _: &Topic, _: &Publication, _: Option<&str>) -> Option<Result<Receipt, BusError>> {
        self.core.open().err().map(Err)
    }

    async fn publish_many(&self, batch: Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for NewEntry { topic, publication, retry_key } in batch {
            outcomes.push(self.publish(&topic, publication, retry_key.as_deref()).await);
        }
        outcomes
    }

    fn try_publish_many(&self, batch: &mut Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        match self.core.open() {
            Ok(()) => Vec::new(),
            Err(error) => batch.drain(..).map(|_| Err(error.clone())).collect(),
        }
    }

    async fn subscribe(&self, topic: &Topic, consumer: Consumer) -> Result<Position, BusError> {
        self.core.open()?;
        if !self.core.interests.knows(consumer) {
            return Err(BusError::NoConsumer(consumer));
        }
        let claim = Claim { core: &self.core, topic, consumer };
        let position = match self.core.interests.add(topic, consumer) {
            Some(position) => position,
            None => self.core.begin(topic).await?,
        };
        std::mem::forget(claim);
        Ok(position)
    }

    fn unsubscribe(&self, topic: &Topic, consumer: Consumer) {
        self.core.interests.remove(topic, consumer);
    }

    async fn history(&self, topic: &Topic, since: &Position, limit: usize) -> Result<History, BusError> {
        self.core.open()?;
        self.core.history(topic, since, limit).await
    }

    async fn follow(&self, pattern: &Pattern, _: Consumer) -> Result<Following, BusError> {
        Err(self.core.unavailable(&format!("{} cannot be followed yet", pattern.as_str())))
    }

    fn unfollow(&self, _: &Pattern, _: Consumer) {}

    async fn births(&self, pattern: &Pattern, _: &Position, _: usize) -> Result<Births, BusError> {
        Err(self.core.unavailable(&format!("{} cannot be followed yet", pattern.as_str())))
    }

    fn health(&self) -> BusHealth {
        let (heard, proved, deaf) = self.core.pulse.read();
        let mute = self.core.guard.fault();
        let (up, fault) = (heard && mute.is_none(), deaf.or(mute));
        BusHealth { kind: "redis", up, proved, topics: self.core.interests.len(), patterns: 0, fault }
    }

    async fn close(&self) {
        self.core.closed.store(true, Ordering::Release);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        self.core.interests.close();
        self.core.pulse.fail("closed".into());
        self.core.reader.close();
        self.core.link.close().await;
    }
}

/// An interest that is given back unless its subscribe succeeds.
struct Claim<'a> {
    core: &'a Core,
    topic: &'a Topic,
    consumer: Consumer,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.core.interests.remove(self.topic, self.consumer);
    }
}

impl Core {
    fn open(&self) -> Result<(), BusError> {
        if self.closed.load(Ordering::Acquire) { Err(BusError::Closed) } else { Ok(()) }
    }

    /// The address, without credentials.
    pub(crate) fn at(&self) -> String {
        address::redacted(&self.config.url)
    }

    fn unavailable(&self, why: &impl ToString) -> BusError {
        address::unavailable(&self.config.url, why)
    }

    /// Why the first connection failed.
    fn refused(&self, error: &RedisError) -> BusError {
        let credentials =
            error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
        if credentials {
            return BusError::Address { at: self.at(), why: format!("the server refused the credentials: {error}") };
        }
        self.unavailable(error)
    }

    async fn publish(&self, topic: &Topic, publication: &Publication, retry_key: Option<&str>) -> Result<Receipt, BusError> {
        self.guard.admit().map_err(|why| self.unavailable(&why))?;
        let outcome = self.publish_by_deadline(topic, publication, retry_key).await;
        self.guard.report(!matches!(outcome, Err(BusError::Unavailable { .. })));
        outcome
    }

    /// Tries again until the publish timeout.
    async fn publish_by_deadline(&self, topic: &Topic, publication: &Publication, retry_key: Option<&str>) -> Result<Receipt, BusError> {
        let deadline = Instant::now() + self.config.publish_timeout;
        let identity = self.scripts.identity(topic, retry_key);
        let mut backoff = Backoff::new(RETRIES);
        loop {
            let error = match self.publish_once(topic, publication, &identity, deadline).await {
                Ok(text) => return receipt(topic, &text),
                Err(error) if passes(&error) => error,
                Err(error) => return Err(reader::failure(&self.config.url, topic, &error)),
            };
            let wait = backoff.next(random_share());
            if Instant::now() + wait >= deadline {
                return Err(self.unavailable(&error));
            }
            sleep(wait).await;
            self.open()?;
        }
    }

    async fn publish_once(
        &self,
        topic: &Topic,
        publication: &Publication,
        identity: &(String, u64),
        deadline: Instant,
    ) -> Result<String, RedisError> {
        let node = timeout_at(deadline, self.link.node()).await.map_err(|_| link::late())??;
        let call = self.scripts.publish(&node, topic, publication, identity);
        let outcome = timeout_at(deadline, call).await.unwrap_or_else(|_| Err(link::late()));
        if outcome.as_ref().is_err_and(passes) {
            self.link.discard(&node).await;
        }
        outcome
    }

    /// The first interest in a topic: bells first, then the position that they follow.
    async fn begin(&self, topic: &Topic) -> Result<Position, BusError> {
        let limit = self.config.publish_timeout;
        let listening = timeout(limit, self.interests.listening(topic)).await;
        listening.map_err(|_| self.unavailable(&self.pulse.read().2.unwrap_or_else(|| format!("no answer within {limit:?}"))))?;
        self.open()?;
        let read = self.reader.read(topic, None, 0).await?;
        Ok(self.interests.establish(topic, read.top))
    }

    async fn history(&self, topic: &Topic, since: &Position, limit: usize) -> Result<History, BusError> {
        let (mut entries, mut after) = (Vec::new(), since.clone());
        loop {
            let read = self.reader.read(topic, Some(&after), HISTORY_CHUNK.min(limit - entries.len())).await?;
            if let Some(reason) = read.gap(&after) {
                return Ok(History::Gap { top: read.top, reason });
            }
            for (seq, publication) in read.entries {
                after.seq = seq;
                entries.push(Entry { topic: topic.clone(), position: after.clone(), publication });
            }
            if after.seq >= read.top.seq || entries.len() >= limit {
                return Ok(History::Entries { entries, top: read.top.seq });
            }
        }
    }

    /// Publishes to the listener's own channel.
    pub(crate) async fn ring_canary(&self, text: &str) -> Result<(), RedisError> {
        let node = self.link.node().await?;
        let heard: Result<i64, _> = redis::cmd("PUBLISH").arg(&self.canary).arg(text).query_async(&mut node.connection.clone()).await;
        if heard.is_err() {
            self.link.discard(&node).await;
        }
        heard.map(drop)
    }
}

fn receipt(topic: &Topic, text: &str) -> Result<Receipt, BusError> {
    let corrupt = || BusError::Corrupt { topic: topic.as_str().into(), why: "it answers what this version does not know".into() };
    record::decode_receipt(text).ok_or_else(corrupt)
}

/// Whether a failure may pass: the network's, or a node that is not (or no longer) the one to ask.
fn passes(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    match error.kind() {
        ErrorKind::Io => true,
        ErrorKind::Server(kind) => matches!(kind, BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain),
        _ => error.is_unrecoverable_error(),
    }
}
