//! A server that loses, doubles and swaps messages on purpose is caught, and one that cuts its frames anyhow is not blamed.
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};
use wse_bench::{
    BenchError, handshake,
    load::{Speech, Target, fanout},
    pool::Opening,
    scan::push_server_frame,
    stamp::{self, Stamp},
    tally::Tally,
};

/// Time for the load to begin to listen.
const PAUSE: Duration = Duration::from_millis(150);

/// Serves one client: answers its handshake, is ready, pauses, and writes the pieces one by one.
fn server(pieces: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a port");
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        socket.set_nodelay(true).expect("a socket");
        open(&mut socket);
        for piece in pieces {
            socket.write_all(&piece).expect("the client reads");
            thread::sleep(Duration::from_millis(5));
        }
        // The client's goodbye, or the pong to a ping before it; then the socket is closed.
        let _ = socket.read(&mut [0; 512]);
        thread::sleep(PAUSE * 4);
    });
    address
}

fn open(socket: &mut TcpStream) {
    let mut request = Vec::new();
    let answer = loop {
        let mut bytes = [0; 512];
        let count = socket.read(&mut bytes).expect("a request");
        request.extend_from_slice(&bytes[..count]);
        if let Some((answer, _)) = handshake::answer(&request) {
            break answer;
        }
    };
    let mut bytes = answer.into_bytes();
    push_server_frame(&mut bytes, 1, b"ready");
    socket.write_all(&bytes).expect("the client reads");
    thread::sleep(PAUSE);
}

fn frames(numbers: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers {
        push_server_frame(&mut bytes, 1, &stamp::message(200, Stamp { number: *number, nanos: 0 }));
    }
    bytes
}

fn listen(pieces: Vec<Vec<u8>>) -> Result<Tally, BenchError> {
    let opening = Opening { path: "/".into(), hello: None, ready: Some("ready".into()) };
    let mut target = Target { address: server(pieces), opening, pid: None, server: None, speech: Speech::Plain, writes_counted: false };
    let time = Duration::from_millis(300);
    let plan =
        fanout::Plan { subscribers: 1, size: 0, drive: fanout::Drive::Listen, warmup: time, measured: time, ..fanout::Plan::default() };
    fanout::run(&mut target, &plan).map(|outcome| outcome.whole)
}

fn counts(tally: Tally) -> [u64; 4] {
    [tally.received, tally.missing, tally.doubled, tally.late]
}

#[test]
fn a_server_that_loses_messages_is_caught() {
    assert_eq!(listen(vec![frames(&[0, 1, 3, 4, 8])]).map(counts).expect("it listens"), [5, 4, 0, 0]);
}

#[test]
fn a_server_that_doubles_messages_is_caught() {
    assert_eq!(listen(vec![frames(&[0, 1, 1, 2]), frames(&[0, 3])]).map(counts).expect("it listens"), [4, 0, 2, 0]);
}

#[test]
fn a_server_that_swaps_messages_is_caught() {
    assert_eq!(listen(vec![frames(&[0, 2, 1, 3])]).map(counts).expect("it listens"), [4, 0, 0, 1]);
}

#[test]
fn frames_cut_at_every_byte_are_put_together() {
    let bytes = frames(&[0, 1, 2]);
    let pieces = bytes.chunks(17).map(<[u8]>::to_vec).collect();
    let tally = listen(pieces).expect("it listens");
    assert_eq!(counts(tally), [3, 0, 0, 0]);
    assert_eq!(tally.bytes, bytes.len() as u64);
}

#[test]
fn a_fragmented_message_with_a_ping_within_counts_as_one() {
    let message = stamp::message(64, Stamp { number: 0, nanos: 0 });
    let (front, back) = message.split_at(20);
    let mut bytes = vec![0x01, front.len() as u8];
    bytes.extend_from_slice(front);
    bytes.extend_from_slice(&[0x89, 2, b'h', b'i', 0x80, back.len() as u8]);
    bytes.extend_from_slice(back);
    assert_eq!(listen(vec![bytes]).map(counts).expect("it listens"), [1, 0, 0, 0]);
}

#[test]
fn a_server_that_closes_or_breaks_the_framing_fails_the_run() {
    let mut close = Vec::new();
    push_server_frame(&mut close, 8, &[&4001_u16.to_be_bytes()[..], b"too slow"].concat());
    let error = listen(vec![close]).expect_err("it was closed");
    assert!(error.to_string().contains("4001 too slow"), "{error}");
    let error = listen(vec![vec![0x81, 0x81, 0, 0, 0, 0, 0]]).expect_err("it was masked");
    assert!(error.to_string().contains("masked"), "{error}");
}
