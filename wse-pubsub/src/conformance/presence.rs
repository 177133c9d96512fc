//! Members of topics: who holds them, what others see, and that the state and what is told of it agree ([P-60] to [P-64]).
use super::{Factory, ONE, Setup, entries, make_one, roomy, silent, topic};
use crate::{Bus, BusError, Change, EventReceiver, Held, History, HistoryGap, Incarnation, PresenceLimits};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;
use wse_core::log::{LogLimits, PageLimit};
use wse_protocol::{Member, MemberId, PRESENCE, PRESENCE_COUNT, PresenceDiff, PresenceState, Topic, UnixMillis};

/// Members by id, with their data.
pub type Shown = BTreeMap<String, String>;

const LEASE: Duration = Duration::from_millis(300);

/// An id of this text.
#[must_use]
pub fn member(id: &str) -> MemberId {
    MemberId::parse(id).expect("a member's id")
}

/// A member that has this data since `at`; it has a user of its name.
#[must_use]
pub fn enter(id: &str, data: &str, at: u64) -> Change {
    let (user, data) = (Some(id.into()), Bytes::copy_from_slice(data.as_bytes()));
    Change { member: member(id), to: Some(Held { user, data, at: UnixMillis(at) }) }
}

/// A member that is not held any more.
#[must_use]
pub fn leave(id: &str) -> Change {
    Change { member: member(id), to: None }
}

/// Changes of which none is refused.
pub async fn change(bus: &Arc<dyn Bus>, by: &Incarnation, topic: &Topic, changes: &[Change]) {
    let refused = bus.change_presence(by, topic, changes).await.expect("the bus answers");
    assert_eq!(refused, [], "there is room for all");
}

/// Who is in a topic by the bus.
pub async fn state(bus: &Arc<dyn Bus>, topic: &Topic) -> PresenceState {
    bus.presence(topic, true).await.expect("the bus answers")
}

/// The members of a state.
#[must_use]
pub fn shown(state: &PresenceState) -> Shown {
    let members = state.members.as_ref().expect("they were asked for");
    assert_eq!(members.len() as u64, state.count);
    members.iter().map(pair).collect()
}

fn pair(member: &Member) -> (String, String) {
    assert_eq!(member.user.as_deref(), Some(member.id.as_str()));
    (member.id.to_string(), String::from_utf8(member.data.to_vec()).expect("JSON"))
}

/// What a diff makes of what was shown before it.
pub fn apply(shown: &mut Shown, diff: &PresenceDiff) {
    shown.extend(diff.set.iter().map(pair));
    for id in &diff.gone {
        shown.remove(id.as_str());
    }
    assert_eq!(shown.len() as u64, diff.count, "the count is that of the members");
}

/// The next `count` messages of a topic's members.
pub async fn diffs(receiver: &mut EventReceiver, count: usize) -> Vec<PresenceDiff> {
    let read = |entry: crate::Entry| {
        assert_eq!(&*entry.publication.event_type, PRESENCE);
        PresenceDiff::decode(&entry.publication.payload).expect("a diff")
    };
    entries(receiver, count).await.into_iter().map(read).collect()
}

async fn watch(bus: &Arc<dyn Bus>, log: &Topic) {
    bus.subscribe(log, ONE).await.expect("subscribed");
}

fn log_of(topic: &Topic) -> Topic {
    topic.members_log().expect("a short name")
}

async fn begin(bus: &Arc<dyn Bus>) -> Incarnation {
    bus.begin_presence().await.expect("the bus answers")
}

async fn renew(bus: &Arc<dyn Bus>, incarnation: &Incarnation) -> bool {
    bus.renew_presence(incarnation).await.expect("the bus answers")
}

fn with_lease(lease: Duration) -> Setup {
    Setup { presence: PresenceLimits { lease, ..PresenceLimits::default() }, ..roomy() }
}

/// However many processes hold a member: its join is told once, its leave once, and its newest data is shown.
pub async fn a_member_of_several_incarnations_comes_once_and_leaves_once(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let (room, one, other) = (topic("room:1"), begin(&bus).await, begin(&bus).await);
    watch(&bus, &log_of(&room)).await;
    change(&bus, &one, &room, &[enter("ada", "1", 10)]).await;
    let came = &diffs(&mut receiver, 1).await[0];
    assert_eq!((came.set.len(), came.gone.len(), came.count), (1, 0, 1));
    change(&bus, &one, &room, &[enter("ada", "1", 11)]).await;
    change(&bus, &other, &room, &[enter("ada", "1", 12)]).await;
    silent(&mut receiver).await;
    change(&bus, &other, &room, &[enter("ada", "2", 20)]).await;
    assert_eq!(pair(&diffs(&mut receiver, 1).await[0].set[0]).1, "2");
    change(&bus, &one, &room, &[enter("ada", "3", 15)]).await;
    silent(&mut receiver).await;
    change(&bus, &other, &room, &[leave("ada")]).await;
    assert_eq!(pair(&diffs(&mut receiver, 1).await[0].set[0]).1, "3", "the next newest is shown");
    change(&bus, &other, &room, &[leave("ada")]).await;
    silent(&mut receiver).await;
    change(&bus, &one, &room, &[leave("ada")]).await;
    let left = &diffs(&mut receiver, 1).await[0];
    assert_eq!((left.set.len(), left.gone.clone(), left.count), (0, vec![member("ada")], 0));
    assert_eq!(shown(&state(&bus, &room).await), Shown::new());
}

