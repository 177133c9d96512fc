//! One peer of the slab, turn by turn, over a real socket.
use super::*;
use crate::tests::{Client, Rig, on_a_shard, settle};
use crate::{EngineConfig, transport::Prelude};
use serde_json::json;
use std::net::TcpListener;
use wse_core::session::Event;

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

/// A client that follows a topic, and its peer.
async fn following(rig: &Rig) -> (std::net::TcpStream, Client, Peer) {
    let (ours, client, peer) = connected(rig);
    client.request("subscribe", json!({"topics": ["t"]}));
    settle().await;
    client.take();
    (ours, client, peer)
}

/// Frames of the topic, which nobody has written yet.
async fn frames(rig: &mut Rig, client: &Client, bytes: usize) -> Chunk {
    rig.publish("t", bytes).await;
    match client.connection.session().poll_transmit(Instant::now()) {
        Some(Transmit::Topic(chunk)) => chunk,
        other => panic!("no frames: {other:?}"),
    }
}

/// All that came.
fn read(ours: &mut std::net::TcpStream) -> Vec<u8> {
    let (mut buffer, mut stream) = (vec![0; 65536], Vec::new());
    while let Ok(count @ 1..) = ours.read(&mut buffer) {
        stream.extend_from_slice(&buffer[..count]);
    }
    stream
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
        let (mut ours, client, mut peer) = following(&rig).await;
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

#[tokio::test]
async fn frames_go_at_once_where_nothing_goes_before_them_and_wait_otherwise() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let (mut ours, client, mut peer) = following(&rig).await;
        let mut desk = desk(4096);
        let chunk = frames(&mut rig, &client, 100).await;
        assert!(peer.write_at_once(&chunk, Instant::now()));
        assert_eq!(read(&mut ours), chunk.as_bytes());

        client.connection.session().reply("c", wse_protocol::Format::Json, b"1");
        assert!(!peer.write_at_once(&chunk, Instant::now()), "a reply goes first");
        assert_eq!(read(&mut ours), b"");
        turn(&mut peer, &rig, &mut desk);
        assert!(!read(&mut ours).is_empty());
        peer.pong = Some(frame::pong(b"x"));
        assert!(!peer.write_at_once(&chunk, Instant::now()), "a pong goes first");
        turn(&mut peer, &rig, &mut desk);
        assert_eq!(read(&mut ours), *frame::pong(b"x"));

        rig.publish("t", 100).await;
        assert!(!peer.write_at_once(&chunk, Instant::now()), "an earlier message goes first");
        turn(&mut peer, &rig, &mut desk);
        assert_eq!(read(&mut ours).len(), chunk.len(), "the earlier one");
        assert!(peer.write_at_once(&chunk, Instant::now()));
        read(&mut ours);

        client.connection.session().close(Instant::now(), CloseCode::NORMAL, "");
        assert!(!peer.write_at_once(&chunk, Instant::now()), "nothing follows a close");
        turn(&mut peer, &rig, &mut desk);
        assert!(!peer.write_at_once(&chunk, Instant::now()));
        assert_eq!(read(&mut ours), *frame::close(1000, ""));
    })
    .await;
}

#[tokio::test]
async fn what_a_socket_takes_a_part_of_goes_on_in_its_place() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let (mut ours, client, mut peer) = following(&rig).await;
        let mut desk = desk(4096);
        let (mut sent, mut stream) = (Vec::new(), Vec::new());
        while peer.pending.is_empty() {
            let chunk = frames(&mut rig, &client, 60_000).await;
            match peer.write_at_once(&chunk, Instant::now()) {
                true => sent.extend_from_slice(chunk.as_bytes()),
                false => stream.extend(read(&mut ours)),
            }
            assert!(sent.len() < 256 << 20, "no write is ever cut short");
        }
        let last = frames(&mut rig, &client, 1000).await;
        assert!(!peer.write_at_once(&last, Instant::now()), "it does not overtake what is cut");
        let topic = wse_protocol::Topic::parse("t").unwrap();
        client.connection.session().deliver(Instant::now(), &topic, wse_core::SlowPolicy::Recover, last.clone());
        sent.extend_from_slice(last.as_bytes());
        let mut silent = 0;
        while silent < 3 {
            let came = read(&mut ours);
            turn(&mut peer, &rig, &mut desk);
            silent = if came.is_empty() && peer.pending.is_empty() { silent + 1 } else { 0 };
            stream.extend(came);
        }
        assert!(stream == sent, "{} bytes of {} came, or others", stream.len(), sent.len());
    })
    .await;
}

#[tokio::test]
async fn a_socket_that_fails_is_told_of_as_it_failed() {
    on_a_shard(async {
        let mut rig = Rig::new(&EngineConfig::default());
        let (ours, client, mut peer) = following(&rig).await;
        let chunk = frames(&mut rig, &client, 100).await;
        // Closed with bytes unread, which resets the connection.
        assert!(peer.write_at_once(&chunk, Instant::now()));
        drop(ours);
        assert!(!peer.write_at_once(&chunk, Instant::now()));
        let told = std::iter::from_fn(|| client.connection.session().poll_event()).find_map(|event| match event {
            Event::Closed { code, reason, .. } => Some((code, reason)),
            _ => None,
        });
        assert_eq!(told, Some((CloseCode::ABNORMAL, "connection reset".into())));
    })
    .await;
}
