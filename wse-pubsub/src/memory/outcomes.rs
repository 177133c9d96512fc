//! Outcomes of clients' messages, in memory.
use crate::{Begin, Begun, Outcome, OutcomeLimits, Producer, random::new_epoch};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use wse_protocol::{Epoch, Seq};

/// What a message costs besides its outcome.
const MESSAGE: usize = 64;

/// All producers; what was silent longest goes first.
#[derive(Debug)]
pub(super) struct Outcomes {
    limits: OutcomeLimits,
    epoch: Epoch,
    producers: HashMap<Producer, Known>,
    /// Producers by the time of their last message, and a number that tells equal times apart.
    silent: BTreeMap<(Duration, u64), Producer>,
    bytes: usize,
    next: u64,
    /// Until when this process is taken to live.
    alive_until: Duration,
    /// Until when a producer that is not known may be one that was forgotten before its time.
    forgot_until: Duration,
    forgotten: u64,
}

/// What is known of one producer.
#[derive(Debug, Default)]
struct Known {
    /// Of messages up to this one nothing more is known than what is kept.
    floor: Seq,
    kept: BTreeMap<Seq, Kept>,
    bytes: usize,
    last: (Duration, u64),
}

#[derive(Debug)]
enum Kept {
    Started(u64),
    Done(Outcome),
}

impl Kept {
    fn cost(&self) -> usize {
        MESSAGE + if let Self::Done(outcome) = self { outcome.cost() } else { 0 }
    }
}

impl Outcomes {
    pub(super) fn new(limits: OutcomeLimits) -> Self {
        Self {
            limits,
            epoch: new_epoch(),
            producers: HashMap::new(),
            silent: BTreeMap::new(),
            bytes: 0,
            next: 0,
            alive_until: Duration::ZERO,
            forgot_until: Duration::ZERO,
            forgotten: 0,
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch.clone()
    }

    /// What was forgotten before its time.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn renew(&mut self, now: Duration) {
        self.alive_until = now + self.limits.lease;
    }

    pub(super) fn begin(&mut self, now: Duration, begin: &Begin<'_>) -> Begun {
        self.forget_old(now);
        if let Some(begun) = self.judge(now, begin) {
            return begun;
        }
        self.renew(now);
        self.put(now, begin.producer, begin.number, Kept::Started(begin.run));
        self.forget_seen(begin.producer, begin.seen);
        self.keep_bounds(now, begin.producer);
        Begun::Run
    }

    pub(super) fn done(&mut self, now: Duration, producer: &Producer, number: Seq, outcome: &Outcome) {
        let stands = self.producers.get(producer).is_some_and(|known| match known.kept.get(&number) {
            Some(Kept::Done(_)) => true,
            Some(Kept::Started(_)) => false,
            // It was seen, or had to give way.
            None => number <= known.floor,
        });
        if !stands {
            self.put(now, producer, number, Kept::Done(outcome.kept(&self.limits)));
            self.keep_bounds(now, producer);
        }
    }

    pub(super) fn undo(&mut self, producer: &Producer, number: Seq, run: u64) {
        let Some(known) = self.producers.get_mut(producer) else { return };
        if matches!(known.kept.get(&number), Some(Kept::Started(by)) if *by == run) {
            let cost = known.kept.remove(&number).map_or(0, |kept| kept.cost());
            known.bytes -= cost;
            self.bytes -= cost;
        }
    }

    /// What is known of a message; nothing where it may run.
    fn judge(&self, now: Duration, begin: &Begin<'_>) -> Option<Begun> {
        let known = self.producers.get(begin.producer);
        match known.and_then(|known| known.kept.get(&begin.number)) {
            Some(Kept::Done(outcome)) => return Some(Begun::Done(outcome.clone())),
            Some(Kept::Started(run)) if *run == begin.run => return Some(Begun::Run),
            Some(Kept::Started(_)) if now < self.alive_until => return Some(Begun::Running),
            Some(Kept::Started(_)) => return (!begin.again).then_some(Begun::Unknown),
            None => {}
        }
        let was_forgotten = known.is_some_and(|known| begin.number <= known.floor);
        let is_lost = begin.sent.is_some_and(|epoch| *epoch != self.epoch || (known.is_none() && now < self.forgot_until));
        (!begin.again && (was_forgotten || is_lost)).then_some(Begun::Unknown)
    }

    fn put(&mut self, now: Duration, producer: &Producer, number: Seq, kept: Kept) {
        let cost = kept.cost();
        let known = self.producers.entry(producer.clone()).or_default();
        let before = known.kept.insert(number, kept).map_or(0, |before| before.cost());
        known.bytes = known.bytes + cost - before;
        self.bytes = self.bytes + cost - before;
        self.silent.remove(&known.last);
        self.next += 1;
        known.last = (now, self.next);
        self.silent.insert(known.last, producer.clone());
    }

    fn forget_seen(&mut self, producer: &Producer, seen: Seq) {
        let Some(known) = self.producers.get_mut(producer) else { return };
        while known.kept.first_key_value().is_some_and(|(number, _)| *number <= seen) {
            self.bytes -= known.drop_lowest();
        }
        known.floor = known.floor.max(seen);
    }

    fn keep_bounds(&mut self, now: Duration, producer: &Producer) {
        let (limits, mut forgotten) = (self.limits, 0);
        if let Some(known) = self.producers.get_mut(producer) {
            // The latest one stays, however large.
            while known.kept.len() > 1 && (known.kept.len() > limits.messages || known.bytes > limits.bytes) {
                self.bytes -= known.drop_lowest();
                forgotten += 1;
            }
        }
        while self.producers.len() > 1 && (self.producers.len() > limits.producers || self.bytes > limits.budget_bytes) {
            self.forget_most_silent();
            self.forgot_until = now + limits.age;
            forgotten += 1;
        }
        self.forgotten += forgotten;
    }

    fn forget_old(&mut self, now: Duration) {
        while self.silent.first_key_value().is_some_and(|((last, _), _)| *last + self.limits.age <= now) {
            self.forget_most_silent();
        }
    }

    fn forget_most_silent(&mut self) {
        let gone = self.silent.pop_first().and_then(|(_, producer)| self.producers.remove(&producer));
        self.bytes -= gone.map_or(0, |known| known.bytes);
    }
}

impl Known {
    /// Forgets the message with the lowest number; returns its bytes.
    fn drop_lowest(&mut self) -> usize {
        let Some((number, kept)) = self.kept.pop_first() else { return 0 };
        self.floor = self.floor.max(number);
        self.bytes -= kept.cost();
        kept.cost()
    }
}