/// Which of two holds of the same time is shown does not depend on who said so last, so that nobody flickers.
pub async fn of_two_that_are_equally_new_the_same_one_is_shown(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, roomy()).await;
    let (room, one, other) = (topic("room:1"), begin(&bus).await, begin(&bus).await);
    let holds = [(&one, "1"), (&other, "2"), (&one, "1"), (&other, "2")];
    let mut seen = vec![];
    for (by, data) in holds {
        change(&bus, by, &room, &[enter("ada", data, 10)]).await;
        seen.push(shown(&state(&bus, &room).await)["ada"].clone());
    }
    assert!(seen[1] == seen[2] && seen[2] == seen[3], "{seen:?}");
}

/// A client that comes back to another process is not seen to leave or to come.
pub async fn a_member_that_moves_is_not_seen_to_leave(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let (room, one, other) = (topic("room:1"), begin(&bus).await, begin(&bus).await);
    change(&bus, &one, &room, &[enter("ada", "1", 10)]).await;
    watch(&bus, &log_of(&room)).await;
    watch(&bus, &room.count_log().expect("a short name")).await;
    change(&bus, &other, &room, &[enter("ada", "1", 20)]).await;
    change(&bus, &one, &room, &[leave("ada")]).await;
    silent(&mut receiver).await;
    assert_eq!(shown(&state(&bus, &room).await).len(), 1);
}

