//! Nanoseconds per masked message: the decoder, the async reader over it, and fastwebsockets, from the same bytes in memory.
//!
//! Each iteration takes [`MESSAGES`] messages. All three copy the bytes once out of the "socket", as a read does.
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastwebsockets::{Role, WebSocket};
use tokio::runtime::{Builder, Runtime};
use wse_protocol::ws::{Decoder, Limits};
use wse_server::ws::Reader;

const MESSAGES: usize = 256;
/// What a shard reads at a time.
const READ_BYTES: usize = 64 * 1024;
const SIZES: [usize; 4] = [16, 128, 1024, 16 * 1024];
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

fn stream(first: u8, len: usize) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match len {
        0..126 => frame.push(0x80 | len as u8),
        _ => frame.extend([0xFE, (len >> 8) as u8, len as u8]),
    }
    frame.extend(mask);
    frame.extend(
        b"{\"symbol\":\"ABC\",\"price\":101.25} ".iter().cycle().take(len).zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask),
    );
    frame.repeat(MESSAGES)
}

/// Reads through one shared buffer; gives how many messages there were.
fn decoder(bytes: &[u8], shared: &mut [u8]) -> usize {
    let (mut decoder, mut messages) = (Decoder::new(Limits::default()), 0);
    for chunk in bytes.chunks(shared.len()) {
        let mut input = &mut shared[..chunk.len()];
        input.copy_from_slice(chunk);
        while let Some(incoming) = decoder.decode(&mut input).expect("the stream is valid") {
            black_box(&incoming);
            messages += 1;
        }
    }
    messages
}

async fn reader(bytes: &[u8]) -> usize {
    let (mut reader, mut messages) = (Reader::new(bytes, Default::default(), Limits::default()), 0);
    while let Ok(incoming) = reader.next().await {
        black_box(&incoming);
        messages += 1;
    }
    messages
}

/// It leaves text unchecked, and does no fragments; that is less work.
async fn fastwebsockets(bytes: &[u8]) -> usize {
    let mut socket = WebSocket::after_handshake(tokio::io::join(bytes, tokio::io::sink()), Role::Server);
    let mut messages = 0;
    while let Ok(frame) = socket.read_frame().await {
        black_box(&frame);
        messages += 1;
    }
    messages
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime without drivers")
}

fn messages(criterion: &mut Criterion) {
    let (runtime, mut shared) = (runtime(), vec![0; READ_BYTES]);
    for (kind, first) in [("text", TEXT), ("binary", BINARY)] {
        let mut group = criterion.benchmark_group(format!("ws_decode/{kind}"));
        for size in SIZES {
            let bytes = stream(first, size);
            group.throughput(Throughput::Elements(MESSAGES as u64));
            group.bench_function(BenchmarkId::new("decoder", size), |b| b.iter(|| assert_eq!(decoder(&bytes, &mut shared), MESSAGES)));
            group.bench_function(BenchmarkId::new("reader", size), |b| b.iter(|| assert_eq!(runtime.block_on(reader(&bytes)), MESSAGES)));
            group.bench_function(BenchmarkId::new("fastwebsockets", size), |b| {
                b.iter(|| assert_eq!(runtime.block_on(fastwebsockets(&bytes)), MESSAGES));
            });
        }
    }
}

/// Whether a SIMD check of UTF-8 is worth its dependency; sizes are in characters.
fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8");
    for (name, pattern) in [("ascii", "price 101.25; "), ("latin", "prix élevé à Orléans; "), ("cjk", "価格の更新です。")] {
        for size in SIZES {
            let text: String = pattern.chars().cycle().take(size).collect();
            let text = text.as_bytes();
            group.throughput(Throughput::Bytes(text.len() as u64));
            group
                .bench_function(BenchmarkId::new(format!("{name}/std"), size), |b| b.iter(|| std::str::from_utf8(black_box(text)).is_ok()));
            group.bench_function(BenchmarkId::new(format!("{name}/simdutf8"), size), |b| {
                b.iter(|| simdutf8::basic::from_utf8(black_box(text)).is_ok());
            });
        }
    }
}

criterion_group!(benches, messages, utf8);
criterion_main!(benches);
