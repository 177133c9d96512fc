//! Instructions that one call of each part takes, as valgrind counts them: they do not depend on what else the machine does. Of so many
//! calls and of twice as many the difference is taken, so that what surrounds them is not in it.
use serde_json::value::RawValue;
use std::{
    hint::black_box,
    num::NonZeroU32,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use wse_core::{
    DedupLimits, DedupWindow, Sequencer, TokenBucket,
    filter::{Filter, Payload, Scratch},
};
use wse_micro::{Plain, THREE, encoded, fields, message};
use wse_protocol::{Epoch, Format, encode, envelope};

const CALLS: u64 = 2_000;

/// A part, and how it is called so often; where it stands in for something, that comes before it.
type Part = (&'static str, fn(u64));

const PARTS: [Part; 12] = [
    ("decode: simd-json to an owned value", simd_json_owned),
    ("decode: envelope", decode),
    ("decode: envelope, and its payload as a tree of values", decode_to_values),
    ("encode: serde_json to a reused buffer", serde_json_reused),
    ("encode: topic message", encode),
    ("filter: three clauses, scanned", judge),
    ("filter: scan and three clauses", scan_and_judge),
    ("sequencer: number", sequencer),
    ("token bucket: charge", token_bucket),
    ("dedup: repeated", |calls| dedup(calls, "0193b3a0-0000-7000-8000-000000000512")),
    ("dedup: unknown", |calls| dedup(calls, "0193b3a0-0000-7000-8000-unknown00000")),
    ("dedup: insert", dedup_insert),
];

fn main() {
    let mut words = std::env::args().skip(1);
    if let (Some(part), Some(calls)) = (words.next(), words.next()) {
        let index: usize = part.parse().expect("the number of a part");
        return PARTS[index].1(calls.parse().expect("a number"));
    }
    let mut counted = Vec::new();
    for (index, (name, _)) in PARTS.iter().enumerate() {
        let each = (instructions(index, 2 * CALLS) - instructions(index, CALLS)) / CALLS;
        println!("{each:>6}  {name}");
        counted.push(each as f64);
    }
    println!("decoding takes {:.2} times simd-json's, encoding {:.2} times serde_json's", counted[2] / counted[0], counted[4] / counted[3]);
}

/// Of this program, when it calls a part so often.
fn instructions(part: usize, calls: u64) -> u64 {
    let own = std::env::current_exe().expect("a path");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(own).args([part.to_string(), calls.to_string()]);
    let done = valgrind.output().expect("valgrind is needed: install it with `sudo apt-get install valgrind`");
    let text = String::from_utf8_lossy(&done.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim().parse());
    collected.and_then(Result::ok).unwrap_or_else(|| panic!("valgrind counted nothing: {text}"))
}

fn copies(calls: u64, text: &[u8], mut call: impl FnMut(&mut [u8])) {
    let mut copy = Vec::with_capacity(text.len());
    for _ in 0..calls {
        copy.clear();
        copy.extend_from_slice(black_box(text));
        call(&mut copy);
    }
}

fn simd_json_owned(calls: u64) {
    copies(calls, &encoded(Format::Json), |text| drop(black_box(simd_json::to_owned_value(text).expect("JSON"))));
}

fn decode(calls: u64) {
    copies(calls, &encoded(Format::Json), |text| drop(black_box(envelope::decode(text).expect("an envelope"))));
}

fn decode_to_values(calls: u64) {
    copies(calls, &encoded(Format::Json), |text| {
        let envelope = envelope::decode(text).expect("an envelope");
        drop(black_box((envelope.payload.value(), envelope)));
    });
}

fn serde_json_reused(calls: u64) {
    let (topic, position, publication) = message();
    let text = String::from_utf8(publication.payload.to_vec()).expect("UTF-8");
    let raw: &RawValue = serde_json::from_str(&text).expect("JSON");
    let (plain, mut out) = (Plain::new(&topic, &position, &publication, raw), Vec::with_capacity(2_048));
    for _ in 0..calls {
        out.clear();
        serde_json::to_writer(&mut out, black_box(&plain)).expect("JSON");
    }
}

fn encode(calls: u64) {
    let ((topic, position, publication), mut out) = (message(), Vec::with_capacity(2_048));
    for _ in 0..calls {
        out.clear();
        encode::topic_message(&mut out, Format::Json, &topic, &position, None, black_box(&publication)).expect("a payload");
    }
}

fn judge(calls: u64) {
    let (filter, text, mut scratch) = (Filter::compile_json(THREE.as_bytes()).expect("it compiles"), fields(), Scratch::default());
    let payload = Payload::parse(&mut scratch, text.as_bytes()).expect("JSON");
    (0..calls).for_each(|_| assert!(filter.matches_parsed(black_box(&payload))));
}

fn scan_and_judge(calls: u64) {
    let (filter, text, mut scratch) = (Filter::compile_json(THREE.as_bytes()).expect("it compiles"), fields(), Scratch::default());
    (0..calls).for_each(|_| assert!(filter.matches_parsed(&Payload::parse(&mut scratch, black_box(text.as_bytes())).expect("JSON"))));
}

fn sequencer(calls: u64) {
    let mut sequencer = Sequencer::new(Epoch::parse("0123456789abcdef").expect("short"));
    for _ in 0..calls {
        black_box(black_box(&mut sequencer).number());
    }
}

fn token_bucket(calls: u64) {
    let (rate, mut now) = (NonZeroU32::new(1_000_000).expect("not 0"), Instant::now());
    let mut bucket = TokenBucket::new(rate, 1_000, now);
    for _ in 0..calls {
        now += Duration::from_nanos(1_001);
        black_box(bucket.charge(black_box(now), black_box(1)));
    }
}

fn key(number: u64) -> Arc<str> {
    format!("0193b3a0-0000-7000-8000-{number:012}").into()
}

/// A full window.
fn window() -> DedupWindow<Arc<str>, u64> {
    let mut window = DedupWindow::new(DedupLimits { keys: 1_024, age: Duration::from_secs(300) });
    (0..1_024).for_each(|number| window.insert(Duration::ZERO, key(number), number));
    window
}

fn dedup(calls: u64, key: &str) {
    let mut window = window();
    for _ in 0..calls {
        black_box(window.find(Duration::ZERO, black_box(key)).copied());
    }
}

/// Each forgets the oldest.
fn dedup_insert(calls: u64) {
    let (mut window, keys) = (window(), (0..2 * CALLS).map(|number| key(1_024 + number)).collect::<Vec<_>>());
    keys.into_iter().take(calls as usize).for_each(|key| window.insert(Duration::ZERO, key, 1));
}
