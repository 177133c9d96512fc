//! Who is in which topic by the connections of one process ([P-60] to [P-62]), and what of that its bus has to be told.
//!
//! Pure: connections tell it what they do, [`Registry::take`] gives what is to be stored, [`Registry::stored`] and
//! [`Registry::failed`] say what became of it. A driver calls [`Registry::handle_timeout`] at [`Registry::poll_timeout`].
mod member;
#[cfg(test)]
mod tests;

pub use member::Hold;

use member::{Local, Told};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    mem,
    time::{Duration, Instant},
};
use wse_protocol::{ErrorCode, MemberId, Topic, WireError};

/// How a registry behaves.
#[derive(Debug, Clone, Copy)]
pub struct RegistryConfig {
    /// Topics that one connection may have entered; then `TOO_MANY_PRESENCES`.
    pub topics: usize,
    /// How long a connection that was lost counts as there.
    pub grace: Duration,
    /// What happens within it is told together; what comes first is told at once.
    pub interval: Duration,
}

/// The members that a process has connections of. `A` is whoever waits for word that a change is stored.
///
/// Bounded by the connections, each with so many topics, and by those that ended within the grace time and were members for others.
#[derive(Debug)]
pub struct Registry<A> {
    config: RegistryConfig,
    topics: HashMap<Topic, Here<A>>,
    /// What each connection has entered, and as whom; kept for its grace time.
    entered: HashMap<u64, HashMap<Topic, MemberId>>,
    /// Connections that were lost, and when their grace time ends.
    lost: VecDeque<(Instant, u64)>,
    /// Topics with something to store, or whose clients wait for an answer.
    changed: BTreeSet<Topic>,
    /// Not to be told of before.
    rests_until: Option<Instant>,
    /// How often all had to be entered anew.
    generation: u64,
    members: usize,
}

/// What this process has of a topic.
#[derive(Debug)]
struct Here<A> {
    members: HashMap<MemberId, Local>,
    /// Members of whom the bus may not know what is so.
    changed: HashSet<MemberId>,
    waiting: Vec<Waiting<A>>,
    /// A batch of it is under way.
    is_busy: bool,
}

/// Who waits for word of what it asked for.
#[derive(Debug)]
struct Waiting<A> {
    connection: u64,
    member: MemberId,
    is_leave: bool,
    answer: A,
}

/// What of one topic is to be stored, and who waits for it.
#[derive(Debug)]
pub struct Batch<A> {
    /// Where.
    pub topic: Topic,
    /// Whom this process has no more, and then whom it has from now on: who goes makes room for who comes.
    pub changes: Vec<(MemberId, Option<Hold>)>,
    waiting: Vec<Waiting<A>>,
    generation: u64,
}

/// What became of a batch that was stored.
#[derive(Debug)]
pub struct Stored<A> {
    /// Who waited, and whether it is refused: who left never is.
    pub answers: Vec<(A, bool)>,
    /// Connections that were in the topic, are not any more, and have not asked: nobody else tells them. Some may be gone.
    pub evicted: Vec<u64>,
}

impl<A> Registry<A> {
    /// Without members.
    #[must_use]
    pub fn new(config: RegistryConfig) -> Self {
        Self {
            config,
            topics: HashMap::new(),
            entered: HashMap::new(),
            lost: VecDeque::new(),
            changed: BTreeSet::new(),
            rests_until: None,
            generation: 0,
            members: 0,
        }
    }

    /// A connection is in a topic from now on, or shows other data there; as another member it has left as the former. `answer` comes back in the batch that stores it.
    ///
    /// # Errors
    /// `TOO_MANY_PRESENCES`; nothing has changed then.
    pub fn enter(&mut self, connection: u64, topic: &Topic, member: &MemberId, hold: Hold, answer: A) -> Result<(), WireError> {
        let entered = self.entered.entry(connection).or_default();
        if !entered.contains_key(topic) && entered.len() >= self.config.topics {
            let text = format!("this connection may have entered {} topics; leave others first", self.config.topics);
            return Err(WireError::new(ErrorCode::TooManyPresences, text));
        }
        let former = entered.insert(topic.clone(), member.clone());
        if let Some(former) = former.filter(|former| former != member) {
            self.take_out(connection, topic, &former, None);
        }
        let waiting = Waiting { connection, member: member.clone(), is_leave: false, answer };
        let here = self.topics.entry(topic.clone()).or_default();
        let known = here.members.len();
        here.members.entry(member.clone()).or_default().enter(connection, hold);
        self.members += here.members.len() - known;
        here.change(member, Some(waiting));
        self.mark(topic);
        Ok(())
    }

