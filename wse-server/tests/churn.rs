//! Connects and disconnects during a fan-out, over real sockets: nothing of those who came and went is left, and those who stay miss
//! nothing, in order (G1, G2, G5). `CHURN=40000 cargo test -p wse-server --test churn` is the long form; by default 8,000 come and go.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use wse_core::log::LogLimits;
use wse_protocol::Topic;
use wse_pubsub::MemoryConfig;
use wse_server::{App, BusChoice, Engine, EngineConfig, NewMessage, listener};

const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST: &str = "GET /wse?topics=t HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// A masked close frame of code 1000; the mask is zero.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
/// Under way at a time: both ends of each are this process's descriptors.
const AT_ONCE: usize = 200;
/// Who stays for all of it.
const STEADY: usize = 10;
/// Bytes by which memory may grow in the second half, whatever its length: the allocator's fragments. Measured: at most 0.8 MB, after
/// 4,000 as after 20,000; a connection that stayed would have 1,000 by itself.
const FRAGMENTS: usize = 2 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_that_come_and_go_during_a_fan_out_leave_no_descriptor_no_memory_and_no_task() {
    let churn: usize = std::env::var("CHURN").ok().map_or(8000, |text| text.parse().unwrap());
    let (engine, address) = service().await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..STEADY {
        readers.spawn(read_in_order(address));
    }
    reaches(&engine, |engine| engine.health().subscriptions == STEADY).await;
    let publisher = tokio::spawn(publish_until(engine.clone(), ended.clone()));
    // What is made once, and the allocator's room for a rush, is there after the first half.
    come_and_go(&engine, address, churn / 2).await;
    let before = Holding::now();
    come_and_go(&engine, address, churn / 2).await;
    let after = Holding::now();
    ended.store(true, SeqCst);
    let published = publisher.await.unwrap();
    while let Some(read) = timeout(PATIENCE, readers.join_next()).await.expect("the last message comes in time") {
        assert_eq!(read.unwrap(), published, "who stays gets every message, in order");
    }
    reaches(&engine, |engine| engine.health().connections == 0).await;
    let health = engine.inspect().await;
    assert_eq!((health.health.subscriptions, health.health.topics, health.health.handshakes), (0, 0, 0));
    assert_eq!(after.descriptors, before.descriptors, "descriptors");
    // A timer's or the publisher's task may be under way at either moment; one for each of those who came would be thousands.
    assert!(after.tasks <= before.tasks + 8, "tasks: {before:?} {after:?}");
    let grown = after.resident.saturating_sub(before.resident);
    println!("{churn} came and went beside {published} messages; the second half left {grown} bytes: {after:?}");
    assert!(grown < FRAGMENTS, "{grown} bytes more after the second half of {churn}: {before:?} {after:?}");
}

/// A service whose log is small, so that what grows is not what is published.
async fn service() -> (Engine, SocketAddr) {
    let mut config = EngineConfig::default();
    config.bus = BusChoice::Memory(MemoryConfig::default().history(LogLimits { messages: 64, ..LogLimits::default() }));
    config.session.messages_per_second = None;
    let engine = Engine::start(config).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, app) = (socket.local_addr().unwrap(), App::new(engine.clone()));
    tokio::spawn(async move { listener::serve(socket, "/wse", &app).await });
    (engine, address)
}

/// Publishes 500 messages a second until the end, and then a last one; returns how many.
async fn publish_until(engine: Engine, ended: Arc<AtomicBool>) -> u64 {
    let topic = Topic::parse("t").unwrap();
    let mut count = 0;
    loop {
        let last = ended.load(SeqCst);
        let payload = if last { "\"last\"".into() } else { format!("\"{}\"", "x".repeat(100)) };
        engine.publish(&topic, NewMessage::new(payload)).await.unwrap();
        count += 1;
        if last {
            return count;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Reads until the last message; returns its number. Panics where one is missing.
async fn read_in_order(address: SocketAddr) -> u64 {
    let mut socket = upgraded(address).await;
    let mut seen = 0;
    loop {
        let Some(message) = next(&mut socket).await else { panic!("closed after {seen}") };
        if message["t"] != "t" {
            continue;
        }
        seen += 1;
        assert_eq!(message["seq"], seen);
        if message["p"] == "last" {
            return seen;
        }
    }
}

async fn come_and_go(engine: &Engine, address: SocketAddr, count: usize) {
    let mut visits = JoinSet::new();
    for number in 0..count {
        if visits.len() >= AT_ONCE {
            visits.join_next().await.unwrap().unwrap();
        }
        visits.spawn(async move { timeout(PATIENCE, visit(address, number)).await.expect("a visit ends in time") });
    }
    while let Some(visit) = visits.join_next().await {
        visit.unwrap();
    }
    let is_quiet = |engine: &Engine| engine.health().connections == STEADY && engine.health().handshakes == 0;
    reaches(engine, is_quiet).await;
    assert_eq!(engine.health().subscriptions, STEADY);
}

/// One that comes and goes, in one of the ways there are.
async fn visit(address: SocketAddr, number: usize) {
    match number % 6 {
        0 => drop(TcpStream::connect(address).await.unwrap()),
        1 => {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(&REQUEST.as_bytes()[..40]).await.unwrap();
        }
        2 => {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(b"GET /wse/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
            socket.read_to_end(&mut Vec::new()).await.unwrap();
        }
        3 => {
            let mut socket = upgraded(address).await;
            socket.write_all(&CLOSE).await.unwrap();
            // Up to the server's own end, with whatever it had sent before.
            socket.read_to_end(&mut Vec::new()).await.unwrap();
        }
        4 => drop(upgraded(address).await),
        _ => {
            let socket = upgraded(address).await;
            socket.set_zero_linger().unwrap();
        }
    }
}

/// A client that has its `server_ready`.
async fn upgraded(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    while next(&mut socket).await.expect("open")["t"] != "server_ready" {}
    socket
}

/// The next message of JSON; none at the close.
async fn next(socket: &mut TcpStream) -> Option<Value> {
    let (kind, short) = (socket.read_u8().await.ok()?, socket.read_u8().await.ok()?);
    let len = match short {
        126 => usize::from(socket.read_u16().await.ok()?),
        127 => socket.read_u64().await.ok()? as usize,
        short => usize::from(short),
    };
    let mut payload = vec![0; len];
    socket.read_exact(&mut payload).await.ok()?;
    (kind & 0x0f == 1).then(|| serde_json::from_slice(&payload).unwrap())
}

async fn reaches(engine: &Engine, what: impl Fn(&Engine) -> bool) {
    let reached = async {
        while !what(engine) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{:?}", engine.health()));
}

/// What this process holds.
#[derive(Debug)]
struct Holding {
    descriptors: usize,
    resident: usize,
    /// Of the application's runtime.
    tasks: usize,
}

impl Holding {
    fn now() -> Self {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let resident = pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096;
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        Self { descriptors, resident, tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks() }
    }
}
