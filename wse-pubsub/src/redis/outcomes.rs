//! Outcomes of clients' messages and dead letters on the server: one script for each step, all keys of each kind in one slot.
//!
//! One slot, because they share one epoch and one bound. In a cluster that is the load of one master.
use super::{Core, RedisBus, RedisConfig, keys::Keys, link, link::Node, publisher::passes, reader};
use crate::{
    Begin, Begun, BusError, Claim, DeadLetter, DeadLetters, Outcome, OutcomeLimits, Producer, Producers,
    random::{new_epoch, random_share, random_u64},
};
use bytes::Bytes;
use redis::{FromRedisValue, RedisError, Script, ScriptInvocation, Value};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};
use wse_core::Backoff;
use wse_protocol::{Epoch, ErrorCode, Format, Seq, UnixMillis};

/// The name of outcomes in errors.
const OUTCOMES: &str = "@producers";
/// The name of dead letters in errors.
const LETTERS: &str = "@dead";

/// A letter's fields as `letters.lua` answers them.
type RawLetter = (String, u64, u32, Option<String>, String, Option<String>, String, Vec<u8>);

/// The scripts, and what this process knows.
#[derive(Debug)]
pub(crate) struct Outcomes {
    epoch_script: Script,
    begin: Script,
    done: Script,
    undo: Script,
    bury: Script,
    letters: Script,
    base: String,
    letters_base: String,
    /// This process, for its lease.
    process: String,
    /// The epoch that the server named last, and the fence under which it did.
    known: Mutex<(Epoch, String)>,
    forgotten: AtomicU64,
}

impl Outcomes {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let parts = |parts: &[&str]| Script::new(&[&[include_str!("open.lua")], parts].concat().concat());
        let script = |own| parts(&[include_str!("producers.lua"), own]);
        let keys = Keys::new(&config.namespace);
        Self {
            epoch_script: script(include_str!("epoch.lua")),
            begin: script(include_str!("begin.lua")),
            done: script(include_str!("done.lua")),
            undo: script(include_str!("undo.lua")),
            bury: parts(&[include_str!("bury.lua")]),
            letters: parts(&[include_str!("letters.lua")]),
            base: keys.own(OUTCOMES),
            letters_base: keys.own(LETTERS),
            process: format!("{:x}", random_u64()),
            known: Mutex::new((new_epoch(), String::new())),
            forgotten: AtomicU64::new(0),
        }
    }

    /// What was ever forgotten before its time, as far as known.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Relaxed)
    }

    fn learn(&self, epoch: &str, fence: &str) {
        if let Some(epoch) = Epoch::parse(epoch) {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = (epoch, fence.to_owned());
        }
    }

    /// Whether the epoch is of another node than this.
    fn is_stale(&self, fence: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).1 != fence
    }

    fn call<'a>(&self, script: &'a Script, node: &Node, limits: &OutcomeLimits) -> ScriptInvocation<'a> {
        let mut call = script.key(&self.base);
        call.arg(&node.fence).arg(new_epoch().as_str()).arg(millis(limits.age));
        call
    }
}

impl Core {
    /// Asks for the epoch of outcomes where the node is another than the one that named it.
    pub(crate) async fn refresh_epoch(&self, node: &Node) -> Result<(), RedisError> {
        if self.outcomes.is_stale(&node.fence) {
            let call = self.outcomes.call(&self.outcomes.epoch_script, node, &self.config.outcomes);
            let epoch: String = call.invoke_async(&mut node.connection.clone()).await?;
            self.outcomes.learn(&epoch, &node.fence);
        }
        Ok(())
    }

