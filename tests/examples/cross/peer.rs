//! The other implementation: what it is given, what it answers, and what that means to us.
use crate::{Frame, values::same};
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    io::Write,
    process::{Command, Stdio},
};
use wse_core::{InflateLimits, Inflater};
use wse_protocol::{
    Format, Tagged, defaults,
    envelope::{self, Category, Envelope},
    frame_body,
    messages::{ClientMessage, ServerMessage},
};

/// What the command says of each frame.
pub(crate) fn ask(program: &str, arguments: &[String], frames: &[Frame]) -> Vec<Value> {
    let path = std::env::temp_dir().join(format!("wse-cross-{}", std::process::id()));
    let mut file = std::io::BufWriter::new(File::create(&path).expect("a file for the frames"));
    for frame in frames {
        let hex: String = frame.body.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(file, "{}{hex}", if frame.is_servers { '<' } else { '>' }).expect("room for the frames");
    }
    file.into_inner().expect("room for the frames").sync_all().expect("room for the frames");
    let input = File::open(&path).expect("the file");
    let output = Command::new(program).args(arguments).stdin(input).stderr(Stdio::inherit()).output().expect("the command starts");
    std::fs::remove_file(&path).expect("the file is ours");
    assert!(output.status.success(), "{program}: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("lines of JSON");
    text.split_terminator('\n').map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Holds each part of an answer against what the frame was to say; returns which format each was in, and whether compressed.
pub(crate) fn check(frame: &Frame, answer: &Value, place: &str) -> Vec<(Format, bool)> {
    let means = canonical(&frame.means);
    let seen = canonical(&as_value(&decoded(Format::Json, &hex(&answer["read"]))));
    let (wanted, got) = (kept(&means, frame.is_servers), kept(&seen, frame.is_servers));
    assert!(same(&wanted, &got), "{place}, as it was read:\n{wanted}\n{got}");
    let ways = ["json", "msgpack"].into_iter().map(|way| &answer[way]).chain(answer["packed"].as_array().expect("both formats, packed"));
    let bodies: Vec<Vec<u8>> = ways.map(hex).collect();
    assert_eq!(bodies.len(), 4);
    let again = |body: &Vec<u8>| {
        let again = read(frame, body);
        assert!(same(&means, &again.means), "{place}, back:\n{means}\n{}", again.means);
        let typed = frame.typed.as_ref().zip(again.typed.as_ref());
        assert!(typed.is_none_or(|(sent, back)| sent == back), "{place}, back:\n{typed:?}");
        (again.format, again.is_packed)
    };
    bodies.iter().map(again).collect()
}

/// How many messages a frame of the server's holds.
pub(crate) fn messages_in(body: &[u8]) -> usize {
    match ServerMessage::read(plain(body), &mut inner(body)) {
        Ok(ServerMessage::Batch(items)) => items.len(),
        Ok(_) => 1,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(body)),
    }
}

/// A frame as we read it.
struct Seen {
    means: Value,
    typed: Option<ServerMessage>,
    format: Format,
    is_packed: bool,
}

fn read(frame: &Frame, body: &[u8]) -> Seen {
    let (format, mut bare, is_packed) = (plain(body), inner(body), body.starts_with(Tagged::COMPRESSED));
    let envelope = decoded(format, &bare);
    let mut means = as_value(&envelope);
    if !frame.is_servers {
        let message = ClientMessage::decode(envelope);
        assert!(message.is_ok(), "{message:?}");
        return Seen { means, typed: None, format, is_packed };
    }
    let message = ServerMessage::read(format, &mut bare).unwrap_or_else(|error| panic!("{error}: {means}"));
    if let ServerMessage::Batch(items) = &message {
        means["p"] = items.iter().map(as_value).collect();
    }
    Seen { means, typed: Some(message), format, is_packed }
}

fn decoded(format: Format, body: &[u8]) -> Box<Envelope> {
    let envelope = match format {
        Format::Json => envelope::decode(&mut body.to_vec()),
        Format::Msgpack => envelope::decode_msgpack(body),
    };
    envelope.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)))
}

