//! Random histories against a model that knows only connections, times, and a bus with room for few.
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Op {
    Enter { connection: u64, data: u8 },
    EnterAs { connection: u64, data: u8, member: u64 },
    Leave { connection: u64 },
    Close { connection: u64, for_good: bool },
    Pass { ms: u64 },
    Flush { fate: Fate },
    Lapse,
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Stored,
    StoredUnheard,
    Lost,
    /// All is lost while it is under way.
    Lapses,
}

fn op() -> impl Strategy<Value = Op> {
    let connection = 0..6u64;
    prop_oneof![
        4 => (connection.clone(), 0..3u8).prop_map(|(connection, data)| Op::Enter { connection, data }),
        1 => (connection.clone(), 0..3u8, 0..4u64).prop_map(|(connection, data, member)| Op::EnterAs { connection, data, member }),
        2 => connection.clone().prop_map(|connection| Op::Leave { connection }),
        2 => (connection, any::<bool>()).prop_map(|(connection, for_good)| Op::Close { connection, for_good }),
        3 => (1..20_000u64).prop_map(|ms| Op::Pass { ms }),
        4 => prop_oneof![Just(Fate::Stored), Just(Fate::StoredUnheard), Just(Fate::Lost), Just(Fate::Lapses)].prop_map(|fate| Op::Flush { fate }),
        1 => Just(Op::Lapse),
    ]
}

/// Members that the model's bus has room for.
const ROOM: usize = 2;

/// Connections by what they hold: what a room has to come to. Each that is closed is another one when it comes back.
#[derive(Default)]
struct Model {
    lives: HashMap<u64, u64>,
    /// Bus: whom it was told of.
    bus: BTreeMap<String, Bytes>,
    /// Live connections that have entered, with their member.
    inside: HashMap<u64, String>,
}

impl Model {
    fn connection(&self, connection: u64) -> u64 {
        connection + 10 * self.lives.get(&connection).copied().unwrap_or_default()
    }

    /// Returns whom the bus refuses, which has room for few.
    fn apply(&mut self, changes: &[(MemberId, Option<Hold>)]) -> HashSet<MemberId> {
        let mut refused = HashSet::new();
        for (member, hold) in changes {
            let is_full = self.bus.len() >= ROOM && !self.bus.contains_key(member.as_str());
            match hold {
                Some(_) if is_full => drop(refused.insert(member.clone())),
                Some(hold) => drop(self.bus.insert(member.to_string(), hold.data.clone())),
                None => drop(self.bus.remove(member.as_str())),
            }
        }
        refused
    }

    /// Whoever is inside no more has been told so.
    fn stored(&mut self, room: &mut Room, batch: Batch<u64>, refused: &HashSet<MemberId>) {
        let Stored { answers, evicted } = room.registry.stored(batch, refused);
        let is_out = |connection: &u64| !room.registry.has_entered(*connection, &room.topic);
        assert!(evicted.iter().all(is_out), "{evicted:?} are not all out");
        let refusals = answers.into_iter().filter_map(|(connection, is_refused)| is_refused.then_some(connection));
        let told: HashSet<_> = refusals.chain(evicted).collect();
        let out: HashSet<_> = self.inside.keys().copied().filter(is_out).collect();
        assert!(out.is_subset(&told), "{out:?} are out, {told:?} were told");
        self.inside.retain(|connection, _| !out.contains(connection));
    }

    fn flush(&mut self, room: &mut Room, fate: Fate) {
        for batch in room.registry.take(room.now) {
            let refused = if matches!(fate, Fate::Lost) { HashSet::new() } else { self.apply(&batch.changes) };
            match fate {
                Fate::Stored => self.stored(room, batch, &refused),
                Fate::StoredUnheard | Fate::Lost => room.registry.failed(batch, room.now + INTERVAL),
                Fate::Lapses => {
                    self.bus.clear();
                    room.registry.begin_again();
                    self.stored(room, batch, &refused);
                }
            }
        }
    }

    fn enter(&mut self, room: &mut Room, connection: u64, data: u8, member: u64) {
        let (connection, member) = (self.connection(connection), format!("m{member}"));
        room.enter(connection, &member, &data.to_string());
        self.inside.insert(connection, member);
    }

    fn run(&mut self, room: &mut Room, op: Op) {
        match op {
            Op::Enter { connection, data } => self.enter(room, connection, data, connection % 3),
            Op::EnterAs { connection, data, member } => self.enter(room, connection, data, member),
            Op::Leave { connection } => {
                let connection = self.connection(connection);
                let was_in = self.inside.remove(&connection).is_some();
                assert_eq!(room.registry.leave(connection, &room.topic.clone(), 0).is_none(), was_in);
            }
            Op::Close { connection, for_good } => {
                let now = room.now;
                room.registry.closed(now, self.connection(connection), for_good);
                self.inside.remove(&self.connection(connection));
                *self.lives.entry(connection).or_default() += 1;
            }
            Op::Pass { ms } => room.pass(Duration::from_millis(ms)),
            Op::Flush { fate } => self.flush(room, fate),
            Op::Lapse => {
                self.bus.clear();
                room.registry.begin_again();
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_bus_knows_those_who_are_inside_in_the_end_and_nobody_else(ops in prop::collection::vec(op(), 0..80)) {
        let (mut room, mut model) = (Room::new(GRACE), Model::default());
        for op in ops {
            model.run(&mut room, op);
            // Who is inside has an entry, so that nobody is forgotten who is to be told.
            let members: HashSet<_> = model.inside.values().collect();
            let here = room.registry.topics.get(&room.topic);
            prop_assert!(members.iter().all(|member| here.is_some_and(|here| here.members.contains_key(&id(member)))));
            prop_assert_eq!(room.registry.members(), here.map_or(0, |here| here.members.len()));
        }
        room.pass(GRACE);
        room.pass(GRACE);
        model.flush(&mut room, Fate::Stored);
        room.pass(GRACE);
        model.flush(&mut room, Fate::Stored);
        let mut members: Vec<_> = model.inside.values().cloned().collect();
        members.sort();
        members.dedup();
        prop_assert_eq!(model.bus.keys().cloned().collect::<Vec<_>>(), members.clone());
        prop_assert!(room.registry.is_settled() && room.registry.lost.is_empty());
        prop_assert_eq!((room.registry.members(), room.registry.entered.len()), (members.len(), model.inside.len()));
    }
}
