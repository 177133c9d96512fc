//! Members of topics, in memory: who holds whom, and what others see.
use crate::{Change, Held, Incarnation, PresenceLimits};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    time::Duration,
};
use wse_protocol::{Member, MemberId, Topic};

/// What a hold costs besides its data.
const HOLD: usize = 256;

/// Every topic that has members.
#[derive(Debug)]
pub(super) struct Rooms {
    limits: PresenceLimits,
    rooms: HashMap<Topic, Room>,
    leases: BTreeMap<Incarnation, Lease>,
    bytes: usize,
    refused: u64,
    lapsed: u64,
}

/// Holds of each member, the newest first: at least one.
type Room = BTreeMap<MemberId, Vec<Hold>>;

#[derive(Debug)]
struct Hold {
    by: Incarnation,
    held: Held,
}

#[derive(Debug)]
struct Lease {
    until: Duration,
    /// Others were told, or are about to be.
    lapsed: bool,
    holds: HashMap<Topic, BTreeSet<MemberId>>,
}

/// What a change means to others.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Same,
    Set(Member),
    Gone(MemberId),
    /// The incarnation has none of it, as before: there are too many.
    Refused(MemberId),
}

impl Rooms {
    pub(super) fn new(limits: PresenceLimits) -> Self {
        Self { limits, rooms: HashMap::new(), leases: BTreeMap::new(), bytes: 0, refused: 0, lapsed: 0 }
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn lapsed(&self) -> u64 {
        self.lapsed
    }

    pub(super) fn begin(&mut self, now: Duration, incarnation: &Incarnation) {
        let lease = Lease { until: now + self.limits.lease, lapsed: false, holds: HashMap::new() };
        self.leases.insert(incarnation.clone(), lease);
    }

    /// Prolongs a lease that has not lapsed; false where it has. Those of others lapse that are over.
    pub(super) fn renew(&mut self, now: Duration, incarnation: &Incarnation) -> bool {
        let own = self.leases.get_mut(incarnation).filter(|lease| !lease.lapsed);
        let lives = own.map(|lease| lease.until = now + self.limits.lease).is_some();
        self.leases.values_mut().for_each(|lease| lease.lapsed |= lease.until <= now);
        self.leases.retain(|_, lease| !lease.lapsed || !lease.holds.is_empty());
        lives
    }

    pub(super) fn lives(&self, incarnation: &Incarnation) -> bool {
        self.leases.get(incarnation).is_some_and(|lease| !lease.lapsed)
    }

    /// Some of what a lapsed incarnation still holds: at most `limit` members of one topic, to be given up.
    pub(super) fn overdue(&self, limit: usize) -> Option<(Incarnation, Topic, Vec<Change>)> {
        let (incarnation, lease) = self.leases.iter().find(|(_, lease)| lease.lapsed)?;
        let (topic, members) = lease.holds.iter().next()?;
        let changes = members.iter().take(limit).map(|member| Change { member: member.clone(), to: None });
        Some((incarnation.clone(), topic.clone(), changes.collect()))
    }

    /// A lapsed incarnation's hold is given up.
    pub(super) fn reap(&mut self, incarnation: &Incarnation, topic: &Topic, change: &Change) -> Seen {
        self.lapsed += 1;
        let seen = self.change(incarnation, topic, change);
        self.leases.retain(|_, lease| !lease.lapsed || !lease.holds.is_empty());
        seen
    }

    pub(super) fn change(&mut self, incarnation: &Incarnation, topic: &Topic, change: &Change) -> Seen {
        let Change { member, to } = change;
        let mut room = self.rooms.remove(topic).unwrap_or_default();
        let before = shown(&room, member);
        let known = room.get(member).and_then(|holds| holds.iter().find(|hold| hold.by == *incarnation));
        let bytes = self.bytes - known.map_or(0, Hold::cost) + to.as_ref().map_or(0, cost);
        // Whom it has it goes on to have: the bound holds for those that come.
        let full = known.is_none() && (bytes > self.limits.bytes || (before.is_none() && room.len() >= self.limits.members));
        let seen = if to.is_some() && full {
            self.refused += 1;
            Seen::Refused(member.clone())
        } else {
            self.bytes = bytes;
            put(&mut room, incarnation, member, to.clone());
            self.note(incarnation, topic, member, to.is_some());
            match (before, shown(&room, member)) {
                (Some(_), None) => Seen::Gone(member.clone()),
                (before, Some(after)) if before.as_ref() != Some(&after) => Seen::Set(after),
                _ => Seen::Same,
            }
        };
        if !room.is_empty() {
            self.rooms.insert(topic.clone(), room);
        }
        seen
    }

    /// Members of a topic.
    pub(super) fn count(&self, topic: &Topic) -> usize {
        self.rooms.get(topic).map_or(0, Room::len)
    }

    pub(super) fn members(&self, topic: &Topic) -> Vec<Member> {
        self.rooms.get(topic).into_iter().flatten().filter_map(|(id, holds)| Some(holds.first()?.held.shown(id))).collect()
    }

    /// Keeps what an incarnation holds, to find it when its lease has lapsed.
    fn note(&mut self, incarnation: &Incarnation, topic: &Topic, member: &MemberId, holds: bool) {
        let Some(lease) = self.leases.get_mut(incarnation) else { return };
        match lease.holds.entry(topic.clone()) {
            Entry::Occupied(mut held) if !holds => {
                held.get_mut().remove(member);
                if held.get().is_empty() {
                    held.remove();
                }
            }
            Entry::Vacant(_) if !holds => {}
            held => drop(held.or_default().insert(member.clone())),
        }
    }
}

impl Hold {
    fn cost(&self) -> usize {
        cost(&self.held)
    }
}

fn cost(held: &Held) -> usize {
    HOLD + held.data.len() + held.user.as_deref().map_or(0, str::len)
}

fn shown(room: &Room, member: &MemberId) -> Option<Member> {
    room.get(member)?.first().map(|hold| hold.held.shown(member))
}

fn put(room: &mut Room, by: &Incarnation, member: &MemberId, to: Option<Held>) {
    let holds = room.entry(member.clone()).or_default();
    holds.retain(|hold| hold.by != *by);
    holds.extend(to.map(|held| Hold { by: by.clone(), held }));
    holds.sort_by(|a, b| b.held.at.cmp(&a.held.at).then_with(|| a.by.cmp(&b.by)));
    if holds.is_empty() {
        room.remove(member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{enter, leave, member, topic};

    #[test]
    fn bytes_of_all_members_are_bounded_and_given_back() {
        let mut rooms = Rooms::new(PresenceLimits { bytes: 3 * (HOLD + 5), ..PresenceLimits::default() });
        let (one, other, room) = (Incarnation::new(), Incarnation::new(), topic("room"));
        [&one, &other].into_iter().for_each(|incarnation| rooms.begin(Duration::ZERO, incarnation));
        // Two bytes of data, three of the user's name.
        for id in ["ada", "bob", "eve"] {
            assert!(matches!(rooms.change(&one, &room, &enter(id, "10", 1)), Seen::Set(_)));
        }
        assert_eq!(rooms.change(&one, &room, &enter("joe", "10", 1)), Seen::Refused(member("joe")));
        assert_eq!(rooms.change(&other, &room, &enter("ada", "10", 1)), Seen::Refused(member("ada")), "another hold of one who is there");
        assert!(matches!(rooms.change(&one, &room, &enter("ada", "1000", 2)), Seen::Set(_)), "who is held may change");
        assert_eq!((rooms.count(&room), rooms.refused()), (3, 2));
        for id in ["ada", "bob", "eve", "eve"] {
            rooms.change(&one, &room, &leave(id));
        }
        assert_eq!((rooms.bytes, rooms.rooms.len(), rooms.leases[&one].holds.len()), (0, 0, 0), "nothing is left");
    }
}
