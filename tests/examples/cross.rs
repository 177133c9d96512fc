//! Random envelopes to another implementation and back: `cross COUNT SEED COMMAND...`.
//!
//! Each goes out as JSON and as MessagePack. The command reads lines of hex (a frame's body each) and answers each with a line of JSON,
//! `{"json": text, "msgpack": hex}`: what it read, written again in both formats. All four must mean what was sent.
use std::{
    fs::File,
    io::Write,
    process::{Command, ExitCode, Stdio},
};

use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use wse_protocol::{
    Epoch, Format, MAX_INTEGER, Position, Priority, Publication, Seq, Tagged, Topic, UnixMillis, Value, encode,
    envelope::{self, Envelope},
    frame_body,
    prelude::*,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, seed, program, rest @ ..] = &arguments[..] else {
        eprintln!("usage: cross COUNT SEED COMMAND...");
        return ExitCode::FAILURE;
    };
    let (count, seed): (usize, u64) = (count.parse().expect("a count"), seed.parse().expect("a seed"));
    let bodies = bodies(count, seed);
    let answers = ask(program, rest, &bodies);
    assert_eq!(answers.len(), bodies.len(), "one line for each frame (seed {seed})");
    for (index, (sent, answer)) in bodies.iter().zip(&answers).enumerate() {
        let sent = read(sent.clone());
        for format in ["json", "msgpack"] {
            let again = read(body(answer, format));
            assert!(same_envelope(&sent, &again), "frame {index} of seed {seed}, back as {format}:\n{sent:?}\n{again:?}");
        }
    }
    println!(
        "{}: {} frames read and written again in both formats, seed {seed}",
        program.rsplit('/').next().unwrap_or(program),
        bodies.len()
    );
    ExitCode::SUCCESS
}

/// `count` envelopes, in either format.
fn bodies(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let message = message();
    (0..count).flat_map(|_| message.new_tree(&mut runner).expect("no filter gives up").current()).collect()
}

/// One message in both formats: of a topic, or of a client.
fn message() -> impl Strategy<Value = [Vec<u8>; 2]> {
    let topic_message = (publication(), position(), proptest::option::of(0..=MAX_INTEGER)).prop_map(|(publication, position, previous)| {
        let (topic, previous) = (Topic::parse("größe:1").expect("a name"), previous.and_then(Seq::new));
        written(|out, format| {
            encode::topic_message(out, format, &topic, &position, previous, &publication).expect("the payload is JSON");
        })
    });
    let client_message = (name(64), name(16), proptest::option::of(name(16)), payload()).prop_map(|(event, id, cid, payload)| {
        written(|out, format| encode::client_message(out, format, &event, &id, cid.as_deref(), &payload))
    });
    prop_oneof![topic_message, client_message]
}

fn written(write: impl Fn(&mut Vec<u8>, Format)) -> [Vec<u8>; 2] {
    [Format::Json, Format::Msgpack].map(|format| {
        let mut out = Vec::new();
        write(&mut out, format);
        out
    })
}

fn publication() -> impl Strategy<Value = Publication> {
    let priority = select(vec![Priority::Background, Priority::Low, Priority::Normal, Priority::High, Priority::Critical]);
    let header = (name(16), name(64), 0..4_102_444_800_000_u64, proptest::option::of(name(64)), priority);
    (header, payload()).prop_map(|((id, event_type, ts, key, priority), payload)| Publication {
        id: id.into(),
        event_type: event_type.into(),
        ts: UnixMillis(ts),
        expires: None,
        key: key.map(Into::into),
        priority,
        format: Format::Json,
        payload: serde_json::to_vec(&payload).expect("JSON").into(),
    })
}

fn position() -> impl Strategy<Value = Position> {
    (name(16), 0..=MAX_INTEGER)
        .prop_map(|(epoch, seq)| Position { epoch: Epoch::parse(&epoch).expect("short"), seq: Seq::new(seq).expect("in range") })
}

/// 1 to `characters` characters of any kind, each of up to 4 bytes.
fn name(characters: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..=characters).prop_map(String::from_iter)
}

/// Values that all three languages have: integers up to 2^53-1, any double, any text.
fn payload() -> impl Strategy<Value = Value> {
    let safe = MAX_INTEGER as i64;
    let border = select(vec![0, 23, 24, 31, 32, 33, 127, 128, 129, 255, 256, 32_767, 32_768, 65_535, 65_536, 1 << 31, 1 << 32, safe]);
    let scalar = prop_oneof![
        Just(Value::from(())),
        any::<bool>().prop_map(Value::from),
        (-safe..=safe).prop_map(Value::from),
        (border, any::<bool>()).prop_map(|(number, negative)| Value::from(if negative { -number } else { number })),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (0..300_usize).prop_map(|len| Value::from("é".repeat(len))),
    ];
    scalar.prop_recursive(6, 40, 18, |inner| {
        let key = prop_oneof![any::<String>(), select(vec!["__proto__", "constructor", "toString", "1", "", "p"]).prop_map(String::from)];
        prop_oneof![
            vec(inner.clone(), 0..18).prop_map(Value::from),
            hash_map(key, inner, 0..18).prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

/// What the command says of each body.
fn ask(program: &str, arguments: &[String], bodies: &[Vec<u8>]) -> Vec<serde_json::Value> {
    let path = std::env::temp_dir().join(format!("wse-cross-{}", std::process::id()));
    let mut file = File::create(&path).expect("a file for the frames");
    for body in bodies {
        let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(file, "{hex}").expect("room for the frames");
    }
    let input = File::open(&path).expect("the file");
    let output = Command::new(program).args(arguments).stdin(input).stderr(Stdio::inherit()).output().expect("the command starts");
    std::fs::remove_file(&path).expect("the file is ours");
    assert!(output.status.success(), "{program}: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("lines of JSON");
    text.split_terminator('\n').map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn body(answer: &serde_json::Value, format: &str) -> Vec<u8> {
    let text = answer[format].as_str().expect("both formats");
    match format {
        "json" => text.as_bytes().to_vec(),
        _ => {
            text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")).collect()
        }
    }
}

fn read(mut body: Vec<u8>) -> Box<Envelope> {
    let read = match frame_body(&body) {
        Tagged::Msgpack(map) => envelope::decode_msgpack(map),
        _ => envelope::decode(&mut body),
    };
    read.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
}

fn same_envelope(a: &Envelope, b: &Envelope) -> bool {
    let header = |envelope: &Envelope| Envelope { payload: Value::default(), ..envelope.clone() };
    header(a) == header(b) && same(&a.payload, &b.payload)
}

/// By value: JavaScript writes 1.0 as 1.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b))),
        _ if a.is_number() && b.is_number() => a.cast_f64() == b.cast_f64(),
        _ => a == b,
    }
}
