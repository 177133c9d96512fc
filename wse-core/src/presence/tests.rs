//! What is told of members: by cases, and of random histories by a model that knows only connections and times.
use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use wse_protocol::UnixMillis;

const GRACE: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_millis(200);

type Told = Vec<(String, Option<String>)>;

/// A registry of one topic, and a clock.
struct Room {
    registry: Registry<u64>,
    topic: Topic,
    start: Instant,
    now: Instant,
}

fn id(name: &str) -> MemberId {
    MemberId::parse(name).expect("an id")
}

impl Room {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for the test's clock")]
    fn new(grace: Duration) -> Self {
        let (start, config) = (Instant::now(), RegistryConfig { topics: 2, grace, interval: INTERVAL });
        Self { registry: Registry::new(config), topic: Topic::parse("room:1").expect("a name"), start, now: start }
    }

    fn enter(&mut self, connection: u64, member: &str, data: &str) {
        let at = UnixMillis((self.now - self.start).as_millis() as u64);
        let hold = Hold { user: None, data: Bytes::copy_from_slice(data.as_bytes()), at };
        self.registry.enter(connection, &self.topic, &id(member), hold, connection).expect("few topics");
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.registry.handle_timeout(self.now);
    }

    /// What is taken now, stored; who was answered.
    fn flush(&mut self) -> (Told, Vec<u64>) {
        let (mut told, mut answered) = (Vec::new(), Vec::new());
        for batch in self.registry.take(self.now) {
            told.extend(batch.changes.iter().map(|(member, hold)| {
                let data = hold.as_ref().map(|hold| String::from_utf8_lossy(&hold.data).into_owned());
                (member.to_string(), data)
            }));
            answered.extend(self.registry.stored(batch, &HashSet::new()).into_iter().map(|(_, answer)| answer));
        }
        told.sort();
        (told, answered)
    }

    /// After the interval, and nothing else.
    fn told(&mut self) -> Told {
        self.pass(INTERVAL);
        self.flush().0
    }
}

fn set(member: &str, data: &str) -> (String, Option<String>) {
    (member.into(), Some(data.into()))
}

fn gone(member: &str) -> (String, Option<String>) {
    (member.into(), None)
}

#[test]
fn the_first_change_is_told_at_once_and_what_follows_together_after_the_interval() {
    let mut room = Room::new(GRACE);
    assert_eq!(room.registry.poll_timeout(room.now), None);
    room.enter(1, "a", "1");
    assert_eq!(room.registry.poll_timeout(room.now), Some(room.now));
    assert_eq!(room.flush(), (vec![set("a", "1")], vec![1]));
    room.enter(2, "b", "1");
    room.enter(2, "b", "2");
    room.enter(3, "c", "1");
    assert_eq!(room.registry.leave(3, &room.topic.clone(), 3), None);
    assert_eq!(room.flush(), (vec![], vec![]), "within the interval");
    assert_eq!(room.registry.poll_timeout(room.now), Some(room.start + INTERVAL));
    room.pass(INTERVAL);
    assert_eq!(room.flush(), (vec![set("b", "2")], vec![2, 2, 3, 3]), "who came and went is not told");
    assert_eq!((room.registry.members(), room.registry.is_settled(), room.registry.poll_timeout(room.now)), (2, true, None));
}

#[test]
fn a_user_shows_what_its_newest_connection_said_and_then_the_next() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "desk");
    room.told();
    room.enter(2, "a", "phone");
    assert_eq!(room.told(), vec![set("a", "phone")]);
    room.enter(1, "a", "desk again");
    assert_eq!(room.told(), vec![set("a", "desk again")]);
    room.registry.closed(room.now, 1, true);
    assert_eq!(room.told(), vec![set("a", "phone")]);
    assert_eq!(room.registry.leave(2, &room.topic.clone(), 9), None);
    assert_eq!(room.told(), vec![gone("a")]);
    assert_eq!((room.registry.members(), room.registry.topics()), (0, 0));
    assert_eq!(room.registry.leave(2, &room.topic.clone(), 9), Some(9), "not in it any more");
}

#[test]
fn a_connection_that_enters_as_another_member_has_left_as_the_former() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    room.told();
    room.enter(2, "b", "1");
    room.enter(1, "b", "2");
    assert_eq!(room.told(), vec![gone("a"), set("b", "2")]);
    room.enter(1, "c", "1");
    room.enter(1, "d", "1");
    assert_eq!(room.told(), vec![set("b", "1"), set("d", "1")], "nobody has seen the one between");
    room.registry.closed(room.now, 1, true);
    room.registry.closed(room.now, 2, true);
    assert_eq!(room.told(), vec![gone("b"), gone("d")]);
    assert_eq!((room.registry.members(), room.registry.topics(), room.registry.entered.len()), (0, 0, 0));
}

#[test]
fn who_comes_back_within_the_grace_time_is_told_of_in_nothing_and_may_leave_at_once() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    room.told();
    room.registry.closed(room.now, 1, false);
    room.pass(GRACE - Duration::from_millis(1));
    assert_eq!(room.flush().0, vec![]);
    room.enter(2, "a", "1");
    assert_eq!(room.flush(), (vec![], vec![2]));
    room.pass(GRACE * 2);
    assert_eq!(room.flush().0, vec![], "the lost connection's time is over, the member is there");
    room.registry.closed(room.now, 2, false);
    room.enter(3, "a", "1");
    room.registry.closed(room.now, 3, true);
    assert_eq!(room.told(), vec![gone("a")], "nothing of the earlier connections holds it");
}

