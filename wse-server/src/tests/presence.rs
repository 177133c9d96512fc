//! Members over a bus that does not hear of the process for a while, and one that is closed; members whose topic is full ([P-60], [P-62]).
use super::{Call, Client, Rig, on_a_shard};
use crate::{
    ConnectionId, EngineConfig, Policies, TopicPolicy, TopicScope,
    presence::{Evict, evict},
};
use serde_json::{Value, json};
use std::{sync::mpsc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use wse_protocol::{MemberId, Topic, UnixMillis};
use wse_pubsub::{Bus, Change, Held, Incarnation, MemoryConfig, Presence, PresenceLimits};

const ROOM: &str = "room:1";
const PATIENCE: Duration = Duration::from_secs(20);

fn rig(members: usize, lease: Duration) -> Rig {
    let policy = TopicPolicy { presence: true, ..TopicPolicy::default() };
    let policies = Policies::default().with(TopicScope::parse("room:*").expect("a scope"), policy);
    let limits = PresenceLimits { members, lease, ..PresenceLimits::default() };
    let mut config = EngineConfig { policies, ..EngineConfig::default() };
    config.presence.interval = Duration::from_millis(1);
    Rig::over(&config, MemoryConfig::default().presence(limits))
}

/// The task that tells the bus; whom it evicts comes by the channel.
fn begin(rig: &Rig) -> (JoinHandle<()>, mpsc::Receiver<ConnectionId>) {
    let (evicted, receiver) = mpsc::channel();
    let evict: Evict = Box::new(move |id, topic| {
        assert_eq!(topic.as_str(), ROOM);
        let _ = evicted.send(id);
    });
    (tokio::task::spawn_local(rig.shard.presences.clone().run(rig.bus.clone(), evict)), receiver)
}

fn ask(client: &Client, action: &str, key: &str) {
    let p = json!({"action": action, "topic": ROOM, "data": key, "key": key});
    client.say(json!({"v": 2, "c": "WSE", "t": "presence", "cid": "q", "p": p}));
}

/// What it is answered.
async fn enter(client: &Client, key: &str) -> Value {
    ask(client, "enter", key);
    let answer = async {
        loop {
            if let Some(answer) = client.take().pop() {
                return answer;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, answer).await.expect("an answer in time")
}

fn change(name: &str, comes: bool) -> Change {
    let held = Held { user: None, data: "1".into(), at: UnixMillis(1) };
    Change { member: MemberId::parse(name).expect("an id"), to: comes.then_some(held) }
}

/// The process is not heard of until others have its places; then it is again. Whom it evicts first.
async fn lapse(rig: &Rig, others: &Incarnation, lease: Duration, evicted: &mpsc::Receiver<ConnectionId>) -> ConnectionId {
    let topic = Topic::parse(ROOM).expect("a name");
    rig.bus.hold(Call::Renew, true);
    sleep(lease * 3 / 2).await;
    // The bus below, which is not held up.
    let taken = async {
        loop {
            rig.bus.beneath().renew_presence(others).await.expect("it is open");
            let changes = [change("bob", true), change("eve", true)];
            let refused = rig.bus.change_presence(others, &topic, &changes).await.expect("its lease is kept");
            if refused.is_empty() {
                rig.bus.hold(Call::Renew, false);
            }
            if let Ok(id) = evicted.try_recv() {
                return id;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, taken).await.expect("in time")
}

#[tokio::test]
async fn who_has_lost_its_place_while_its_process_was_not_heard_of_is_told_so_and_may_come_again() {
    on_a_shard(async {
        let lease = Duration::from_millis(400);
        let rig = rig(2, lease);
        let (_task, evicted) = begin(&rig);
        let (client, topic) = (rig.connect(), Topic::parse(ROOM).expect("a name"));
        assert_eq!(enter(&client, "a").await["t"], "reply");
        let others = rig.bus.begin_presence().await.expect("it is open");
        assert_eq!(lapse(&rig, &others, lease, &evicted).await, client.connection.id);
        evict(&rig.shard, client.connection.id, &topic);
        let told = client.take();
        let [error] = &told[..] else { panic!("{told:?}") };
        assert_eq!((&error["t"], &error["p"]["code"], &error["p"]["topic"]), (&json!("error"), &json!("PRESENCE_FULL"), &json!(ROOM)));
        assert_eq!(error.get("cid"), None);
        let update = enter(&client, "a").await;
        assert_eq!((&update["p"]["code"], &update["cid"]), (&json!("PRESENCE_FULL"), &json!("q")), "it is in no more");
        rig.bus.change_presence(&others, &topic, &[change("bob", false)]).await.expect("it is open");
        assert_eq!(enter(&client, "a").await["t"], "reply");
        evict(&rig.shard, client.connection.id, &topic);
        assert_eq!(client.take(), Vec::<Value>::new(), "what came late says nothing of one that is in it again");
    })
    .await;
}

#[tokio::test]
async fn a_member_with_another_key_takes_its_own_place_in_a_full_topic() {
    on_a_shard(async {
        let rig = rig(2, PATIENCE);
        let (_task, _evicted) = begin(&rig);
        let (one, two) = (rig.connect(), rig.connect());
        enter(&one, "one").await;
        enter(&two, "two").await;
        for n in 0..30 {
            assert_eq!(enter(&two, &format!("two{n}")).await["t"], "reply", "time {n}");
        }
    })
    .await;
}

#[tokio::test]
async fn with_the_bus_ends_what_tells_it_of_members_also_while_there_is_something_to_tell() {
    on_a_shard(async {
        for (lease, has_news) in [(PATIENCE * 10, true), (Duration::from_millis(60), false)] {
            let rig = rig(2, lease);
            let (task, _evicted) = begin(&rig);
            let client = rig.connect();
            enter(&client, "a").await;
            rig.bus.close().await;
            if has_news {
                ask(&client, "update", "b");
            }
            timeout(Duration::from_secs(5), task).await.expect("it ends").expect("without a panic");
        }
    })
    .await;
}
