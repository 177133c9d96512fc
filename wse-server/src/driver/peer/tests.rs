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

/// Whether a pong is among the whole frames, which are taken away.
fn has_pong(read: &mut Vec<u8>) -> bool {
    let (mut at, mut found) = (0, false);
    while let Some([opcode, length, extended @ ..]) = read.get(at..).and_then(|rest| rest.first_chunk::<10>()) {
        let (header, length) = match length {
            127 => (10, usize::from_be_bytes(extended[..8].try_into().unwrap())),
            126 => (4, usize::from(u16::from_be_bytes([extended[0], extended[1]]))),
            length => (2, usize::from(*length)),
        };
        if read.len() < at + header + length {
            break;
        }
        found |= *opcode == 0x8A;
        at += header + length;
    }
    read.drain(..at);
    found
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
        ours.write_all(&PING).unwrap();
        let (mut read, mut buffer, mut total) = (Vec::new(), vec![0; 65_536], 0);
        while !has_pong(&mut read) {
            assert!(total < 64 << 20, "no pong in {total} bytes");
            turn(&mut peer, &rig, &mut desk);
            if let Ok(count) = ours.read(&mut buffer) {
                read.extend_from_slice(&buffer[..count]);
                total += count;
            }
            while client.connection.session().waiting_bytes() < 300_000 {
                rig.publish("t", 16_000).await;
            }
        }
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
