//! What changes among members under the bus's lock, and is told in the same step.
use super::{
    MemoryBus,
    rooms::Seen,
    turn::{Full, Turn},
};
use crate::{
    BusError, Change, Incarnation, Presence, PresenceLimits,
    presence::{DIFF_BYTES, DIFF_ENTRIES, logs_of, told_count, told_diff},
};
use std::sync::Arc;
use wse_protocol::{MemberId, PresenceDiff, PresenceState, Publication, Topic};

/// A topic and the two logs that tell of its members.
struct Room<'a> {
    topic: &'a Topic,
    logs: [Topic; 2],
}

impl<'a> Room<'a> {
    fn of(topic: &'a Topic) -> Result<Self, BusError> {
        Ok(Self { topic, logs: logs_of(topic)? })
    }
}

impl Turn<'_> {
    /// Makes changes from the front until what others are told of them fills a message; how many. None where the incarnation has lapsed.
    fn change_presence(
        &mut self,
        by: &Incarnation,
        room: &Room<'_>,
        changes: &[Change],
        refused: &mut Vec<MemberId>,
    ) -> Result<Option<usize>, Full> {
        self.room_to_tell(room)?;
        if !self.state.rooms.lives(by) {
            return Ok(None);
        }
        Ok(Some(self.tell_changes(room, changes, |turn, change| match turn.state.rooms.change(by, room.topic, change) {
            Seen::Refused(member) => {
                refused.push(member);
                Seen::Same
            }
            seen => seen,
        })))
    }

    /// Gives up some of what incarnations hold that have lapsed; whether there was any.
    fn reap_presence(&mut self) -> Result<bool, Full> {
        let Some((by, topic, changes)) = self.state.rooms.overdue(DIFF_ENTRIES) else { return Ok(false) };
        // What has members has logs.
        let Ok(room) = Room::of(&topic) else { return Ok(false) };
        self.room_to_tell(&room)?;
        self.tell_changes(&room, &changes, |turn, change| turn.state.rooms.reap(&by, &topic, change));
        Ok(true)
    }

    fn tell_changes(&mut self, room: &Room<'_>, changes: &[Change], mut make: impl FnMut(&mut Self, &Change) -> Seen) -> usize {
        let (before, mut diff, mut bytes, mut done) = (self.state.rooms.count(room.topic), PresenceDiff::default(), 0, 0);
        for change in changes {
            match make(self, change) {
                Seen::Set(member) => {
                    bytes += member.data.len();
                    diff.set.push(member);
                }
                Seen::Gone(member) => diff.gone.push(member),
                Seen::Same | Seen::Refused(_) => {}
            }
            done += 1;
            if diff.set.len() + diff.gone.len() >= DIFF_ENTRIES || bytes >= DIFF_BYTES {
                break;
            }
        }
        let after = self.state.rooms.count(room.topic);
        diff.count = after as u64;
        let [members, count] = &room.logs;
        if !(diff.set.is_empty() && diff.gone.is_empty()) {
            self.tell_watchers(members, || told_diff(&diff));
        }
        if before != after {
            self.tell_watchers(count, || told_count(after as u64));
        }
        done
    }

    /// One that nobody watches is no log.
    fn tell_watchers(&mut self, log: &Topic, told: impl FnOnce() -> Publication) {
        if let Some(id) = self.state.stores.of(log).find(log) {
            self.store(id, log, &[Arc::new(told())]);
        }
    }

    fn room_to_tell(&self, room: &Room<'_>) -> Result<(), Full> {
        room.logs.iter().try_for_each(|log| {
            let store = self.state.stores.of(log);
            store.find(log).map_or(Ok(()), |id| self.room(store.interests(id).iter().map(|interest| interest.consumer)))
        })
    }

    fn presence(&mut self, topic: &Topic, log: &Topic, list: bool) -> Result<PresenceState, Full> {
        let position = self.touch(log)?;
        let rooms = &self.state.rooms;
        Ok(PresenceState { members: list.then(|| rooms.members(topic)), count: rooms.count(topic) as u64, position })
    }
}

#[async_trait::async_trait]
impl Presence for MemoryBus {
    fn presence_limits(&self) -> PresenceLimits {
        self.presence_limits
    }

    async fn begin_presence(&self) -> Result<Incarnation, BusError> {
        let incarnation = Incarnation::new();
        self.turn(|turn| turn.state.rooms.begin(turn.now, &incarnation))?;
        Ok(incarnation)
    }

    async fn renew_presence(&self, incarnation: &Incarnation) -> Result<bool, BusError> {
        let lives = self.turn(|turn| turn.state.rooms.renew(turn.now, incarnation))?;
        while self.turn_with_room(|turn| turn.reap_presence()).await? {}
        Ok(lives)
    }

    async fn change_presence(&self, incarnation: &Incarnation, topic: &Topic, mut changes: &[Change]) -> Result<Vec<MemberId>, BusError> {
        let (room, mut refused) = (Room::of(topic)?, Vec::new());
        loop {
            let made = self.turn_with_room(|turn| turn.change_presence(incarnation, &room, changes, &mut refused)).await?;
            changes = &changes[made.ok_or(BusError::Lapsed)?..];
            if changes.is_empty() {
                return Ok(refused);
            }
        }
    }

    async fn presence(&self, topic: &Topic, list: bool) -> Result<PresenceState, BusError> {
        let [members, count] = logs_of(topic)?;
        let log = if list { members } else { count };
        self.turn_with_room(|turn| turn.presence(topic, &log, list)).await
    }
}
