//! Half of the subscribers stop reading: the others get everything, memory stays bounded, and those that stalled catch up (G2, G5).
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
use fastwebsockets::{OpCode, Role, WebSocket};
use serde_json::Value;
use socket2::SockRef;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use wse_protocol::Topic;
use wse_server::{App, Engine, EngineConfig, NewMessage, listener};

/// Of each kind: both ends of all are within the 1,024 descriptors that a process has at least.
const CLIENTS: usize = 200;
const MESSAGES: u64 = 100;
const BYTES: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(30);
const UPGRADE: &str = "GET /wse?topics=t HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

type Client = WebSocket<TcpStream>;

/// Subscribed to `t`. Little fits between a narrow one and the server: over loopback the kernel's buffers take megabytes.
async fn connect(address: SocketAddr, narrow: bool) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    if narrow {
        socket.set_recv_buffer_size(4 << 10).unwrap();
        SockRef::from(&socket).set_tcp_mss(536).unwrap();
    }
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let mut client = WebSocket::after_handshake(stream, Role::Client);
    client.set_auto_close(false);
    while next(&mut client).await["t"] != "subscription_update" {}
    client
}

async fn next(client: &mut Client) -> Value {
    let frame = timeout(PATIENCE, client.read_frame()).await.expect("something comes in time").expect("a whole frame");
    assert_eq!(frame.opcode, OpCode::Text, "{:?}", &frame.payload[..]);
    serde_json::from_slice(&frame.payload).expect("JSON")
}

/// Reads every message of the topic, each once and in order.
async fn everything(mut client: Client) -> Client {
    let mut seq = 0;
    while seq < MESSAGES {
        let message = next(&mut client).await;
        if message["t"] == "t" {
            seq += 1;
            assert_eq!(message["seq"], seq);
        }
    }
    client
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

async fn serving() -> (Engine, SocketAddr) {
    let engine = Engine::start(EngineConfig::default()).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, app) = (socket.local_addr().unwrap(), App::new(engine.clone()));
    tokio::spawn(async move { listener::serve(socket, "/wse", &app).await });
    (engine, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_half_of_the_subscribers_stall_the_others_get_everything_and_memory_is_bounded() {
    let (engine, address) = serving().await;
    let mut stalled = Vec::new();
    let mut reading = JoinSet::new();
    for _ in 0..CLIENTS {
        stalled.push(connect(address, true).await);
        reading.spawn(everything(connect(address, false).await));
    }
    let before = resident();
    let payload = format!("\"{}\"", "x".repeat(BYTES));
    let mut most = 0;
    for _ in 0..MESSAGES {
        engine.publish(&Topic::parse("t").unwrap(), NewMessage::new(payload.clone())).await.unwrap();
        most = most.max(resident());
        sleep(Duration::from_millis(3)).await;
    }
    let readers = timeout(PATIENCE, reading.join_all()).await.expect("those that read are not held up");
    let health = engine.health();
    assert!(health.fell_behind >= CLIENTS as u64, "each that stalled fell behind, and was counted: {health:?}");
    assert_eq!((health.slow_consumers, health.resyncs, health.connections), (0, 0, 2 * CLIENTS), "nobody was sent away");
    // What each connection may hold for itself is 1 MiB; runs are shared, so that all together hold little more than one does.
    let grown = most.saturating_sub(before);
    assert!(grown < CLIENTS << 19, "{} MiB for {CLIENTS} that stalled", grown >> 20);
    for client in stalled.drain(..).step_by(20) {
        everything(client).await;
    }
    assert_eq!(engine.health().resyncs, 0, "what they missed was in the log");
    drop(readers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_system_holds_for_one_that_stalls_is_bounded_so_that_its_topics_give_way_soon() {
    let (engine, address) = serving().await;
    let stalled = connect(address, false).await;
    // Left to itself the system takes 4 MB; 1 MiB waits in the session, and a part of a MB is on its way.
    let payload = format!("\"{}\"", "x".repeat(BYTES));
    for _ in 0..2 * MESSAGES {
        engine.publish(&Topic::parse("t").unwrap(), NewMessage::new(payload.clone())).await.unwrap();
    }
    let behind = async {
        while engine.health().fell_behind == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, behind).await.expect("it falls behind");
    everything(stalled).await;
}
