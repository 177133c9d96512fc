//! Memory per idle connection of each reader, after one message of 128 bytes: its size, and the resident memory of many of them.
use std::{error::Error, fs};

use fastwebsockets::{Role, WebSocket};
use tokio::io::{Join, Sink, join, sink};
use wse_protocol::ws::{Decoder, Limits};
use wse_server::ws::Reader;

const CONNECTIONS: usize = 20_000;
const PAGE_BYTES: usize = 4096;

/// A masked text of 128 bytes.
fn message() -> &'static [u8] {
    let mut frame = vec![0x81, 0xFE, 0, 128, 0, 0, 0, 0];
    frame.extend([b'x'; 128]);
    frame.leak()
}

fn resident_bytes() -> Result<usize, Box<dyn Error>> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split(' ').nth(1).ok_or("statm has a second field")?.parse()?;
    Ok(pages * PAGE_BYTES)
}

/// Prints the size and what resides per connection, while all are held.
async fn report<T>(name: &str, make: impl AsyncFn() -> T) -> Result<(), Box<dyn Error>> {
    let mut held = Vec::with_capacity(CONNECTIONS);
    let before = resident_bytes()?;
    for _ in 0..CONNECTIONS {
        held.push(make().await);
    }
    let resident = (resident_bytes()? - before) / CONNECTIONS;
    println!("{name:<16} size {:>4} B, resident {resident:>5} B per connection", size_of::<T>());
    drop(held);
    Ok(())
}

async fn decoder(frame: &[u8]) -> Decoder {
    let (mut decoder, mut shared) = (Decoder::new(Limits::default()), frame.to_vec());
    let mut input = &mut shared[..];
    while decoder.decode(&mut input).expect("the frame is valid").is_some() {}
    decoder
}

async fn reader(frame: &'static [u8]) -> Reader<&'static [u8]> {
    let mut reader = Reader::new(frame, Default::default(), Limits::default());
    reader.next().await.expect("the frame is valid");
    reader
}

async fn fastwebsockets(frame: &'static [u8]) -> WebSocket<Join<&'static [u8], Sink>> {
    let mut socket = WebSocket::after_handshake(join(frame, sink()), Role::Server);
    socket.read_frame().await.expect("the frame is valid");
    socket
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let frame = message();
    report("decoder", async || decoder(frame).await).await?;
    report("reader", async || reader(frame).await).await?;
    report("fastwebsockets", async || fastwebsockets(frame).await).await
}
