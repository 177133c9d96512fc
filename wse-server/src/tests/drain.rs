//! A shard that sends its clients away ([P-67]).
use super::{Client, Rig, on_a_shard, settle};
use crate::{EngineConfig, shard::DrainPlan};
use serde_json::{Value, json};
use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::sync::oneshot::{self, error::TryRecvError};
use wse_core::session::Offer;

const PLAN: DrainPlan = DrainPlan { window: Duration::from_secs(4), limit: Duration::from_secs(6) };

/// A client that has said whether it moves.
fn greeted(rig: &Rig, moves: bool) -> Client {
    let client = rig.connect_with(Offer { hello_promised: true, ..Offer::default() });
    let hello = json!({"v": 2, "c": "WSE", "t": "client_hello", "p": {"move": moves}}).to_string();
    client.connection.session().handle_text(Instant::now(), &mut hello.into_bytes());
    assert_eq!(client.take().last().expect("frames")["t"], "server_ready");
    client
}

fn drain(rig: &Rig, plan: DrainPlan) -> oneshot::Receiver<()> {
    let (done, drained) = oneshot::channel();
    rig.shard.drain(plan, done);
    drained
}

/// What each is told, in any order; the same of all.
fn waits(clients: &[Client]) -> Vec<u64> {
    let told: Vec<Value> = clients.iter().flat_map(Client::take).collect();
    assert!(told.iter().all(|frame| frame["t"] == "move" && frame["p"]["for_ms"] == 10_000), "{told:?}");
    let mut waits: Vec<_> = told.iter().map(|frame| frame["p"]["in_ms"].as_u64().unwrap()).collect();
    waits.sort_unstable();
    waits
}

/// Gone, as its driver would have it.
fn goes(rig: &Rig, client: &Client) {
    client.close();
    rig.shard.connections.borrow_mut().remove(&client.connection.id);
}

#[tokio::test(start_paused = true)]
async fn those_that_move_are_told_when_evenly_within_the_window_and_the_others_return_soon() {
    on_a_shard(async {
        let rig = Rig::new(&EngineConfig::default());
        let movers: Vec<_> = (0..4).map(|_| greeted(&rig, true)).collect();
        let others = [greeted(&rig, false), rig.connect()];
        let mut drained = drain(&rig, PLAN);
        assert_eq!(waits(&movers), [0, 1000, 2000, 3000]);
        for client in &others {
            assert_eq!(client.take(), [json!({"t": "close", "code": 1012})]);
            goes(&rig, client);
        }
        for client in &movers {
            assert_eq!(drained.try_recv(), Err(TryRecvError::Empty));
            goes(&rig, client);
        }
        drained.await.expect("done when the last has gone");
        assert_eq!((rig.shard.counters.moves.load(Relaxed), rig.shard.counters.moves_overdue.load(Relaxed)), (4, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_has_not_moved_in_time_is_closed_and_then_given_up() {
    on_a_shard(async {
        let rig = Rig::new(&EngineConfig::default());
        let client = [greeted(&rig, true)];
        let (began, mut drained) = (tokio::time::Instant::now(), drain(&rig, PLAN));
        assert_eq!(waits(&client), [0]);
        tokio::time::sleep(Duration::from_millis(9_900)).await;
        assert_eq!((client[0].take().len(), drained.try_recv()), (0, Err(TryRecvError::Empty)));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(client[0].take(), [json!({"t": "close", "code": 1012})]);
        assert_eq!(rig.shard.counters.moves_overdue.load(Relaxed), 1);
        drained.await.expect("done, though it is there");
        assert!((16..17).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_without_a_window_hurries_the_first() {
    on_a_shard(async {
        let rig = Rig::new(&EngineConfig::default());
        let client = [greeted(&rig, true)];
        let first = drain(&rig, PLAN);
        assert_eq!(waits(&client), [0]);
        let second = drain(&rig, PLAN.at_once());
        settle().await;
        assert_eq!(client[0].take(), [json!({"t": "close", "code": 1012})]);
        goes(&rig, &client[0]);
        first.await.expect("done");
        second.await.expect("done");
    })
    .await;
}
