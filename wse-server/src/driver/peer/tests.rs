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

/// Bytes that follow the pong in a stream of whole frames.
fn after_pong(mut stream: &[u8]) -> Option<usize> {
    loop {
        let (header, length) = match stream {
            [0x8A, length, ..] => return Some(stream.len() - 2 - usize::from(*length)),
            [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            [_, length, ..] => (2, usize::from(*length)),
            _ => return None,
        };
        stream = stream.get(header + length..)?;
    }
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
        let (mut buffer, mut stream) = (vec![0; 4096], Vec::new());
        while !cut(&peer) {
            let count = ours.read(&mut buffer).unwrap_or(0);
            stream.extend_from_slice(&buffer[..count]);
            rig.publish("t", 16_000).await;
            turn(&mut peer, &rig, &mut desk);
        }
        let waiting = client.connection.session().waiting_bytes();
        ours.write_all(&PING).unwrap();
        let mut silent = 0;
        while silent < 3 {
            turn(&mut peer, &rig, &mut desk);
            let count = ours.read(&mut buffer).unwrap_or(0);
            stream.extend_from_slice(&buffer[..count]);
            silent = if count == 0 && peer.pending.is_empty() { silent + 1 } else { 0 };
        }
        let after = after_pong(&stream).expect("the ping is answered");
        assert!(waiting > 0 && after >= waiting, "{after} bytes after the pong, of {waiting} that waited");
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
