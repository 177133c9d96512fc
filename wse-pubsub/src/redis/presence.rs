//! Members on the server: one script for each step, which changes what others see of a topic and writes what its logs say of it.
use super::{Core, RedisBus, RedisConfig, keys::Keys, link, record, scripts::millis};
use crate::{
    BusError, Change, Incarnation, Presence, PresenceLimits,
    presence::{DIFF_BYTES, DIFF_ENTRIES, logs_of, told},
    random::{new_epoch, random_share},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use redis::{FromRedisValue, Script, ScriptInvocation};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};
use wse_core::Backoff;
use wse_protocol::{Epoch, MAX_INTEGER, Member, MemberId, PRESENCE, PRESENCE_COUNT, Position, PresenceState, Seq, Topic};

/// The name of incarnations in errors, and of their keys' slot.
const INCARNATIONS: &str = "@incarnations";
/// Topics that one call of `renew.lua` names of each incarnation.
const PAGE: usize = 64;
/// Topics that are looked at at the same time.
const AT_ONCE: usize = 16;
/// How long a renewal goes on keeping what is its own and removing what others held, at least as long as one page takes.
const LOOKING_AFTER: Duration = Duration::from_secs(2);
/// How long what nobody renews is kept; above that it was left by a bus that nobody uses any more.
const KEEP: Duration = Duration::from_secs(3600);

/// The scripts, and what this process knows.
#[derive(Debug)]
pub(crate) struct Rooms {
    change: Script,
    keep: Script,
    reap: Script,
    renew: Script,
    present: Script,
    keys: Keys,
    base: String,
    limits: PresenceLimits,
    /// The number of the last call.
    calls: AtomicU64,
    refused: AtomicU64,
    lapsed: AtomicU64,
}

/// What `renew.lua` answers: whether the incarnation lives, its topics to keep alive, what is left of others.
type RawRenewal = (u8, Vec<String>, Vec<(String, Vec<String>)>);

/// What `present.lua` answers: epoch, seq and how many, and their members where they are wanted.
type RawPresent = (String, u64, u64, Vec<Bytes>);

impl Rooms {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let script = |own| Script::new(&[include_str!("open.lua"), include_str!("presence.lua"), own].concat());
        let keys = Keys::new(&config.namespace);
        Self {
            change: script(include_str!("change.lua")),
            keep: script(include_str!("keep.lua")),
            reap: script(include_str!("reap.lua")),
            renew: script(include_str!("renew.lua")),
            present: script(include_str!("present.lua")),
            base: keys.own(INCARNATIONS),
            keys,
            limits: config.presence,
            calls: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lapsed: AtomicU64::new(0),
        }
    }

    /// Members that were refused, and holds of others that were removed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.refused.load(Relaxed), self.lapsed.load(Relaxed))
    }

    /// A script of one incarnation, and of one topic where its two logs are given.
    fn call<'a>(&self, script: &'a Script, fence: &str, incarnation: &str, logs: Option<&[Topic; 2]>) -> ScriptInvocation<'a> {
        let mut call = script.key(&self.base);
        call.arg(fence).arg(new_epoch().as_str()).arg(incarnation);
        let Some([members, count]) = logs else {
            self.times(call.arg(""));
            return call;
        };
        let topic = members.watched().map_or_else(|| members.clone(), |(_, topic)| topic);
        let keys = &self.keys;
        for key in [keys.shown(members.as_str()), keys.more(members.as_str()), keys.held_by(members.as_str(), incarnation)] {
            call.key(key);
        }
        for log in [members, count] {
            call.key(keys.meta(log.as_str())).key(keys.log(log.as_str())).key(keys.bell(log.as_str()));
        }
        self.times(call.arg(topic.as_str()));
        call
    }

    fn times(&self, call: &mut ScriptInvocation<'_>) {
        let keep = KEEP.max(self.limits.remembered().saturating_mul(4)).max(self.limits.lease.saturating_mul(4));
        call.arg(millis(self.limits.lease)).arg(millis(keep));
    }

    /// The logs' limits, and what begins their records.
    fn tell(&self, call: &mut ScriptInvocation<'_>) {
        let log = self.limits.log;
        call.arg(millis(log.age)).arg(millis(self.limits.remembered())).arg(log.messages).arg(log.bytes);
        for event_type in [PRESENCE, PRESENCE_COUNT] {
            let head = told(event_type, Bytes::new());
            call.arg(record::encode(&head)).arg(head.cost());
        }
    }

    /// Numbers stand above those of earlier calls.
    fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Relaxed) + 1
    }
}