    /// Tries again until the publish timeout. `name` is for errors.
    pub(super) async fn ask<T, F>(&self, name: &str, mut call: impl FnMut(Arc<Node>) -> F) -> Result<T, BusError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let deadline = Instant::now() + self.config.publish_timeout;
        let mut backoff = Backoff::new(self.config.retries());
        loop {
            self.open()?;
            let error = match self.ask_once(&mut call, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(error) if passes(&error) => error,
                Err(error) => return Err(reader::failure(&self.config.url, name, &error)),
            };
            let wait = backoff.next(random_share());
            if Instant::now() + wait >= deadline {
                return Err(self.unavailable(&error));
            }
            sleep(wait).await;
        }
    }

    async fn ask_once<T, F>(&self, call: &mut impl FnMut(Arc<Node>) -> F, deadline: Instant) -> Result<T, RedisError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let node = timeout_at(deadline, self.link.node()).await.map_err(|_| link::late())??;
        let answer = timeout_at(deadline, call(node.clone())).await.unwrap_or_else(|_| Err(link::late()));
        if answer.as_ref().is_err_and(passes) {
            self.link.discard(&node).await;
        }
        answer
    }

    /// One script on outcomes: its arguments after the common ones.
    async fn outcome_script<T: FromRedisValue>(
        &self,
        script: &Script,
        arguments: impl Fn(&mut ScriptInvocation<'_>),
    ) -> Result<(T, Arc<Node>), BusError> {
        self.ask(OUTCOMES, |node| {
            let mut call = self.outcomes.call(script, &node, &self.config.outcomes);
            arguments(&mut call);
            async move { Ok((call.invoke_async(&mut node.connection.clone()).await?, node)) }
        })
        .await
    }

    async fn letter_script<T: FromRedisValue>(
        &self,
        script: &Script,
        arguments: impl Fn(&mut ScriptInvocation<'_>),
    ) -> Result<T, BusError> {
        self.ask(LETTERS, |node| {
            let mut call = script.key(&self.outcomes.letters_base);
            arguments(&mut call);
            async move { call.invoke_async(&mut node.connection.clone()).await }
        })
        .await
    }

    /// What `letters.lua` is asked about one letter, or all.
    async fn letters<T: FromRedisValue>(&self, what: &str, id: &str, limit: usize) -> Result<T, BusError> {
        let limits = self.config.dead_letters;
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(what).arg(id).arg(millis(limits.age)).arg(millis(limits.claim)).arg(limit);
        };
        self.letter_script(&self.outcomes.letters, arguments).await
    }
}

fn bounds(call: &mut ScriptInvocation<'_>, limits: &OutcomeLimits) {
    call.arg(limits.messages).arg(limits.bytes).arg(limits.producers).arg(limits.budget_bytes);
}

#[async_trait::async_trait]
impl Producers for RedisBus {
    fn producers_epoch(&self) -> Epoch {
        self.core.outcomes.known.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn outcome_limits(&self) -> OutcomeLimits {
        self.core.config.outcomes
    }

    async fn begin(&self, begin: &Begin<'_>) -> Result<Begun, BusError> {
        let (core, limits) = (&self.core, self.core.config.outcomes);
        let producer = name_of(begin.producer);
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(&producer).arg(begin.number.number()).arg(begin.seen.number()).arg(begin.sent.map_or("", Epoch::as_str));
            call.arg(format!("{:x}", begin.run)).arg(u8::from(begin.again)).arg(&core.outcomes.process).arg(millis(limits.lease));
            bounds(call, &limits);
        };
        let (answer, node) = core.outcome_script::<(String, String, Vec<u8>, u64)>(&core.outcomes.begin, arguments).await?;
        let (epoch, what, state, forgotten) = answer;
        core.outcomes.learn(&epoch, &node.fence);
        core.outcomes.forgotten.fetch_max(forgotten, Relaxed);
        match what.as_str() {
            "run" => Ok(Begun::Run),
            "running" => Ok(Begun::Running),
            "unknown" => Ok(Begun::Unknown),
            _ => decode(&state).map(Begun::Done).ok_or_else(|| strange(OUTCOMES)),
        }
    }

    async fn done(&self, producer: &Producer, number: Seq, outcome: &Outcome) -> Result<(), BusError> {
        let (core, limits) = (&self.core, self.core.config.outcomes);
        let (producer, state) = (name_of(producer), encode(&outcome.kept(&limits)));
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(&producer).arg(number.number()).arg(&state);
            bounds(call, &limits);
        };
        let (epoch, node) = core.outcome_script::<String>(&core.outcomes.done, arguments).await?;
        core.outcomes.learn(&epoch, &node.fence);
        Ok(())
    }

    async fn undo(&self, producer: &Producer, number: Seq, run: u64) -> Result<(), BusError> {
        let (core, producer) = (&self.core, name_of(producer));
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(&producer).arg(number.number()).arg(&core.outcomes.process).arg(format!("{run:x}"));
        };
        core.outcome_script::<String>(&core.outcomes.undo, arguments).await.map(drop)
    }

    async fn renew(&self) -> Result<(), BusError> {
        let core = &self.core;
        let key = format!("{}lease:{}", core.outcomes.base, core.outcomes.process);
        core.ask(OUTCOMES, |node| {
            let mut command = redis::cmd("SET");
            command.arg(&key).arg(1).arg("PX").arg(millis(core.config.outcomes.lease));
            async move { command.query_async(&mut node.connection.clone()).await }
        })
        .await
    }
}

