//! A slab with one real socket, turned by hand.
use super::*;
use crate::{
    EngineConfig,
    driver::Sockets,
    hub::Outlet,
    tests::{Nobody, Rig, on_a_shard, settle},
};
use std::{io::Read, net};
use wse_core::session::Offer;
use wse_protocol::Topic;

/// What the hub of a running shard writes through, but that no socket is given its turn.
struct Turnless<'a>(Sockets<'a>);

impl Outlet for Turnless<'_> {
    fn write(&mut self, connection: &Connection, chunk: &Chunk, now: Instant) -> bool {
        self.0.write(connection, chunk, now)
    }

    fn flush(&mut self, _: Instant) {}
}

/// A client that follows topic `t`, and the slab that its other end is in.
async fn seated(rig: &Rig) -> (net::TcpStream, Reactor) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut reactor = Reactor::new().unwrap();
    let offer = Offer { topics: vec!["t".into()], ..Offer::default() };
    let new = NewConnection { id: ConnectionId(7), name: "c7".into(), host: Arc::new(Nobody), offer };
    reactor.adopt(&rig.shard, new, listener.accept().unwrap().0, Prelude::default()).unwrap();
    reactor.turn(&rig.shard);
    settle().await;
    reactor.turn(&rig.shard);
    (ours, reactor)
}

fn read(ours: &mut net::TcpStream) -> String {
    let mut buffer = [0; 8192];
    let count = ours.read(&mut buffer).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn a_message_is_on_the_wire_when_the_hub_has_come_to_its_subscriber_and_no_turn_is_needed() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let (mut ours, mut reactor) = seated(&rig).await;
        assert!(read(&mut ours).contains("subscription_update"));
        for payload in ["\"first\"", "\"second\""] {
            rig.store(&Topic::parse("t").unwrap(), payload).await;
            let shard = rig.shard.clone();
            rig.hand_on_to(&mut Turnless(Sockets { reactor: &mut reactor, shard: &shard }));
            assert!(read(&mut ours).contains(payload));
        }
        reactor.turn(&rig.shard);
        assert_eq!(read(&mut ours), "", "and none comes twice");
    })
    .await;
}

#[tokio::test]
async fn a_place_is_written_to_for_the_connection_that_has_it_and_for_no_other() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let (mut ours, mut reactor) = seated(&rig).await;
        read(&mut ours);
        let client = rig.connect();
        client.request("subscribe", serde_json::json!({"topics": ["t"]}));
        settle().await;
        client.take();
        rig.publish("t", 100).await;
        let Some(wse_core::session::Transmit::Topic(chunk)) = client.connection.session().poll_transmit(Instant::now()) else {
            panic!("no frames")
        };
        reactor.turn(&rig.shard);
        read(&mut ours);
        let session = rig.shard.session("c9".into(), Offer::default());
        let other = reactor.connection(0, ConnectionId(9), session, Arc::new(Nobody));
        assert!(!reactor.write(&other, &chunk, Instant::now()));
        assert_eq!(read(&mut ours), "");
        let its = rig.shard.connections.borrow()[&ConnectionId(7)].clone();
        assert!(reactor.write(&its, &chunk, Instant::now()));
        assert!(!read(&mut ours).is_empty());
    })
    .await;
}
