//! The topics with interest, shared by subscribers, the listener and the fillers; hands entries over under its one lock.
use super::{
    reader::Read,
    track::{Interest, Rung, Step, Told, Track},
};
use crate::{
    BusEvent, Consumer,
    handover::{HandOver, Place},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;
use wse_protocol::{Position, Publication, Topic};

/// Which topics are wanted, and what must be done for them.
#[derive(Debug)]
pub(crate) struct Interests {
    state: Mutex<State>,
    queues: Vec<HandOver>,
    /// `changed` is not empty.
    wanted: Notify,
    /// `suspects` may have one that all who want it have room for.
    suspected: Arc<Notify>,
    /// A topic has come to listen.
    confirmed: Notify,
}

#[derive(Debug, Default)]
struct State {
    tracks: HashMap<Topic, Track>,
    /// Topics whose subscription may not be what it should.
    changed: HashSet<Topic>,
    /// Topics whose log must be read, each once.
    suspects: VecDeque<Topic>,
}

/// What to tell the server.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) join: Vec<Topic>,
    pub(crate) leave: Vec<Topic>,
}

/// Topics per SUBSCRIBE.
const CHANGES_PER_TURN: usize = 500;

impl Interests {
    /// `suspected` is notified by the queues, too, when they have room.
    pub(crate) fn new(queues: Vec<HandOver>, suspected: Arc<Notify>) -> Self {
        let [wanted, confirmed] = [(); 2].map(|()| Notify::new());
        Self { state: Mutex::default(), queues, wanted, suspected, confirmed }
    }

    /// Whether there is a queue of this name.
    pub(crate) fn knows(&self, consumer: Consumer) -> bool {
        usize::from(consumer.0) < self.queues.len()
    }

    /// Counts one interest; returns the position if the topic is followed already.
    pub(crate) fn add(&self, topic: &Topic, consumer: Consumer) -> Option<Position> {
        let mut state = self.lock();
        let track = state.tracks.entry(topic.clone()).or_default();
        if !track.add_interest(consumer) {
            return track.position().cloned();
        }
        state.changed.insert(topic.clone());
        self.wanted.notify_one();
        None
    }

    /// Gives back one interest; the last ends the topic's events.
    pub(crate) fn remove(&self, topic: &Topic, consumer: Consumer) {
        let mut state = self.lock();
        let Some(track) = state.tracks.get_mut(topic) else { return };
        if track.remove_interest(consumer) {
            state.tracks.remove(topic);
            state.changed.insert(topic.clone());
            self.wanted.notify_one();
        }
    }

    /// Waits until the server sends this topic's bells. Cancel safe.
    pub(crate) async fn listening(&self, topic: &Topic) {
        loop {
            let confirmed = self.confirmed.notified();
            if self.lock().tracks.get(topic).is_none_or(|track| track.listening) {
                return;
            }
            confirmed.await;
        }
    }

    /// The topic stood at `position` after the server had begun to send its bells; returns where its events begin.
    pub(crate) fn establish(&self, topic: &Topic, position: Position) -> Position {
        let mut state = self.lock();
        let Some(track) = state.tracks.get_mut(topic) else { return position };
        if let Some(position) = track.position() {
            return position.clone();
        }
        let mut out = Vec::new();
        let step = track.establish(position.clone(), &mut out);
        self.carry_out(&mut state, topic, step, out);
        position
    }

    /// A bell with its message.
    pub(crate) fn handle_bell(&self, topic: &str, position: Position, publication: Publication) {
        let mut state = self.lock();
        let Some((topic, _)) = state.tracks.get_key_value(topic) else { return };
        let topic = topic.clone();
        let (entry, mut out) = (Rung { position, publication }, Vec::new());
        let Some(track) = state.tracks.get_mut(&topic) else { return };
        let room = self.have_room(track);
        let step = track.handle_bell(entry, room, &mut out);
        self.carry_out(&mut state, &topic, step, out);
    }

    /// Waits for a topic whose log must be read and for room to hand over what is found. Cancel safe while it waits.
    pub(crate) async fn next_suspect(&self) -> (Topic, Position) {
        loop {
            if let Some(found) = self.take_suspect() {
                return found;
            }
            self.suspected.notified().await;
        }
    }