impl Core {
    async fn presence_script<T: FromRedisValue>(
        &self,
        script: &Script,
        incarnation: &str,
        logs: Option<&[Topic; 2]>,
        arguments: impl Fn(&mut ScriptInvocation<'_>),
    ) -> Result<T, BusError> {
        let name = logs.map_or(INCARNATIONS, |[members, _]| members.as_str());
        self.ask(name, |node| {
            let mut call = self.rooms.call(script, &node.fence, incarnation, logs);
            arguments(&mut call);
            async move { call.invoke_async(&mut node.connection.clone()).await }
        })
        .await
    }

    async fn renew_lease(&self, incarnation: &Incarnation, begins: bool) -> Result<RawRenewal, BusError> {
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(u8::from(begins)).arg(PAGE);
        };
        self.presence_script(&self.rooms.renew, incarnation.as_str(), None, arguments).await
    }

    /// Changes from the front, as many as one message tells; how many.
    async fn change_some(
        &self,
        by: &Incarnation,
        logs: &[Topic; 2],
        changes: &[Change],
        refused: &mut Vec<MemberId>,
    ) -> Result<usize, BusError> {
        let (rooms, number) = (&self.rooms, self.rooms.next_call());
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(number).arg(rooms.limits.members).arg(DIFF_ENTRIES).arg(DIFF_BYTES);
            rooms.tell(call);
            for Change { member, to } in changes {
                let (at, json) = to.as_ref().map_or((0, Bytes::new()), |held| (held.at.0.min(MAX_INTEGER), held.shown(member).encode()));
                call.arg(member.as_str()).arg(at).arg(&json[..]);
            }
        };
        let answer = self.presence_script::<(String, usize, Vec<String>)>(&rooms.change, by.as_str(), Some(logs), arguments).await?;
        let (what, made, names) = answer;
        if what == "lapsed" {
            return Err(BusError::Lapsed);
        }
        rooms.refused.fetch_add(names.len() as u64, Relaxed);
        refused.extend(names.iter().filter_map(|name| MemberId::parse(name)));
        Ok(made)
    }

    /// Who is in a topic, again until the publish timeout. A list may be megabytes: readers fetch it, so that no publish waits behind it.
    async fn present(&self, name: &str, logs: &[Topic; 2], list: bool) -> Result<RawPresent, BusError> {
        let (rooms, deadline) = (&self.rooms, Instant::now() + self.config.publish_timeout);
        let mut backoff = Backoff::new(self.config.retries());
        loop {
            self.open()?;
            let ask = self.reader.ask(name, |fence| {
                let mut call = rooms.call(&rooms.present, fence, "", Some(logs));
                call.arg(millis(rooms.limits.remembered())).arg(u8::from(list));
                call
            });
            let answer = timeout_at(deadline, ask).await.unwrap_or_else(|_| Err(self.unavailable(&link::late())));
            let wait = backoff.next(random_share());
            if !matches!(answer, Err(BusError::Unavailable { .. })) || Instant::now() + wait >= deadline {
                return answer;
            }
            sleep(wait).await;
        }
    }

    /// One page of topics: the incarnation's own, and those of others that have lapsed.
    async fn look_after(&self, incarnation: &Incarnation, idle: &[String], overdue: &[(String, Vec<String>)]) -> Result<(), BusError> {
        each(idle.iter().map(|topic| self.keep_members(incarnation, topic)).collect()).await?;
        let reaped = overdue.iter().flat_map(|(other, topics)| topics.iter().map(|topic| self.reap_members(other, topic)));
        each(reaped.collect()).await
    }

    /// A topic of this process to which nothing has happened for long.
    async fn keep_members(&self, incarnation: &Incarnation, topic: &str) -> Result<(), BusError> {
        let Some(logs) = known(topic) else { return Ok(()) };
        self.presence_script::<u8>(&self.rooms.keep, incarnation.as_str(), Some(&logs), |_| ()).await.map(drop)
    }

    /// A topic of an incarnation that has lapsed.
    async fn reap_members(&self, incarnation: &str, topic: &str) -> Result<(), BusError> {
        let Some(logs) = known(topic) else { return Ok(()) };
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(DIFF_ENTRIES).arg(DIFF_BYTES);
            self.rooms.tell(call);
        };
        loop {
            let (made, left): (u64, u64) = self.presence_script(&self.rooms.reap, incarnation, Some(&logs), arguments).await?;
            self.rooms.lapsed.fetch_add(made, Relaxed);
            if left == 0 || made == 0 {
                return Ok(());
            }
        }
    }
}