#[test]
fn a_lost_connection_leaves_when_its_grace_time_is_over() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    room.enter(2, "b", "1");
    room.told();
    room.registry.closed(room.now, 1, false);
    let lost = room.now;
    room.registry.closed(room.now, 2, true);
    assert_eq!(room.told(), vec![gone("b")]);
    assert_eq!(room.registry.poll_timeout(room.now), Some(lost + GRACE));
    room.pass(GRACE);
    assert_eq!(room.flush().0, vec![gone("a")]);
    assert_eq!(room.registry.entered.len() + room.registry.lost.len(), 0);
}

#[test]
fn a_change_that_failed_is_told_again_and_answered_then() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    let batch = room.registry.take(room.now).pop().expect("one");
    assert!(room.registry.take(room.now + INTERVAL * 2).is_empty(), "one batch of a topic at a time");
    room.enter(1, "a", "2");
    let until = room.now + Duration::from_secs(1);
    room.registry.failed(batch, until);
    assert_eq!(room.told(), vec![], "not before");
    assert_eq!(room.registry.poll_timeout(room.now), Some(until));
    room.registry.closed(room.now, 1, true);
    room.pass(Duration::from_secs(1));
    assert_eq!(room.flush(), (vec![gone("a")], vec![1, 1]), "it may have been stored");
    assert_eq!(room.registry.members(), 0);
}

#[test]
fn nobody_that_was_never_told_is_kept_for_a_grace_time() {
    let mut room = Room::new(GRACE);
    for connection in 0..1000 {
        room.enter(connection, &format!("m{connection}"), "1");
        room.registry.closed(room.now, connection, false);
    }
    assert_eq!((room.registry.members(), room.registry.entered.len(), room.registry.lost.len()), (0, 0, 0));
    assert_eq!(room.flush().0, vec![]);
}

#[test]
fn who_is_refused_is_not_here_and_a_topic_too_many_changes_nothing() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    room.enter(2, "b", "1");
    let batch = room.registry.take(room.now).pop().expect("one");
    assert_eq!(room.registry.stored(batch, &HashSet::from([id("b")])).len(), 2);
    assert_eq!((room.registry.members(), room.registry.entered.len(), room.registry.is_settled()), (1, 1, true));
    let hold = || Hold { user: None, data: Bytes::from_static(b"1"), at: UnixMillis(0) };
    let mut enter = |name: &str| room.registry.enter(1, &Topic::parse(name).expect("a name"), &id("a"), hold(), 1);
    assert_eq!((enter("room:2"), enter("room:3").map_err(|error| error.code)), (Ok(()), Err(ErrorCode::TooManyPresences)));
    assert_eq!((enter("room:1"), room.registry.topics()), (Ok(()), 2));
}

#[test]
fn who_asked_for_a_refused_member_meanwhile_is_refused_with_it() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    let batch = room.registry.take(room.now).pop().expect("one");
    room.enter(1, "a", "2");
    room.enter(2, "a", "3");
    room.enter(3, "b", "1");
    let refused = room.registry.stored(batch, &HashSet::from([id("a")]));
    assert_eq!(refused, [1, 1, 2].map(|connection| (id("a"), connection)));
    room.pass(INTERVAL);
    assert_eq!(room.flush(), (vec![set("b", "1")], vec![3]));
    assert_eq!((room.registry.members(), room.registry.entered.len(), room.registry.is_settled()), (1, 1, true));
}

#[test]
fn all_is_told_anew_after_a_lease_is_lost_what_was_under_way_included() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    room.told();
    room.enter(2, "b", "1");
    room.registry.closed(room.now, 1, false);
    room.pass(INTERVAL);
    let batch = room.registry.take(room.now).pop().expect("one");
    room.registry.begin_again();
    assert!(room.registry.take(room.now).is_empty(), "one is under way");
    // The bus had stored it before it forgot all.
    assert_eq!(room.registry.stored(batch, &HashSet::new()).len(), 1);
    assert_eq!(room.told(), vec![set("a", "1"), set("b", "1")]);
    room.pass(GRACE);
    assert_eq!(room.flush().0, vec![gone("a")]);
}

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

    fn apply(&mut self, changes: &[(MemberId, Option<Hold>)]) {
        for (member, hold) in changes {
            match hold {
                Some(hold) => drop(self.bus.insert(member.to_string(), hold.data.clone())),
                None => drop(self.bus.remove(member.as_str())),
            }
        }
    }

    fn flush(&mut self, room: &mut Room, fate: Fate) {
        for batch in room.registry.take(room.now) {
            if !matches!(fate, Fate::Lost) {
                self.apply(&batch.changes);
            }
            match fate {
                Fate::Stored => drop(room.registry.stored(batch, &HashSet::new())),
                Fate::StoredUnheard | Fate::Lost => room.registry.failed(batch, room.now + INTERVAL),
                Fate::Lapses => {
                    self.bus.clear();
                    room.registry.begin_again();
                    drop(room.registry.stored(batch, &HashSet::new()));
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
