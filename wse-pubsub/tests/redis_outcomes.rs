//! Outcomes on a server that several processes share: a process that dies, and a server that forgets (G3).
mod support;

use std::{sync::Arc, time::Duration};
use support::RedisServer;
use tokio::time::{Instant, sleep};
use wse_protocol::Seq;
use wse_pubsub::{
    Begin, Begun, Bus, OutcomeLimits, Producers, RedisBus,
    conformance::{first, producer, reply, within_a_minute},
};

async fn connect(server: &RedisServer) -> Arc<RedisBus> {
    let outcomes = OutcomeLimits { lease: Duration::from_millis(500), ..OutcomeLimits::default() };
    Arc::new(RedisBus::connect(server.config().outcomes(outcomes), 1).await.expect("connected").0)
}

fn one() -> Seq {
    Seq::new(1).expect("small")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_begins_another_knows_and_when_it_dies_it_is_unknown() {
    within_a_minute(async {
        let server = RedisServer::start();
        let (left, right, of) = (connect(&server).await, connect(&server).await, producer(Some("ada"), "p"));
        assert_eq!(left.producers_epoch(), right.producers_epoch());
        assert_eq!(left.begin(&first(&of, 1, 1)).await.expect("an answer"), Begun::Run);
        assert_eq!(right.begin(&first(&of, 1, 2)).await.expect("an answer"), Begun::Running);
        left.close().await;
        sleep(Duration::from_millis(700)).await;
        right.renew().await.expect("an answer");
        assert_eq!(right.begin(&first(&of, 1, 2)).await.expect("an answer"), Begun::Unknown, "another's lease does not help");
        let again = Begin { again: true, ..first(&of, 1, 3) };
        assert_eq!(right.begin(&again).await.expect("an answer"), Begun::Run);
        right.done(&of, one(), &reply("1")).await.expect("an answer");
        let third = connect(&server).await;
        assert_eq!(third.begin(&first(&of, 1, 4)).await.expect("an answer"), Begun::Done(reply("1")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgot_has_another_epoch_which_is_learnt_without_being_used() {
    within_a_minute(async {
        let mut server = RedisServer::start();
        let (bus, of) = (connect(&server).await, producer(None, "p"));
        let before = bus.producers_epoch();
        assert_eq!(bus.begin(&first(&of, 1, 1)).await.expect("an answer"), Begun::Run);
        bus.done(&of, one(), &reply("1")).await.expect("an answer");
        server.kill();
        server.start_again();
        let deadline = Instant::now() + Duration::from_secs(20);
        while bus.producers_epoch() == before {
            assert!(Instant::now() < deadline, "the epoch is learnt with the next proof of the connection");
            sleep(Duration::from_millis(50)).await;
        }
        let repetition = Begin { sent: Some(&before), ..first(&of, 1, 2) };
        assert_eq!(bus.begin(&repetition).await.expect("an answer"), Begun::Unknown);
        assert_eq!(bus.begin(&first(&of, 2, 3)).await.expect("an answer"), Begun::Run);
    })
    .await;
}