#[async_trait::async_trait]
impl DeadLetters for RedisBus {
    async fn bury(&self, letter: &DeadLetter) -> Result<usize, BusError> {
        let (core, limits) = (&self.core, self.core.config.dead_letters);
        let arguments = |call: &mut ScriptInvocation<'_>| {
            call.arg(&*letter.id).arg(letter.cost()).arg(millis(limits.age)).arg(limits.letters).arg(limits.bytes);
            call.arg("id").arg(&*letter.id).arg("at").arg(letter.at.0).arg("n").arg(letter.attempts);
            call.arg("t").arg(&*letter.event_type).arg("m").arg(&*letter.error).arg("p").arg(&letter.payload[..]);
            for (field, value) in [("u", &letter.user), ("i", &letter.message_id)] {
                if let Some(value) = value {
                    call.arg(field).arg(&**value);
                }
            }
        };
        core.letter_script(&core.outcomes.bury, arguments).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let raw: Vec<RawLetter> = self.core.letters("list", "", limit).await?;
        Ok(raw.into_iter().map(letter).collect())
    }

    async fn claim_dead_letter(&self, id: &str) -> Result<Claim, BusError> {
        let answer: Value = self.core.letters("claim", id, 0).await?;
        Ok(match answer {
            Value::BulkString(word) if word == b"taken" => Claim::Taken,
            Value::BulkString(_) => Claim::Gone,
            fields => Claim::Letter(letter(RawLetter::from_redis_value(fields).map_err(|_| strange(LETTERS))?)),
        })
    }

    async fn release_dead_letter(&self, id: &str) -> Result<(), BusError> {
        self.core.letters("release", id, 0).await.map(|_: String| ())
    }

    async fn remove_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        self.core.letters("remove", id, 0).await.map(|word: String| word == "done")
    }
}

fn letter((id, at, attempts, user, event_type, message_id, error, payload): RawLetter) -> DeadLetter {
    DeadLetter {
        id: id.into(),
        at: UnixMillis(at),
        attempts,
        user: user.map(Into::into),
        event_type: event_type.into(),
        message_id: message_id.map(Into::into),
        error: error.into(),
        payload: payload.into(),
    }
}

/// Different for different producers; the length says where the user ends.
fn name_of(producer: &Producer) -> String {
    match &producer.user {
        Some(user) => format!("{}:{user}{}", user.len(), producer.id),
        None => format!("-:{}", producer.id),
    }
}

fn encode(outcome: &Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Reply { format: Format::Json, payload } => [b"r0", &payload[..]].concat(),
        Outcome::Reply { payload, .. } => [b"r1", &payload[..]].concat(),
        Outcome::Error { code, message } => format!("e{} {message}", code.as_str()).into_bytes(),
    }
}

/// Reads what `encode` wrote; a code of a later version is `INTERNAL`.
fn decode(state: &[u8]) -> Option<Outcome> {
    let payload = |format, payload| Some(Outcome::Reply { format, payload: Bytes::copy_from_slice(payload) });
    match state {
        [b'r', b'0', rest @ ..] => payload(Format::Json, rest),
        [b'r', b'1', rest @ ..] => payload(Format::Msgpack, rest),
        [b'e', rest @ ..] => {
            let (code, message) = std::str::from_utf8(rest).ok()?.split_once(' ')?;
            let known = ErrorCode::ALL.iter().find(|known| known.as_str() == code);
            Some(Outcome::Error { code: known.copied().unwrap_or(ErrorCode::Internal), message: message.into() })
        }
        _ => None,
    }
}

fn strange(name: &str) -> BusError {
    BusError::Corrupt { topic: name.into(), why: "it is not what this version writes".into() }
}

fn millis(time: Duration) -> u64 {
    super::scripts::millis(time)
}
