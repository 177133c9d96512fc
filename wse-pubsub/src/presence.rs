//! Who is in which topic, whatever processes their connections are on.
use crate::{BusError, random::random_u64};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use wse_core::log::LogLimits;
use wse_protocol::{
    Format, Member, MemberId, PRESENCE, PRESENCE_COUNT, PresenceDiff, PresenceState, Priority, Publication, Topic, UnixMillis, defaults,
    presence_count,
};

/// Members of topics ([P-61]), held by processes, and the two logs of each topic that tell of them ([P-64]).
///
/// Each process says of which members it has connections, under an incarnation that lives as long as it is renewed. A member is
/// in a topic while any incarnation holds it, and shows what the newest hold says. What others see of a topic changes in one step
/// with what its logs say of it; a log without watchers is none, and nothing is written for it.
#[async_trait::async_trait]
pub trait Presence: Send + Sync {
    /// What it keeps.
    fn presence_limits(&self) -> PresenceLimits;

    /// Begins an incarnation, which holds nothing. It lives for [`PresenceLimits::lease`], or longer where nobody has noticed.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; beginning another is safe.
    async fn begin_presence(&self) -> Result<Incarnation, BusError>;

    /// Says that this process lives, for another lease; false where others have been told that it is gone, or what it held may be lost:
    /// it begins a new one and enters everything again. Who is only moved from one to the other is not seen to leave or to come.
    ///
    /// Removes too, for as long as about 2 s, what incarnations hold that have lapsed. Due every third of the lease, of each process that serves, even
    /// where it holds nothing.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; trying again is safe.
    async fn renew_presence(&self, incarnation: &Incarnation) -> Result<bool, BusError>;

    /// Changes what an incarnation holds of one topic; returns members that were refused because there are too many, which it had not
    /// and has not. What does not change what others see is stored and told nobody. A member stands in `changes` once.
    ///
    /// A call for a topic begins after the last one for it has ended, whatever its outcome: then a late repetition changes nothing.
    ///
    /// # Errors
    /// [`BusError::Lapsed`] where `renew_presence` would say false; [`BusError::Unavailable`] when the bus did not answer in time:
    /// the changes, or those at their front, may or may not be stored, and making them again is safe.
    async fn change_presence(&self, incarnation: &Incarnation, topic: &Topic, changes: &[Change]) -> Result<Vec<MemberId>, BusError>;

    /// Who is in a topic, exact at the position of the log that tells of it, which is made where there is none: of
    /// `@presence:<topic>` with `list`, of `@count:<topic>` without.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus did not answer in time; [`BusError::Topic`] where the topic can have no such log.
    async fn presence(&self, topic: &Topic, list: bool) -> Result<PresenceState, BusError>;
}

/// One life of a process, as far as others can know: what it holds goes when its lease has lapsed. A process that was stopped, and
/// wakes after that, begins another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(Arc<str>);

impl Incarnation {
    pub(crate) fn new() -> Self {
        Self(format!("{:016x}{:016x}", random_u64(), random_u64()).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an incarnation has of a member from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whom.
    pub member: MemberId,
    /// What the newest of its connections wants others to see; none where it has none any more.
    pub to: Option<Held>,
}

/// What one incarnation has of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The user; none for anonymous clients.
    pub user: Option<Arc<str>>,
    /// One value of JSON.
    pub data: Bytes,
    /// When the client said so: of several holds the newest is shown.
    pub at: UnixMillis,
}

impl Held {
    pub(crate) fn shown(&self, id: &MemberId) -> Member {
        Member { id: id.clone(), user: self.user.clone(), data: self.data.clone() }
    }
}

/// How much a bus keeps of members. What is above is refused, and counted in
/// [`BusHealth::presence_refused`](crate::BusHealth::presence_refused).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceLimits {
    /// Members of one topic; default 10,000.
    pub members: usize,
    /// Bytes of all members of all topics, about: above it nobody comes, and who is there may still change; default 64 MiB. With Redis
    /// set the server's `maxmemory`.
    pub bytes: usize,
    /// How long a process that is not heard of is taken to live; default 15 s.
    pub lease: Duration,
    /// What each of the two logs of a topic holds; default 256 messages, 256 KiB, 60 s. They give way with users' and sessions' logs,
    /// in whose budget ([`DirectLimits`](crate::DirectLimits)) they are.
    pub log: LogLimits,
    /// Logs that are remembered; default 100,000. Above it the one that was unused longest is forgotten, never one that is watched.
    /// With Redis time alone bounds them.
    pub logs: usize,
}

impl Default for PresenceLimits {
    fn default() -> Self {
        Self {
            members: defaults::PRESENCE_MEMBERS as usize,
            bytes: 64 << 20,
            lease: Duration::from_millis(defaults::PRESENCE_LEASE_MS),
            log: LogLimits {
                messages: defaults::PRESENCE_LOG_MESSAGES as usize,
                bytes: defaults::PRESENCE_LOG_BYTES as usize,
                age: Duration::from_millis(defaults::PRESENCE_LOG_AGE_MS),
            },
            logs: defaults::DIRECT_LOGS as usize,
        }
    }
}

impl PresenceLimits {
    /// How long a log that holds nothing is remembered after its last use.
    pub(crate) fn remembered(&self) -> Duration {
        self.log.age.max(Duration::from_secs(300))
    }
}

/// Members that one message tells of.
pub(crate) const DIFF_ENTRIES: usize = defaults::PRESENCE_ENTRIES as usize;
/// Bytes of a message after which no further member is told in it.
pub(crate) const DIFF_BYTES: usize = 64 << 10;

/// A message of the log of a topic's members.
pub(crate) fn told_diff(diff: &PresenceDiff) -> Publication {
    told(PRESENCE, diff.encode())
}

/// A message of the log of a topic's count.
pub(crate) fn told_count(count: u64) -> Publication {
    told(PRESENCE_COUNT, presence_count(count))
}

pub(crate) fn told(event_type: &'static str, payload: Bytes) -> Publication {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Publication {
        id: format!("{:016x}", random_u64()).into(),
        event_type: event_type.into(),
        ts: UnixMillis(since.as_millis() as u64),
        expires: None,
        key: None,
        priority: Priority::Normal,
        format: Format::Json,
        payload,
    }
}

/// The names of a topic's two logs.
pub(crate) fn logs_of(topic: &Topic) -> Result<[Topic; 2], BusError> {
    let logs = topic.members_log().and_then(|members| Ok([members, topic.count_log()?]));
    logs.map_err(|error| BusError::Topic { topic: topic.shared(), why: error.message })
}
