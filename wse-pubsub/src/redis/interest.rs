//! The logs with interest, topics' and patterns', shared by subscribers, the listener and the fillers; hands entries over under its one lock.
use super::{
    reader::Read,
    track::{Content, Interest, Rung, Step, Told, Track},
};
use crate::{
    BusEvent, Consumer,
    handover::{HandOver, Place},
};
use bytes::Bytes;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;
use wse_core::{ReorderCounts, ReorderLimits};
use wse_protocol::{Followed, Position};

/// The name of a topic or pattern.
pub(crate) type Name = Arc<str>;

/// Which logs are wanted, and what must be done for them.
#[derive(Debug)]
pub(crate) struct Interests {
    state: Mutex<State>,
    queues: Vec<HandOver>,
    /// What each log may keep of what is rung while it is read.
    room: ReorderLimits,
    /// `changed` is not empty.
    wanted: Notify,
    /// `suspects` may have one that all who want it have room for.
    suspected: Arc<Notify>,
    /// One has come to listen.
    confirmed: Notify,
}

#[derive(Debug, Default)]
struct State {
    tracks: HashMap<Name, Track>,
    /// Those whose subscription may not be what it should.
    changed: HashSet<Name>,
    /// Those whose log must be read, each once.
    suspects: VecDeque<Name>,
    /// Entries that came while what was before them was read, and needed no read of their own.
    reorder: ReorderCounts,
}

/// What to tell the server.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) join: Vec<Name>,
    pub(crate) leave: Vec<Name>,
}

/// Channels per SUBSCRIBE.
const CHANGES_PER_TURN: usize = 500;

impl Interests {
    /// `suspected` is notified by the queues, too, when they have room.
    pub(crate) fn new(queues: Vec<HandOver>, room: ReorderLimits, suspected: Arc<Notify>) -> Self {
        let [wanted, confirmed] = [(); 2].map(|()| Notify::new());
        Self { state: Mutex::default(), queues, room, wanted, suspected, confirmed }
    }

    /// Whether there is a queue of this name.
    pub(crate) fn knows(&self, consumer: Consumer) -> bool {
        usize::from(consumer.0) < self.queues.len()
    }

    /// Counts one interest; returns the position if the log is followed already.
    pub(crate) fn add(&self, of: &Followed, consumer: Consumer) -> Option<Position> {
        let mut state = self.lock();
        if let Some(track) = state.tracks.get_mut(of.as_str()) {
            track.add_interest(consumer);
            return track.position().cloned();
        }
        let (name, mut track) = (Name::from(of.as_str()), Track::new(of.clone(), self.room));
        track.add_interest(consumer);
        state.tracks.insert(name.clone(), track);
        state.changed.insert(name);
        self.wanted.notify_one();
        None
    }

    /// Gives back one interest; the last ends the log's events.
    pub(crate) fn remove(&self, name: &str, consumer: Consumer) {
        let mut state = self.lock();
        let Some(track) = state.tracks.get_mut(name) else { return };
        if track.remove_interest(consumer) {
            state.tracks.remove(name);
            state.changed.insert(name.into());
            self.wanted.notify_one();
        }
    }