#[async_trait::async_trait]
impl Presence for RedisBus {
    fn presence_limits(&self) -> PresenceLimits {
        self.core.config.presence
    }

    async fn begin_presence(&self) -> Result<Incarnation, BusError> {
        let incarnation = Incarnation::new();
        self.core.renew_lease(&incarnation, true).await?;
        Ok(incarnation)
    }

    async fn renew_presence(&self, incarnation: &Incarnation) -> Result<bool, BusError> {
        let began = Instant::now();
        loop {
            let (lives, idle, overdue) = self.core.renew_lease(incarnation, false).await?;
            let is_more = idle.len() == PAGE || !overdue.is_empty();
            let done = self.core.look_after(incarnation, &idle, &overdue).await;
            if let Err(error) = &done {
                tracing::debug!(%error, "members could not be looked after; again with the next renewal");
            }
            if done.is_err() || !is_more || began.elapsed() > LOOKING_AFTER {
                return Ok(lives == 1);
            }
        }
    }

    async fn change_presence(&self, incarnation: &Incarnation, topic: &Topic, mut changes: &[Change]) -> Result<Vec<MemberId>, BusError> {
        let (logs, mut refused) = (logs_of(topic)?, Vec::new());
        loop {
            let some = &changes[..changes.len().min(DIFF_ENTRIES)];
            let made = self.core.change_some(incarnation, &logs, some, &mut refused).await?;
            changes = changes.get(made..).unwrap_or_default();
            if changes.is_empty() {
                return Ok(refused);
            }
        }
    }

    async fn presence(&self, topic: &Topic, list: bool) -> Result<PresenceState, BusError> {
        let logs = logs_of(topic)?;
        let name = logs[usize::from(!list)].as_str();
        let (epoch, seq, many, raw) = self.core.present(name, &logs, list).await?;
        let position = Epoch::parse(&epoch).zip(Seq::new(seq)).map(|(epoch, seq)| Position { epoch, seq });
        let shown = raw.iter().map(decode).collect::<Option<_>>();
        let (position, members) = position.zip(shown).ok_or_else(|| strange(name))?;
        Ok(PresenceState { members: list.then_some(members), count: many, position })
    }
}

/// Several topics at once; the first failure ends it, and what is left comes with the next renewal.
async fn each<F: Future<Output = Result<(), BusError>>>(calls: Vec<F>) -> Result<(), BusError> {
    let mut calls = stream::iter(calls).buffer_unordered(AT_ONCE);
    while let Some(done) = calls.next().await {
        done?;
    }
    Ok(())
}

fn known(topic: &str) -> Option<[Topic; 2]> {
    logs_of(&Topic::parse(topic).ok()?).ok()
}

/// Reads what `presence.lua` keeps of the newest hold: the incarnation, when, and the member.
fn decode(shown: &Bytes) -> Option<Member> {
    let mut spaces = shown.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(at, _)| at);
    let at = spaces.nth(1)?;
    Member::decode(&shown.slice(at + 1..))
}

fn strange(name: &str) -> BusError {
    BusError::Corrupt { topic: name.into(), why: "it is not what this version writes".into() }
}
