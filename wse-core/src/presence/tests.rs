//! What is told of members, by cases.
mod model;

use super::*;
use bytes::Bytes;
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
            answered.extend(self.stored(batch, &[]).0.into_iter().map(|(answer, _)| answer));
        }
        told.sort();
        (told, answered)
    }

    /// Who is answered, whether refused, and who was evicted.
    fn stored(&mut self, batch: Batch<u64>, refused: &[&str]) -> (Vec<(u64, bool)>, Vec<u64>) {
        let Stored { answers, mut evicted } = self.registry.stored(batch, &refused.iter().map(|name| id(name)).collect());
        evicted.sort_unstable();
        (answers, evicted)
    }

    /// One that is taken now.
    fn batch(&mut self) -> Batch<u64> {
        self.registry.take(self.now).pop().expect("there is one")
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
    let batch = room.batch();
    assert_eq!(room.stored(batch, &["b"]), (vec![(1, false), (2, true)], vec![]));
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
    let batch = room.batch();
    room.enter(1, "a", "2");
    room.enter(2, "a", "3");
    room.enter(3, "b", "1");
    assert_eq!(room.stored(batch, &["a"]), (vec![(1, true), (1, true), (2, true)], vec![]));
    room.pass(INTERVAL);
    assert_eq!(room.flush(), (vec![set("b", "1")], vec![3]));
    assert_eq!((room.registry.members(), room.registry.entered.len(), room.registry.is_settled()), (1, 1, true));
}

#[test]
fn who_leaves_a_member_that_is_refused_has_left() {
    let mut room = Room::new(GRACE);
    room.enter(1, "a", "1");
    assert_eq!(room.registry.leave(1, &room.topic.clone(), 1), None);
    room.enter(2, "a", "1");
    let batch = room.batch();
    assert_eq!(room.registry.leave(2, &room.topic.clone(), 2), None);
    assert_eq!(room.stored(batch, &["a"]), (vec![(1, true), (1, false), (2, true), (2, false)], vec![]));
    assert_eq!((room.told(), room.registry.members(), room.registry.topics()), (vec![], 0, 0));
}

#[test]
fn whoever_had_been_let_in_and_is_refused_after_a_lapse_is_named_unless_it_has_asked() {
    let mut room = Room::new(GRACE);
    for connection in 1..=5 {
        room.enter(connection, if connection == 5 { "b" } else { "a" }, "1");
    }
    room.told();
    room.registry.begin_again();
    room.enter(2, "a", "2");
    let batch = room.batch();
    room.enter(3, "a", "3");
    assert_eq!(room.registry.leave(4, &room.topic.clone(), 4), None);
    assert_eq!(room.stored(batch, &["a"]), (vec![(2, true), (3, true), (4, false)], vec![1]));
    let inside = [1, 2, 3, 4, 5].map(|connection| room.registry.has_entered(connection, &room.topic));
    assert_eq!((inside, room.told(), room.registry.members()), ([false, false, false, false, true], vec![], 1));
}

#[test]
fn who_leaves_is_told_before_who_comes_so_that_a_full_topic_has_the_room() {
    let mut room = Room::new(GRACE);
    (0..20).for_each(|connection| room.enter(connection, &format!("old{connection}"), "1"));
    room.told();
    (0..20).for_each(|connection| room.enter(connection, &format!("new{connection}"), "1"));
    room.pass(INTERVAL);
    let is_here: Vec<_> = room.batch().changes.iter().map(|(_, hold)| hold.is_some()).collect();
    assert_eq!(is_here, [[false; 20], [true; 20]].concat());
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
    assert_eq!(room.stored(batch, &[]), (vec![(2, false)], vec![]));
    assert_eq!(room.told(), vec![set("a", "1"), set("b", "1")]);
    room.pass(GRACE);
    assert_eq!(room.flush().0, vec![gone("a")]);
}