    /// A connection is not in a topic any more. `answer` comes back in the batch that stores it, or now where it was not in it.
    pub fn leave(&mut self, connection: u64, topic: &Topic, answer: A) -> Option<A> {
        let Some(member) = self.forget(connection, topic) else { return Some(answer) };
        let waiting = Waiting { connection, member: member.clone(), is_leave: true, answer };
        self.take_out(connection, topic, &member, Some(waiting));
        None
    }

    /// Whether a connection has entered a topic, as far as it has been told.
    #[must_use]
    pub fn has_entered(&self, connection: u64, topic: &Topic) -> bool {
        self.entered.get(&connection).is_some_and(|entered| entered.contains_key(topic))
    }

    /// A connection has ended: `for_good`, or its client may come back within the grace time.
    pub fn closed(&mut self, now: Instant, connection: u64, for_good: bool) {
        let Some(entered) = self.entered.get(&connection) else { return };
        if for_good || self.config.grace.is_zero() {
            return self.end(connection);
        }
        let mut unseen = Vec::new();
        for (topic, member) in entered {
            let here = self.topics.get_mut(topic);
            let local = here.and_then(|here| here.members.get_mut(member));
            // Whom nobody has seen needs no grace: a bus that is away leaves nothing behind here.
            if local.is_some_and(|local| !local.lose(connection)) {
                unseen.push((topic.clone(), member.clone()));
            }
        }
        for (topic, member) in unseen {
            self.forget(connection, &topic);
            self.take_out(connection, &topic, &member, None);
        }
        if self.entered.contains_key(&connection) {
            self.lost.push_back((now + self.config.grace, connection));
        }
    }

