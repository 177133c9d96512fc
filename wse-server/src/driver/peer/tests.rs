//! One peer of the slab, turn by turn, over a real socket.
use super::*;
use crate::tests::{Client, Rig, on_a_shard, settle};
use crate::{EngineConfig, transport::Prelude};
use serde_json::json;
use std::net::TcpListener;

/// A client's ping, masked with zeros.
const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];

/// A client's end, and the peer at the other.
fn connected(rig: &Rig) -> (std::net::TcpStream, Client, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let theirs = listener.accept().unwrap().0;
    theirs.set_nonblocking(true).unwrap();
    ours.set_nonblocking(true).unwrap();
    let client = rig.connect();
    let peer = Peer::new(TcpStream::from_std(theirs), client.connection.clone(), Prelude::default(), 1 << 20);
    (ours, client, peer)
}

fn turn(peer: &mut Peer, rig: &Rig, desk: &mut Desk) -> Turn {
    peer.is_ready(true, true, false);
    peer.turn(&rig.shard, desk, Instant::now())
}

fn desk(bytes: usize) -> Desk {
    Desk { buffer: vec![0; bytes].into(), pieces: Vec::new() }
}

#[tokio::test]
async fn a_peer_that_always_has_something_waiting_gets_its_pong_all_the_same() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let (mut ours, client, mut peer) = connected(&rig);
        client.request("subscribe", json!({"topics": ["t"]}));
        settle().await;
        client.take();
        let mut desk = desk(4096);
        while client.connection.session().waiting_bytes() < 300_000 {
            rig.publish("t", 16_000).await;
            turn(&mut peer, &rig, &mut desk);
        }
        // A write was cut short: a part of what was taken for it waits, as it always does where the peer reads slowly.
        let cut = |peer: &Peer| (1..WRITE_BYTES).contains(&peer.pending.iter().map(Bytes::len).sum());
        let mut buffer = vec![0; 4096];
        while !cut(&peer) {
            let _ = ours.read(&mut buffer).unwrap();
            rig.publish("t", 16_000).await;
            turn(&mut peer, &rig, &mut desk);
        }
        ours.write_all(&PING).unwrap();
        turn(&mut peer, &rig, &mut desk);
        let pong = peer.pending.iter().position(|piece| piece[0] == 0x8A);
        assert!(pong.is_some_and(|at| at < peer.pending.len() - 1), "before what is not taken yet: {pong:?}");
    })
    .await;
}

#[tokio::test]
async fn a_closed_peer_that_goes_on_sending_has_its_share_of_a_turn_and_no_more() {
    on_a_shard(async {
        let rig = Rig::new(&EngineConfig::default());
        let (mut ours, client, mut peer) = connected(&rig);
        let flood: Vec<u8> = PING.iter().copied().cycle().take(6 * 50_000).collect();
        let mut sent = 0;
        while let Ok(count) = ours.write(&flood[sent..]) {
            sent += count;
            if sent == flood.len() {
                break;
            }
        }
        assert!(sent > 100_000, "{sent} bytes wait to be read");
        client.close();
        let mut desk = desk(1024);
        let mut turns = 0;
        while turn(&mut peer, &rig, &mut desk) == Turn::Again {
            assert!(matches!(peer.stage, Stage::Lingering(_)), "its close is written");
            turns += 1;
        }
        assert!(turns >= sent / (READS * 1024) - 2, "{sent} bytes in {turns} turns");
        let due = peer.poll_timeout().expect("it lingers for so long");
        peer.handle_timeout(due);
        assert_eq!(turn(&mut peer, &rig, &mut desk), Turn::Gone);
    })
    .await;
}