/// The count has a log of its own, which tells nothing but changes of it.
pub async fn the_count_is_told_where_it_changes(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let (room, one) = (topic("room:1"), begin(&bus).await);
    watch(&bus, &room.count_log().expect("a short name")).await;
    change(&bus, &one, &room, &[enter("ada", "1", 1), enter("bob", "1", 1)]).await;
    change(&bus, &one, &room, &[enter("ada", "2", 2)]).await;
    change(&bus, &one, &room, &[enter("eve", "2", 3), leave("bob")]).await;
    change(&bus, &one, &room, &[leave("ada")]).await;
    let told = entries(&mut receiver, 2).await;
    let texts: Vec<_> = told.iter().map(|entry| (&*entry.publication.event_type, &entry.publication.payload[..])).collect();
    assert_eq!(texts, [(PRESENCE_COUNT, &br#"{"count":2}"#[..]), (PRESENCE_COUNT, br#"{"count":1}"#)]);
    silent(&mut receiver).await;
    let only = bus.presence(&room, false).await.expect("the bus answers");
    assert_eq!((only.members, only.count, only.position), (None, 1, told[1].position.clone()));
}

/// What nobody watches is kept and not written, and the first who watches gets the state.
pub async fn a_topic_without_watchers_has_members_and_no_log(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let (room, one) = (topic("room:1"), begin(&bus).await);
    change(&bus, &one, &room, &[enter("ada", r#"{"a":[1, "}"]}"#, 1)]).await;
    watch(&bus, &log_of(&room)).await;
    let state = state(&bus, &room).await;
    assert_eq!((shown(&state)["ada"].as_str(), state.position.seq.number()), (r#"{"a":[1, "}"]}"#, 0));
    silent(&mut receiver).await;
    assert_eq!(bus.health().topics, 0, "the server's own are not counted");
    assert!(matches!(bus.change_presence(&one, &topic(&"x".repeat(191)), &[]).await, Err(BusError::Topic { .. })));
}

/// Many are told in messages of a bounded size.
pub async fn many_members_are_told_in_messages_of_bounded_size(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, roomy()).await;
    let (room, one) = (topic("room:1"), begin(&bus).await);
    watch(&bus, &log_of(&room)).await;
    let all: Vec<_> = (0..1200).map(|number| enter(&format!("m{number}"), "1", 1)).collect();
    change(&bus, &one, &room, &all).await;
    let told = diffs(&mut receiver, 3).await;
    assert_eq!(told.iter().map(|diff| (diff.set.len(), diff.count)).collect::<Vec<_>>(), [(500, 500), (500, 1000), (200, 1200)]);
    let large = format!("\"{}\"", "x".repeat(1000));
    let all: Vec<_> = (0..200).map(|number| enter(&format!("m{number}"), &large, 2)).collect();
    change(&bus, &one, &room, &all).await;
    let told = diffs(&mut receiver, 4).await;
    assert!(told.iter().all(|diff| diff.set.len() < 70) && told.iter().map(|diff| diff.set.len()).sum::<usize>() == 200);
    assert_eq!(shown(&state(&bus, &room).await).len(), 1200);
}

/// Above the bound a newcomer is refused, told to the caller alone; who is there may change, and makes room by leaving.
pub async fn a_full_topic_refuses_newcomers(factory: &dyn Factory) {
    let presence = PresenceLimits { members: 2, ..PresenceLimits::default() };
    let (bus, mut receiver) = make_one(factory, Setup { presence, ..roomy() }).await;
    let (room, one, other) = (topic("room:1"), begin(&bus).await, begin(&bus).await);
    watch(&bus, &log_of(&room)).await;
    let refused = bus.change_presence(&one, &room, &["a", "b", "c"].map(|id| enter(id, "1", 1))).await.expect("the bus answers");
    assert_eq!(refused, [member("c")]);
    assert_eq!(diffs(&mut receiver, 1).await[0].count, 2);
    change(&bus, &other, &room, &[enter("a", "2", 2)]).await;
    change(&bus, &other, &room, &[leave("b")]).await;
    diffs(&mut receiver, 1).await;
    silent(&mut receiver).await;
    change(&bus, &one, &room, &[leave("b"), enter("c", "1", 1)]).await;
    assert_eq!(shown(&state(&bus, &room).await).into_keys().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!((bus.presence_limits(), bus.health().presence_refused), (presence, 1));
}

/// What a process holds that is not heard of leaves once, though several find it at the same time.
pub async fn what_a_lapsed_incarnation_holds_leaves_once_though_several_remove_it(factory: &dyn Factory) {
    // Long enough for a busy machine to renew in time.
    let lease = LEASE * 5;
    let (bus, mut receiver) = make_one(factory, with_lease(lease)).await;
    let (dead, one, other) = (begin(&bus).await, begin(&bus).await, begin(&bus).await);
    let rooms = ["room:1", "room:2", "room:3"].map(topic);
    let mut watched = vec![];
    for room in &rooms {
        let all: Vec<_> = (0..600).map(|number| enter(&format!("m{number}"), "1", 1)).collect();
        change(&bus, &dead, room, &all).await;
        change(&bus, &other, room, &[enter("m7", "2", 2), enter("m8", "1", 0)]).await;
        watch(&bus, &log_of(room)).await;
        watched.push(shown(&state(&bus, room).await));
    }
    let began = tokio::time::Instant::now();
    while began.elapsed() < lease + LEASE {
        assert_eq!(tokio::join!(renew(&bus, &one), renew(&bus, &other)), (true, true), "they are heard of");
        sleep(LEASE / 10).await;
    }
    let gone: usize = diffs(&mut receiver, 6).await.iter().map(|diff| diff.gone.len() + diff.set.len()).sum();
    assert_eq!(gone, 3 * 598);
    silent(&mut receiver).await;
    for room in &rooms {
        let left = shown(&state(&bus, room).await);
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [("m7".into(), "2".into()), ("m8".into(), "1".into())]);
    }
    assert!(bus.health().presence_lapsed >= 1800, "{:?}", bus.health());
    assert!(!renew(&bus, &dead).await, "it is told");
    let late = bus.change_presence(&dead, &rooms[0], &[enter("m1", "1", 1)]).await;
    assert!(matches!(late, Err(BusError::Lapsed)), "{late:?}");
    let again = begin(&bus).await;
    change(&bus, &again, &rooms[0], &[enter("m1", "1", 1)]).await;
    assert_eq!(diffs(&mut receiver, 1).await[0].count, 3);
}

/// A process that was stopped, and was missed by nobody, goes on.
pub async fn an_incarnation_that_nobody_has_missed_goes_on(factory: &dyn Factory) {
    let (bus, _receiver) = make_one(factory, with_lease(LEASE)).await;
    let (room, one) = (topic("room:1"), begin(&bus).await);
    change(&bus, &one, &room, &[enter("ada", "1", 1)]).await;
    sleep(LEASE * 2).await;
    assert!(renew(&bus, &one).await);
    change(&bus, &one, &room, &[enter("bob", "1", 1)]).await;
    assert_eq!(state(&bus, &room).await.count, 2);
}

/// One that enters everything again under a new incarnation, before the old one has lapsed, is not seen.
pub async fn a_new_incarnation_takes_over_from_the_old_one_unseen(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, with_lease(LEASE)).await;
    let (room, old, new) = (topic("room:1"), begin(&bus).await, begin(&bus).await);
    let all = ["ada", "bob"].map(|id| enter(id, "1", 1));
    change(&bus, &old, &room, &all).await;
    watch(&bus, &log_of(&room)).await;
    change(&bus, &new, &room, &all).await;
    let began = tokio::time::Instant::now();
    while began.elapsed() < LEASE * 2 {
        assert!(renew(&bus, &new).await);
        sleep(LEASE / 10).await;
    }
    assert!(!renew(&bus, &old).await);
    silent(&mut receiver).await;
    assert_eq!(state(&bus, &room).await.count, 2);
}

/// What has been trimmed of the log is a gap, and the state read after it is whole.
pub async fn a_trimmed_log_is_a_gap_and_the_state_is_whole(factory: &dyn Factory) {
    let log = LogLimits { messages: 5, ..PresenceLimits::default().log };
    let (bus, _receiver) = make_one(factory, Setup { presence: PresenceLimits { log, ..PresenceLimits::default() }, ..roomy() }).await;
    let (room, one) = (topic("room:1"), begin(&bus).await);
    let start = bus.subscribe(&log_of(&room), ONE).await.expect("subscribed");
    for number in 0..250 {
        change(&bus, &one, &room, &[enter(&format!("m{}", number % 50), &number.to_string(), number)]).await;
    }
    let read = bus.history(&log_of(&room), &start, PageLimit::entries(9)).await.expect("read");
    assert!(matches!(read, History::Gap { reason: HistoryGap::Trimmed, .. }), "{read:?}");
    let state = state(&bus, &room).await;
    assert_eq!((state.position.seq.number(), shown(&state).len(), shown(&state)["m49"].as_str()), (250, 50, "249"));
}

/// Operations at random from several incarnations, at once; whoever reads the state, and applies what is told after its position, has
/// the state that is read later.
pub async fn what_is_told_after_a_state_leads_to_the_later_state(factory: &dyn Factory) {
    let (bus, mut receiver) = make_one(factory, with_lease(Duration::from_millis(80))).await;
    let room = topic("room:1");
    watch(&bus, &log_of(&room)).await;
    let seed = crate::random::random_u64();
    let workers: Vec<_> = (0..3).map(|worker| tokio::spawn(work(bus.clone(), room.clone(), seed ^ (worker << 20)))).collect();
    let mut states = vec![];
    while !workers.iter().all(tokio::task::JoinHandle::is_finished) {
        states.push(state(&bus, &room).await);
        sleep(Duration::from_millis(3)).await;
    }
    for worker in workers {
        worker.await.expect("no panic");
    }
    states.push(state(&bus, &room).await);
    let last = states[states.len() - 1].position.seq.number();
    let told = diffs(&mut receiver, usize::try_from(last).expect("small")).await;
    silent(&mut receiver).await;
    let at = |state: &PresenceState| usize::try_from(state.position.seq.number()).expect("small");
    for pair in states.windows(2) {
        let mut by_diffs = shown(&pair[0]);
        told[at(&pair[0])..at(&pair[1])].iter().for_each(|diff| apply(&mut by_diffs, diff));
        assert_eq!(by_diffs, shown(&pair[1]), "seed {seed}");
    }
    assert!(told.len() > 100 && states.len() > 5, "something has happened: {} {}", told.len(), states.len());
}

/// One process's changes at random; now and then it is stopped for longer than its lease.
async fn work(bus: Arc<dyn Bus>, room: Topic, mut random: u64) {
    let mut draw = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut by = begin(&bus).await;
    for at in 0..150 {
        let any = |draw: &mut dyn FnMut(u64) -> u64| match draw(3) {
            0 => leave(&format!("m{}", draw(20))),
            _ => enter(&format!("m{}", draw(20)), &draw(3).to_string(), at + draw(5)),
        };
        let mut changes: Vec<_> = (0..=draw(4)).map(|_| any(&mut draw)).collect();
        changes.sort_by(|a, b| a.member.cmp(&b.member));
        changes.dedup_by(|a, b| a.member == b.member);
        if let Err(error) = bus.change_presence(&by, &room, &changes).await {
            assert!(matches!(error, BusError::Lapsed), "{error}");
            by = begin(&bus).await;
        }
        if draw(4) == 0 && !renew(&bus, &by).await {
            by = begin(&bus).await;
        }
        if draw(30) == 0 {
            sleep(Duration::from_millis(120)).await;
        }
    }
}
