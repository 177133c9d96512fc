//! Micro-benchmarks: each file in `benches/` measures one part beside what it stands in for; `cargo bench -p wse-micro --bench NAME` runs it.
//!
//! Examples print what is no time: `cargo run --release -p wse-micro --example NAME`. Here are the inputs that both have.
use serde::Serialize;
use serde_json::value::RawValue;
use wse_protocol::{Epoch, Format, Position, Priority, Publication, Seq, Topic, UnixMillis, encode};

/// An order book's update of so many bytes, as a market's feed would send it.
#[must_use]
pub fn payload(bytes: usize) -> String {
    let level = |i: i32| format!(r#"{{"price":{:.2},"size":{},"orders":{}}}"#, 150.0 - f64::from(i) * 0.65, 100 * (i + 1), i + 1);
    let levels: Vec<String> = (0..8).map(level).collect();
    let body = format!(
        r#"{{"symbol":"AAPL","price":150.25,"open":148.9,"volume":48211733,"halted":false,"venue":{{"name":"XNAS","latency_us":37}},"headline":"Guidance raised, \"a return of capital\"","tags":["tech","us"],"levels":[{}],"pad":""#,
        levels.join(",")
    );
    format!("{body}{}\"}}", "x".repeat(bytes - body.len() - 2))
}

/// A message whose envelope as JSON has 1,024 bytes, and where it stands.
#[must_use]
pub fn message() -> (Topic, Position, Publication) {
    let publication = Publication {
        id: "0193b3a0-0000-7000-8000-000000000001".into(),
        event_type: "price_update".into(),
        ts: UnixMillis(1_768_473_000_000),
        expires: None,
        key: Some("AAPL".into()),
        priority: Priority::High,
        format: Format::Json,
        payload: payload(851).into(),
    };
    let position = Position { epoch: Epoch::parse("0193b3a0c4f1").expect("short"), seq: Seq::new(42).expect("small") };
    (Topic::parse("prices:AAPL").expect("a name"), position, publication)
}

/// The message's envelope in a format, MessagePack with its tag.
///
/// # Panics
/// Never: the payload is of its format.
#[must_use]
pub fn encoded(format: Format) -> Vec<u8> {
    let (topic, position, publication) = message();
    let mut out = Vec::new();
    encode::topic_message(&mut out, format, &topic, &position, None, &publication).expect("a payload of its format");
    out
}

/// What serde_json writes in the same words.
#[derive(Debug, Serialize)]
pub struct Plain<'a> {
    v: u64,
    t: &'a str,
    id: &'a str,
    ts: &'a str,
    tp: &'a str,
    e: &'a str,
    seq: u64,
    k: &'a str,
    pri: u8,
    p: &'a RawValue,
}

impl<'a> Plain<'a> {
    /// The message, with its payload as ready text.
    #[must_use]
    pub fn new(topic: &'a Topic, position: &'a Position, publication: &'a Publication, payload: &'a RawValue) -> Self {
        Self {
            v: 2,
            t: &publication.event_type,
            id: &publication.id,
            ts: "2026-01-15T10:30:00.000Z",
            tp: topic.as_str(),
            e: position.epoch.as_str(),
            seq: position.seq.number(),
            k: publication.key.as_deref().unwrap_or_default(),
            pri: publication.priority.number(),
            p: payload,
        }
    }
}

/// Three clauses over numbers, strings and a nested path; the payload passes, so that none is skipped.
pub const THREE: &str = r#"{"price":{"$gt":150},"symbol":{"$in":["MSFT","AAPL","GOOG"]},"venue.country":"US"}"#;

/// An order book's update, as a market's feed would send it: 28 fields, 1,024 bytes.
#[must_use]
pub fn fields() -> String {
    let levels: Vec<String> =
        (0..8).map(|i| format!(r#"{{"price":{:.2},"size":{},"orders":{}}}"#, 150.0 - f64::from(i) * 0.65, 100 * (i + 1), i + 1)).collect();
    let fields = [
        r#""id":"0193b3a0-0000-7000-8000-000000000001","symbol":"AAPL","name":"Apple Inc.","currency":"USD","price":150.25,"open":148.9"#,
        r#""high":151.02,"low":148.11,"close":149.77,"volume":48211733,"trades":381022,"change":0.48,"halted":false"#,
        r#""venue":{"name":"XNAS","country":"US","open":true,"latency_us":37},"tags":["tech","us","large-cap","index:sp500"]"#,
        r#""headline":"Shares rise after the company raises its guidance for the coming quarter and announces \"a return of capital\"""#,
    ];
    let body = format!(r#"{{{},"levels":[{}],"pad":""#, fields.join(","), levels.join(","));
    format!("{body}{}\"}}", "x".repeat(1_024 - body.len() - 2))
}
