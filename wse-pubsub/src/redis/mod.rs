//! The bus of many processes: every topic's log in one Redis server.
mod address;
mod config;
mod following;
mod guard;
mod interest;
mod keys;
mod link;
mod listener;
mod outcomes;
mod peers;
mod presence;
mod publisher;
mod pulse;
mod reader;
mod record;
mod scripts;
mod track;

pub use config::RedisConfig;

use crate::{
    Births, Bus, BusError, BusHealth, Consumer, Entry, EventReceiver, Following, History, HistoryGap, NewEntry, Receipt, Tried,
    handover::handovers, random::random_u64,
};
use following::Follows;
use guard::Guard;
use interest::Interests;
use link::Link;
use outcomes::Outcomes;
use peers::Peers;
use presence::Rooms;
use publisher::strange;
use pulse::Pulse;
use reader::Reader;
use redis::{Client, ErrorKind, RedisError};
use scripts::Scripts;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};
use track::{Content, Rung};
use wse_core::log::PageLimit;
use wse_protocol::{Followed, Pattern, Position, Publication, Seq, Topic};

/// Tasks that read logs at the same time.
const FILLERS: usize = 4;
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
    follows: Follows,
    outcomes: Outcomes,
    rooms: Rooms,
    pulse: Pulse,
    guard: Guard,
    peers: Peers,
    canary: String,
    /// See `BusHealth::retries_answered`.
    retries_answered: AtomicU64,
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
            interests: Interests::new(queues, config.reorder, suspected),
            follows: Follows::default(),
            outcomes: Outcomes::new(&config),
            rooms: Rooms::new(&config),
            pulse: Pulse::new(),
            guard: Guard::new(config.breaker),
            peers: Peers::new(scripts.keys().own("serving") + "here"),
            canary: scripts.keys().canary(random_u64()),
            retries_answered: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            client,
            scripts,
            config,
        });
        let node = core.link.node().await.map_err(|error| core.refused(&error))?;
        core.refresh_epoch(&node).await.map_err(|error| core.refused(&error))?;
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
        let entry = NewEntry { topic: topic.clone(), publication, retry_key: retry_key.map(Arc::from) };
        let mut receipts = self.core.publish(std::slice::from_ref(&entry)).await?;
        receipts.pop().ok_or_else(|| strange(topic))
    }

    fn try_publish(&self, _: &Topic, publication: Publication, _: Option<&str>) -> Tried {
        self.core.open().map_or_else(|closed| Ok(Err(closed)), |()| Err(publication))
    }

    async fn publish_many(&self, batch: Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        self.core.publish_many(batch).await
    }

    fn try_publish_many(&self, batch: &mut Vec<NewEntry>) -> Vec<Result<Receipt, BusError>> {
        match self.core.open() {
            Ok(()) => Vec::new(),
            Err(error) => batch.drain(..).map(|_| Err(error.clone())).collect(),
        }
    }

    async fn subscribe(&self, topic: &Topic, consumer: Consumer) -> Result<Position, BusError> {
        let topic = Followed::Topic(topic.clone());
        let claim = self.core.claim(&topic, consumer)?;
        let position = match self.core.interests.add(&topic, consumer) {
            Some(position) => position,
            None => self.core.begin(&topic).await?,
        };
        std::mem::forget(claim);
        Ok(position)
    }

    fn unsubscribe(&self, topic: &Topic, consumer: Consumer) {
        self.core.interests.remove(topic.as_str(), consumer);
    }

    async fn history(&self, topic: &Topic, since: &Position, limit: PageLimit) -> Result<History, BusError> {
        let read = self.core.entries(&Followed::Topic(topic.clone()), since, limit).await?;
        let entry = |Rung { position, content }| match content {
            Content::Message(publication) => Some(Entry { topic: topic.clone(), position, publication }),
            Content::Birth(..) => None,
        };
        Ok(match read {
            Ok((entries, top)) => History::Entries { entries: entries.into_iter().filter_map(entry).collect(), top },
            Err((top, reason)) => History::Gap { top, reason },
        })
    }

    async fn follow(&self, pattern: &Pattern, consumer: Consumer) -> Result<Following, BusError> {
        self.core.follow(pattern, consumer).await
    }

    fn unfollow(&self, pattern: &Pattern, consumer: Consumer) {
        self.core.interests.remove(pattern.as_str(), consumer);
    }

    async fn births(&self, pattern: &Pattern, since: &Position, limit: usize) -> Result<Births, BusError> {
        let read = self.core.entries(&Followed::Pattern(pattern.clone()), since, PageLimit::entries(limit)).await?;
        let birth = |Rung { position, content }| match content {
            Content::Birth(topic, _) => Some((position.seq, topic)),
            Content::Message(_) => None,
        };
        Ok(match read {
            Ok((entries, top)) => Births::Topics { topics: entries.into_iter().filter_map(birth).collect(), top },
            Err((top, reason)) => Births::Gap { top, reason },
        })
    }

    fn serve(&self, serves: bool) {
        self.core.peers.serve(serves);
    }

    async fn others(&self) -> Result<usize, BusError> {
        self.core.others().await
    }

    fn may_have_forgotten(&self, _: &Topic, away: Duration) -> bool {
        // What the server drops for want of memory it does not tell.
        away >= self.core.config.direct.remembered()
    }

    fn health(&self) -> BusHealth {
        let (heard, proved, deaf) = self.core.pulse.read();
        let mute = self.core.guard.fault();
        let (up, fault) = (heard && mute.is_none(), deaf.or(mute));
        let (topics, patterns) = self.core.interests.count();
        let (presence_refused, presence_lapsed) = self.core.rooms.counts();
        let (reorder, breaker) = (self.core.interests.reorder_counts(), self.core.guard.counts());
        // Redis keeps each retry key for its time.
        let (outcomes_forgotten, retries_forgotten) = (self.core.outcomes.forgotten(), 0);
        BusHealth {
            kind: "redis",
            up,
            proved,
            topics,
            patterns,
            outcomes_forgotten,
            retries_answered: self.core.retries_answered.load(Ordering::Relaxed),
            retries_forgotten,
            reordered: reorder.reordered,
            reorder_dropped: reorder.dropped,
            breaker_opened: breaker.opened,
            breaker_refused: breaker.refused,
            presence_refused,
            presence_lapsed,
            fault,
        }
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

/// Where a log stands, and why entries of it cannot be had.
type Gap = (Position, HistoryGap);

/// An interest that is given back unless its subscribe succeeds.
struct Claim<'a> {
    core: &'a Core,
    of: &'a Followed,
    consumer: Consumer,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.core.interests.remove(self.of.as_str(), self.consumer);
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

    /// An interest that may be shown.
    fn claim<'a>(&'a self, of: &'a Followed, consumer: Consumer) -> Result<Claim<'a>, BusError> {
        self.open()?;
        if self.interests.knows(consumer) { Ok(Claim { core: self, of, consumer }) } else { Err(BusError::NoConsumer(consumer)) }
    }

    /// The first interest in a topic: bells first, then the position that they follow.
    async fn begin(&self, topic: &Followed) -> Result<Position, BusError> {
        self.listen(topic.as_str()).await?;
        let read = self.reader.read(topic, None, PageLimit::entries(0)).await?;
        Ok(self.interests.establish(topic.as_str(), read.top))
    }

    /// Waits until the server sends a log's bells.
    async fn listen(&self, name: &str) -> Result<(), BusError> {
        let limit = self.config.publish_timeout;
        let listening = timeout(limit, self.interests.listening(name)).await;
        listening.map_err(|_| self.unavailable(&self.pulse.read().2.unwrap_or_else(|| format!("no answer within {limit:?}"))))?;
        self.open()
    }

    /// Entries after `since` and the top, or where the log stands and why they cannot be had.
    async fn entries(&self, of: &Followed, since: &Position, mut limit: PageLimit) -> Result<Result<(Vec<Rung>, Seq), Gap>, BusError> {
        self.open()?;
        let (mut entries, mut after) = (Vec::new(), since.clone());
        loop {
            let read = self.reader.read(of, Some(&after), PageLimit { entries: HISTORY_CHUNK.min(limit.entries), ..limit }).await?;
            after = after.within(&read.top.epoch);
            if let Some(reason) = read.gap(&after) {
                return Ok(Err((read.top, reason)));
            }
            for (seq, content) in read.entries {
                if !limit.take(content.cost()) {
                    break;
                }
                after.seq = seq;
                entries.push(Rung { position: after.clone(), content });
            }
            if after.seq >= read.top.seq || limit.is_reached() {
                return Ok(Ok((entries, read.top.seq)));
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
        heard?;
        self.refresh_epoch(&node).await
    }
}