fn plain(body: &[u8]) -> Format {
    let is_map = matches!(frame_body(&unpacked(body)), Tagged::Msgpack(_));
    if is_map { Format::Msgpack } else { Format::Json }
}

/// What stands in the frame, without tags.
fn inner(body: &[u8]) -> Vec<u8> {
    let body = unpacked(body);
    match frame_body(&body) {
        Tagged::Msgpack(map) => map.to_vec(),
        _ => body,
    }
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    let limits = InflateLimits { bytes: defaults::INFLATE_BYTES as usize, ..InflateLimits::default() };
    match frame_body(body) {
        Tagged::Compressed(stream) => Inflater::new(limits).inflate(stream).expect("a stream"),
        _ => body.to_vec(),
    }
}

/// The text of a frame, or the bytes that its hex stands for.
fn hex(frame: &Value) -> Vec<u8> {
    let text = frame.as_str().expect("a frame").as_bytes();
    if text.starts_with(b"{") {
        return text.to_vec();
    }
    text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")).collect()
}

/// All that we read of a frame; what is absent by its meaning.
fn as_value(envelope: &Envelope) -> Value {
    let category = match envelope.category {
        Category::Protocol => "WSE",
        Category::Snapshot => "S",
        Category::Update => "U",
    };
    let mut means = json!({
        "v": 2, "t": &*envelope.event_type, "c": category, "pri": envelope.priority.number(),
        "p": serde_json::to_value(envelope.payload.value()).expect("JSON"),
    });
    let Envelope { id, ts, topic, epoch, seq, previous, key, cid, origin, .. } = envelope;
    let texts = [("id", id), ("ts", ts), ("tp", topic), ("k", key), ("cid", cid)];
    let mut put = |key: &str, value: Value| means[key] = value;
    texts.into_iter().for_each(|(key, text)| text.iter().for_each(|text| put(key, json!(text))));
    [("seq", seq), ("ps", previous)].into_iter().for_each(|(key, seq)| seq.iter().for_each(|seq| put(key, json!(seq))));
    epoch.iter().for_each(|epoch| put("e", json!(epoch)));
    if let Some(origin) = origin {
        put("pid", json!(origin.producer));
        put("n", json!(origin.number));
        put("na", json!(origin.seen));
        origin.epoch.iter().for_each(|epoch| put("pe", json!(epoch)));
    }
    means
}

/// The same of what was to be said.
fn canonical(said: &Value) -> Value {
    let mut means = said.clone();
    let absent = [("c", json!("U")), ("pri", json!(5)), ("p", Value::Null)];
    let absent = absent.into_iter().chain(said.get("pid").map(|_| ("na", json!(0))));
    for (key, value) in absent {
        fields(&mut means).entry(key).or_insert(value);
    }
    if is(&means, "batch") {
        means["p"] = items(&said["p"]).iter().map(canonical).collect();
    }
    means
}

/// Of a server's message what a client keeps: neither priorities nor all of its hello; and it fills in what `ps` is where it is absent.
fn kept(means: &Value, is_servers: bool) -> Value {
    let mut kept = means.clone();
    if !is_servers {
        return kept;
    }
    fields(&mut kept).remove("pri");
    if is(means, "batch") {
        kept["p"] = items(&means["p"]).iter().map(|item| self::kept(item, true)).collect();
    } else if is(means, "server_hello") {
        fields(&mut kept["p"]).retain(|key, _| !["version", "connection", "idle_timeout_ms"].contains(&key.as_str()));
    } else if is(means, "skip") {
        let before = means["p"]["from"].as_u64().expect("a number") - 1;
        fields(&mut kept).entry("ps").or_insert(json!(before));
    }
    kept
}

fn is(means: &Value, kind: &str) -> bool {
    means["c"] == "WSE" && means["t"] == kind
}

fn fields(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("an object")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}