    /// When `handle_timeout` is due, and what is to be stored to be taken.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let flush = (!self.changed.is_empty()).then(|| self.rests_until.unwrap_or(now));
        flush.into_iter().chain(self.lost.front().map(|(due, _)| *due)).min()
    }

    /// Ends the grace time of those whose it is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, connection)) = self.lost.front().copied()
            && due <= now
        {
            self.lost.pop_front();
            self.end(connection);
        }
    }

    /// What is to be stored now, each topic once until it is `stored` or has `failed`; nothing within the interval.
    pub fn take(&mut self, now: Instant) -> Vec<Batch<A>> {
        if self.changed.is_empty() || self.rests_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        self.rests_until = Some(now + self.config.interval);
        let (topics, generation) = (&mut self.topics, self.generation);
        mem::take(&mut self.changed)
            .into_iter()
            .filter_map(|topic| {
                let here = topics.get_mut(&topic)?;
                let (changes, waiting) = (here.take(), mem::take(&mut here.waiting));
                here.is_busy = !changes.is_empty() || !waiting.is_empty();
                here.is_busy.then_some(Batch { topic, changes, waiting, generation })
            })
            .collect()
    }

    /// A batch is stored, but for members that were refused: this process has none of them any more, and who has asked for one of them
    /// since is answered with it.
    pub fn stored(&mut self, mut batch: Batch<A>, refused: &HashSet<MemberId>) -> Stored<A> {
        let (mut left, mut over) = (Vec::new(), Vec::new());
        if let Some(here) = self.topics.get_mut(&batch.topic) {
            here.is_busy = false;
            batch.waiting.extend(here.waiting.extract_if(.., |waiting| refused.contains(&waiting.member)));
            let is_void = batch.generation != self.generation;
            for (member, hold) in batch.changes {
                let Some(local) = here.members.get_mut(&member) else { continue };
                if refused.contains(&member) {
                    local.told = Told::No;
                    left.extend(local.connections().map(|connection| (connection, member.clone())));
                } else if is_void {
                    here.changed.insert(member.clone());
                } else {
                    local.told = hold.map_or(Told::No, Told::Yes);
                }
                over.push(member);
            }
        }
        over.iter().for_each(|member| self.tidy(&batch.topic, member));
        for (connection, member) in &left {
            self.forget(*connection, &batch.topic);
            self.take_out(*connection, &batch.topic, member, None);
        }
        self.mark(&batch.topic);
        Stored::new(batch.waiting, refused, left.into_iter().map(|(connection, _)| connection))
    }

    /// A batch may or may not be stored: it is to be taken again, not before `until`.
    pub fn failed(&mut self, batch: Batch<A>, until: Instant) {
        self.rests_until = Some(self.rests_until.map_or(until, |rests| rests.max(until)));
        let Some(here) = self.topics.get_mut(&batch.topic) else { return };
        here.is_busy = false;
        here.changed.extend(batch.changes.into_iter().map(|(member, _)| member).filter(|member| here.members.contains_key(member)));
        let later = mem::replace(&mut here.waiting, batch.waiting);
        here.waiting.extend(later);
        self.mark(&batch.topic);
    }

    /// Nothing that was stored counts any more: all is to be stored anew, at once.
    pub fn begin_again(&mut self) {
        self.generation += 1;
        self.rests_until = None;
        self.members = 0;
        for here in self.topics.values_mut() {
            here.members.retain(|_, local| local.begin_again());
            here.changed = here.members.keys().cloned().collect();
            self.members += here.members.len();
        }
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        topics.iter().for_each(|topic| self.mark(topic));
    }

    /// What is to be stored is so without a rest.
    pub fn hurry(&mut self) {
        self.rests_until = None;
        self.config.interval = Duration::ZERO;
    }

    /// Whether nothing is to be stored, nor under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.changed.is_empty() && self.topics.values().all(|here| !here.is_busy)
    }

    /// Members that this process has connections of, each counted in every topic.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    /// Topics that it has members of.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// A connection leaves all that it has entered.
    fn end(&mut self, connection: u64) {
        for (topic, member) in self.entered.remove(&connection).unwrap_or_default() {
            self.take_out(connection, &topic, &member, None);
        }
    }

    /// Whom a connection had entered a topic as.
    fn forget(&mut self, connection: u64, topic: &Topic) -> Option<MemberId> {
        let entered = self.entered.get_mut(&connection)?;
        let member = entered.remove(topic);
        if entered.is_empty() {
            self.entered.remove(&connection);
        }
        member
    }

    fn take_out(&mut self, connection: u64, topic: &Topic, member: &MemberId, waiting: Option<Waiting<A>>) {
        let Some(here) = self.topics.get_mut(topic) else { return };
        if let Some(local) = here.members.get_mut(member) {
            local.leave(connection);
        }
        here.change(member, waiting);
        self.tidy(topic, member);
        self.mark(topic);
    }

    /// Forgets a member that nobody needs to know of any more.
    fn tidy(&mut self, topic: &Topic, member: &MemberId) {
        let Some(here) = self.topics.get_mut(topic) else { return };
        if here.members.get(member).is_some_and(Local::is_over) {
            here.members.remove(member);
            here.changed.remove(member);
            self.members -= 1;
        }
    }

    /// Has a topic taken if there is anything to store or to answer, once no batch of it is under way; forgets one without members.
    fn mark(&mut self, topic: &Topic) {
        let Some(here) = self.topics.get(topic) else { return };
        if here.is_busy {
            return;
        }
        if here.changed.is_empty() && here.waiting.is_empty() {
            self.changed.remove(topic);
            if here.members.is_empty() {
                self.topics.remove(topic);
            }
        } else {
            self.changed.insert(topic.clone());
        }
    }
}

impl<A> Here<A> {
    fn change(&mut self, member: &MemberId, waiting: Option<Waiting<A>>) {
        self.changed.insert(member.clone());
        self.waiting.extend(waiting);
    }

    /// What of its members is not stored yet, those first that it has no more.
    fn take(&mut self) -> Vec<(MemberId, Option<Hold>)> {
        let members = &mut self.members;
        let changes = mem::take(&mut self.changed).into_iter().filter_map(|member| {
            let hold = members.get_mut(&member)?.take()?;
            Some((member, hold))
        });
        let (gone, here): (Vec<_>, Vec<_>) = changes.partition(|(_, hold)| hold.is_none());
        [gone, here].concat()
    }
}

impl<A> Default for Here<A> {
    fn default() -> Self {
        Self { members: HashMap::new(), changed: HashSet::new(), waiting: Vec::new(), is_busy: false }
    }
}

impl<A> Stored<A> {
    fn new(waiting: Vec<Waiting<A>>, refused: &HashSet<MemberId>, left: impl Iterator<Item = u64>) -> Self {
        let asked: HashSet<_> = waiting.iter().filter(|waiting| !waiting.is_leave).map(|waiting| waiting.connection).collect();
        let evicted = left.filter(|connection| !asked.contains(connection)).collect();
        let answer = |waiting: Waiting<A>| (waiting.answer, !waiting.is_leave && refused.contains(&waiting.member));
        Self { answers: waiting.into_iter().map(answer).collect(), evicted }
    }
}