    /// Hands nothing more over of a log until consumers that are new to it are told where it stands.
    pub(crate) fn hold(&self, name: &str, consumers: Vec<Consumer>) -> Held<'_> {
        if let Some(track) = self.lock().tracks.get_mut(name) {
            track.hold();
        }
        Held { interests: self, name: name.into(), consumers }
    }

    /// Waits until the server sends this log's bells. Cancel safe.
    pub(crate) async fn listening(&self, name: &str) {
        loop {
            let confirmed = self.confirmed.notified();
            if self.lock().tracks.get(name).is_none_or(|track| track.listening) {
                return;
            }
            confirmed.await;
        }
    }

    /// The log stood at `position` after the server had begun to send its bells; returns where its events begin.
    pub(crate) fn establish(&self, name: &str, position: Position) -> Position {
        let mut state = self.lock();
        let Some(track) = state.tracks.get_mut(name) else { return position };
        if let Some(position) = track.position() {
            return position.clone();
        }
        let mut out = Vec::new();
        let step = track.establish(position.clone(), &mut out);
        self.carry_out(&mut state, name, step, &out);
        position
    }

    /// A bell: records from `first` on. One that cannot be read means that the log must be.
    pub(crate) fn handle_bell(&self, name: &str, bell: Option<(Position, Vec<Bytes>)>) {
        let mut state = self.lock();
        let Some(track) = state.tracks.get_mut(name) else { return };
        let Some((mut position, records)) = bell else {
            let step = track.suspect();
            return self.carry_out(&mut state, name, step, &[]);
        };
        for record in records {
            let Some(track) = state.tracks.get_mut(name) else { return };
            let (room, mut out) = (self.have_room(track), Vec::new());
            let step = match Content::decode(&track.of, record) {
                Some(content) => track.handle_bell(Rung { position: position.clone(), content }, room, &mut out),
                None => track.suspect(),
            };
            self.carry_out(&mut state, name, step, &out);
            position.seq = position.seq.next();
        }
    }

    /// Waits for a log that must be read and for room to hand over what is found. Cancel safe while it waits.
    pub(crate) async fn next_suspect(&self) -> (Followed, Position) {
        loop {
            if let Some(found) = self.take_suspect() {
                return found;
            }
            self.suspected.notified().await;
        }
    }

    fn take_suspect(&self) -> Option<(Followed, Position)> {
        let mut state = self.lock();
        let State { tracks, suspects, .. } = &mut *state;
        for _ in 0..suspects.len() {
            let name = suspects.pop_front()?;
            let Some(track) = tracks.get_mut(&name) else { continue };
            if !self.have_room(track) {
                suspects.push_back(name);
            } else if let Some(since) = track.begin_read() {
                if !suspects.is_empty() {
                    self.suspected.notify_one();
                }
                return Some((track.of.clone(), since));
            }
        }
        None
    }

    fn have_room(&self, track: &Track) -> bool {
        !track.held && track.interests.iter().all(|interest| self.queues[usize::from(interest.consumer.0)].has_room())
    }

    /// What the log holds after `since`.
    pub(crate) fn handle_read(&self, name: &str, since: &Position, read: Read) {
        let mut state = self.lock();
        let Some(track) = state.tracks.get_mut(name) else { return };
        let mut out = Vec::new();
        let step = track.handle_read(since, read, &mut out);
        self.carry_out(&mut state, name, step, &out);
    }

    /// The log could not be read: again later.
    pub(crate) fn put_back(&self, name: &str) {
        self.lock().suspects.push_back(name.into());
        self.suspected.notify_one();
    }

    /// Every log that `is_meant` is to be checked.
    pub(crate) fn suspect_all(&self, is_meant: impl Fn(&Followed) -> bool) {
        let mut state = self.lock();
        let State { tracks, suspects, .. } = &mut *state;
        for (name, track) in tracks {
            if is_meant(&track.of) && track.suspect() == Step::Read {
                suspects.push_back(name.clone());
            }
        }
        self.suspected.notify_one();
    }

    /// A new subscription connection knows no log.
    pub(crate) fn restart(&self) {
        let mut state = self.lock();
        let State { tracks, changed, .. } = &mut *state;
        *changed = tracks.keys().cloned().collect();
        tracks.values_mut().for_each(|track| track.listening = false);
        self.wanted.notify_one();
    }

    /// Waits for logs to join or leave; at most 500 at a time. What is taken must be told the server before the next
    /// call, or `restart` be called.
    pub(crate) async fn next_changes(&self) -> Changes {
        loop {
            let changes = self.take_changes();
            if !changes.join.is_empty() || !changes.leave.is_empty() {
                return changes;
            }
            self.wanted.notified().await;
        }
    }

    fn take_changes(&self) -> Changes {
        let (mut state, mut changes) = (self.lock(), Changes::default());
        let names: Vec<Name> = state.changed.iter().take(CHANGES_PER_TURN).cloned().collect();
        for name in names {
            state.changed.remove(&name);
            let known = state.tracks.contains_key(&name);
            if known { &mut changes.join } else { &mut changes.leave }.push(name);
        }
        changes
    }

    /// The server sends these logs' bells from now on; what was missed before is read.
    pub(crate) fn confirm(&self, names: &[Name]) {
        let mut state = self.lock();
        for name in names {
            // One that left and came back meanwhile is in `changed` again and is confirmed by the next turn.
            if state.changed.contains(name) {
                continue;
            }
            let Some(track) = state.tracks.get_mut(name) else { continue };
            track.listening = true;
            if track.position().is_some() {
                let step = track.suspect();
                self.carry_out(&mut state, name, step, &[]);
            }
        }
        self.confirmed.notify_waiters();
    }

    /// Topics and patterns with interest, without the server's own.
    pub(crate) fn count(&self) -> (usize, usize) {
        let state = self.lock();
        let count = |counts: fn(&Followed) -> bool| state.tracks.values().filter(|track| counts(&track.of)).count();
        (count(|of| matches!(of, Followed::Topic(topic) if !topic.is_own())), count(|of| matches!(of, Followed::Pattern(_))))
    }

    /// See `BusHealth::reordered` and `reorder_dropped`.
    pub(crate) fn reorder_counts(&self) -> ReorderCounts {
        self.lock().reorder
    }

    /// Ends the events.
    pub(crate) fn close(&self) {
        self.queues.iter().for_each(HandOver::close);
    }

    fn carry_out(&self, state: &mut State, name: &str, step: Step, out: &[Told]) {
        let State { tracks, suspects, reorder, .. } = state;
        if let Some(track) = tracks.get_mut(name) {
            let counts = track.take_counts();
            reorder.reordered += counts.reordered;
            reorder.dropped += counts.dropped;
            out.iter().for_each(|told| self.hand_over(track, told));
        }
        if step == Step::Read {
            suspects.push_back(name.into());
            self.suspected.notify_one();
        }
    }

    fn hand_over(&self, track: &mut Track, told: &Told) {
        let of = &track.of;
        for interest in track.interests.iter_mut().filter(|interest| interest.wants(told)) {
            let queue = &self.queues[usize::from(interest.consumer.0)];
            if push(queue, interest, of, told.clone()) {
                queue.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log of which nothing is handed over until it is joined or this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    interests: &'a Interests,
    name: Name,
    consumers: Vec<Consumer>,
}

impl Held<'_> {
    /// The consumers are told what there is up to `position`; the rest comes.
    pub(crate) fn join(self, position: &Position) {
        let mut state = self.interests.lock();
        let Some(track) = state.tracks.get_mut(&self.name) else { return };
        let mut out = Vec::new();
        let step = track.join(&self.consumers, position, &mut out);
        self.interests.carry_out(&mut state, &self.name, step, &out);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(track) = self.interests.lock().tracks.get_mut(&self.name) {
            track.held = false;
        }
        self.interests.suspected.notify_one();
    }
}

/// Hands one thing over to one consumer; true if it must be woken.
fn push(queue: &HandOver, interest: &mut Interest, of: &Followed, told: Told) -> bool {
    match (of, told) {
        (Followed::Topic(topic), Told::Entry(Rung { position, content: Content::Message(publication) })) => {
            queue.push_entry(&mut interest.place, topic, &position, publication)
        }
        (Followed::Topic(topic), Told::Reset(position, reason)) => {
            interest.place = Place::default();
            queue.push(BusEvent::Reset { topic: topic.clone(), position, reason })
        }
        (Followed::Pattern(pattern), Told::Entry(Rung { position, content: Content::Birth(topic, start) })) => {
            queue.push(BusEvent::Born { pattern: pattern.clone(), position, topic, start })
        }
        (Followed::Pattern(pattern), Told::Reset(position, reason)) => {
            queue.push(BusEvent::BirthsReset { pattern: pattern.clone(), position, reason })
        }
        (Followed::Topic(_), Told::Entry(Rung { content: Content::Birth(..), .. }))
        | (Followed::Pattern(_), Told::Entry(Rung { content: Content::Message(_), .. })) => false,
    }
}