    fn take_suspect(&self) -> Option<(Topic, Position)> {
        let mut state = self.lock();
        let State { tracks, suspects, .. } = &mut *state;
        for _ in 0..suspects.len() {
            let topic = suspects.pop_front()?;
            let Some(track) = tracks.get_mut(&topic) else { continue };
            if !self.have_room(track) {
                suspects.push_back(topic);
            } else if let Some(since) = track.begin_read() {
                if !suspects.is_empty() {
                    self.suspected.notify_one();
                }
                return Some((topic, since));
            }
        }
        None
    }

    fn have_room(&self, track: &Track) -> bool {
        track.interests.iter().all(|interest| self.queues[usize::from(interest.consumer.0)].has_room())
    }

    /// What the log holds after `since`.
    pub(crate) fn handle_read(&self, topic: &Topic, since: &Position, read: Read) {
        let mut state = self.lock();
        let Some(track) = state.tracks.get_mut(topic) else { return };
        let mut out = Vec::new();
        let step = track.handle_read(since, read, &mut out);
        self.carry_out(&mut state, topic, step, out);
    }

    /// The log could not be read: again later.
    pub(crate) fn put_back(&self, topic: Topic) {
        self.lock().suspects.push_back(topic);
        self.suspected.notify_one();
    }

    /// A bell that cannot be read: the log is.
    pub(crate) fn suspect(&self, topic: &str) {
        let mut state = self.lock();
        let Some((topic, _)) = state.tracks.get_key_value(topic) else { return };
        let topic = topic.clone();
        let Some(track) = state.tracks.get_mut(&topic) else { return };
        let step = track.suspect();
        self.carry_out(&mut state, &topic, step, Vec::new());
    }

    /// Every topic is to be checked.
    pub(crate) fn suspect_all(&self) {
        let mut state = self.lock();
        let State { tracks, suspects, .. } = &mut *state;
        for (topic, track) in tracks {
            if track.suspect() == Step::Read {
                suspects.push_back(topic.clone());
            }
        }
        self.suspected.notify_one();
    }

    /// A new subscription connection knows no topic.
    pub(crate) fn restart(&self) {
        let mut state = self.lock();
        let State { tracks, changed, .. } = &mut *state;
        *changed = tracks.keys().cloned().collect();
        tracks.values_mut().for_each(|track| track.listening = false);
        self.wanted.notify_one();
    }

    /// Waits for topics to join or leave; at most 500 at a time. What is taken must be told the server before the next
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
        let topics: Vec<Topic> = state.changed.iter().take(CHANGES_PER_TURN).cloned().collect();
        for topic in topics {
            state.changed.remove(&topic);
            let known = state.tracks.contains_key(&topic);
            if known { &mut changes.join } else { &mut changes.leave }.push(topic);
        }
        changes
    }

    /// The server sends these topics' bells from now on; what was missed before is read.
    pub(crate) fn confirm(&self, topics: &[Topic]) {
        let mut state = self.lock();
        for topic in topics {
            // One that left and came back meanwhile is in `changed` again and is confirmed by the next turn.
            if state.changed.contains(topic) {
                continue;
            }
            let Some(track) = state.tracks.get_mut(topic) else { continue };
            track.listening = true;
            if track.position().is_some() {
                let step = track.suspect();
                self.carry_out(&mut state, topic, step, Vec::new());
            }
        }
        self.confirmed.notify_waiters();
    }

    /// Topics with interest.
    pub(crate) fn len(&self) -> usize {
        self.lock().tracks.len()
    }

    /// Ends the events.
    pub(crate) fn close(&self) {
        self.queues.iter().for_each(HandOver::close);
    }

    fn carry_out(&self, state: &mut State, topic: &Topic, step: Step, out: Vec<Told>) {
        if let Some(track) = state.tracks.get_mut(topic) {
            out.iter().for_each(|told| self.hand_over(topic, track, told));
        }
        if step == Step::Read {
            state.suspects.push_back(topic.clone());
            self.suspected.notify_one();
        }
    }

    fn hand_over(&self, topic: &Topic, track: &mut Track, told: &Told) {
        for Interest { consumer, place, .. } in &mut track.interests {
            let queue = &self.queues[usize::from(consumer.0)];
            let first = match told.clone() {
                Told::Entry(Rung { position, publication }) => queue.push_entry(place, topic, &position, publication),
                Told::Reset(position, reason) => {
                    *place = Place::default();
                    queue.push(BusEvent::Reset { topic: topic.clone(), position, reason })
                }
            };
            if first {
                queue.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
