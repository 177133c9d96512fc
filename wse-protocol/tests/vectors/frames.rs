//! frames.json: tags, MessagePack, and topic messages in both formats. Its zlib streams are read where zlib is, in wse-core.
use crate::{as_value, assert_counts, body, cases, text, unhex, vectors};
use serde_json::Value;
use wse_protocol::{
    Epoch, ErrorCode, Format, Position, Priority, Publication, Seq, Tagged, Topic, UnixMillis, WireError, defaults, encode,
    envelope::{self, Envelope},
    frame_body,
    messages::ServerMessage,
    transcode,
};

#[test]
fn every_case_of_the_file_is_counted() {
    let file = vectors("frames.json");
    let (msgpack, zlib) = (&file["msgpack"], &file["zlib"]);
    let packed = (cases(msgpack, "accept"), cases(msgpack, "reject"));
    let lists = [packed.0, packed.1, cases(zlib, "accept"), cases(zlib, "reject"), cases(&file, "tags"), cases(&file, "topic_messages")];
    assert_counts(&file, lists, [72, 127, 25, 38, 11, 12]);
    assert_eq!(file["limits"]["nesting_depth"], defaults::NESTING_DEPTH);
}

#[test]
fn binary_frames_are_sorted_by_their_tags() {
    let file = vectors("frames.json");
    for case in cases(&file, "tags") {
        let frame = body(case);
        let (tag, rest) = match frame_body(&frame) {
            Tagged::Msgpack(rest) => ("msgpack", rest),
            Tagged::Compressed(rest) => ("compressed", rest),
            Tagged::Reserved(_) => ("reserved", &frame[2..]),
            Tagged::Unknown => ("unknown", &frame[..]),
        };
        assert_eq!(tag, text(case, "tag"), "{}", text(case, "name"));
        assert!(tag == "unknown" || rest == &frame[2..]);
    }
}

fn read(frame: &[u8]) -> Result<Box<Envelope>, WireError> {
    match frame_body(frame) {
        Tagged::Msgpack(map) => envelope::decode_msgpack(map),
        other => panic!("{other:?}"),
    }
}

#[test]
fn msgpack_is_read_and_refused_as_listed() {
    let msgpack = &vectors("frames.json")["msgpack"];
    for case in cases(msgpack, "accept") {
        let envelope = read(&body(case)).unwrap_or_else(|e| panic!("{}: {e}", text(case, "name")));
        match case["payload_count"].as_u64() {
            Some(count) => {
                assert_eq!(serde_json::to_value(envelope.payload.value()).expect("JSON").as_array().map(Vec::len), Some(count as usize))
            }
            None => assert_eq!(as_value(&envelope, &case["envelope"]), case["envelope"], "{}", text(case, "name")),
        }
    }
    for case in cases(msgpack, "reject") {
        let code = read(&body(case)).map_err(|e| e.code.as_str());
        assert_eq!(code, Err(text(case, "code")), "{}", text(case, "name"));
        let received = ServerMessage::read(Format::Msgpack, &mut body(case)[2..]).map_err(|e| e.code.as_str());
        assert_eq!(received.err(), code.err(), "read as a server's: {}", text(case, "name"));
    }
}

#[test]
fn no_frame_that_is_cut_short_is_read() {
    let msgpack = &vectors("frames.json")["msgpack"];
    for case in cases(msgpack, "accept").iter().filter(|case| case.get("hex").is_some()) {
        let frame = body(case);
        for end in 2..frame.len() {
            let code = read(&frame[..end]).map_err(|e| e.code);
            assert_eq!(code, Err(ErrorCode::InvalidMsgpack), "{} at {end}", text(case, "name"));
        }
    }
}

fn publication(case: &Value, format: Format) -> Publication {
    let published = &case["publication"];
    let payload = match format {
        Format::Json => text(&case["payload"], "json").as_bytes().to_vec(),
        Format::Msgpack => unhex(text(&case["payload"], "msgpack")),
    };
    let priority = published["priority"].as_u64().map_or(Priority::Normal, |p| Priority::try_from(p as u8).expect("one of five"));
    Publication {
        id: text(published, "id").into(),
        event_type: text(published, "type").into(),
        ts: UnixMillis(published["ts_ms"].as_u64().expect("a time")),
        expires: None,
        key: published["key"].as_str().map(Into::into),
        priority,
        format,
        payload: payload.into(),
    }
}

fn written(case: &Value, from: Format, to: Format) -> Vec<u8> {
    let published = &case["publication"];
    let seq = |key: &str| published[key].as_u64().and_then(Seq::new);
    let topic = Topic::parse(text(published, "topic")).expect("a name");
    let position = Position { epoch: Epoch::parse(text(published, "epoch")).expect("short"), seq: seq("seq").expect("a position") };
    let mut out = Vec::new();
    encode::topic_message(&mut out, to, &topic, &position, seq("previous"), &publication(case, from)).expect("a payload of its format");
    out
}

#[test]
fn topic_messages_are_the_bytes_that_python_writes_whatever_format_the_payload_came_in() {
    let file = vectors("frames.json");
    for case in cases(&file, "topic_messages") {
        let (json, msgpack) = (text(&case["body"], "json"), unhex(text(&case["body"], "msgpack")));
        let name = text(case, "name");
        assert_eq!(String::from_utf8_lossy(&written(case, Format::Json, Format::Json)), json, "{name}");
        assert_eq!(written(case, Format::Msgpack, Format::Msgpack), msgpack, "{name}");
        assert_eq!(written(case, Format::Json, Format::Msgpack), msgpack, "{name}");
        // Python writes exponents and control characters in its own way: by value.
        let value = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("JSON");
        assert_eq!(value(&written(case, Format::Msgpack, Format::Json)), value(json.as_bytes()), "{name}");
    }
}

#[test]
fn every_payload_that_a_frame_is_refused_for_is_refused_as_a_publishers() {
    let msgpack = &vectors("frames.json")["msgpack"];
    let open = unhex("4d3a83a17602a174a161a170");
    let mut count = 0;
    for case in cases(msgpack, "reject") {
        if let Some(payload) = body(case).strip_prefix(&open[..]) {
            let code = transcode(Format::Msgpack, Format::Json, payload, &mut Vec::new()).map_err(|e| e.code.as_str());
            assert_eq!(code, Err(text(case, "code")), "{}", text(case, "name"));
            count += 1;
        }
    }
    assert_eq!(count, 46);
}

#[test]
fn a_payload_that_is_not_of_its_format_leaves_nothing_behind() {
    let mut out = b"before".to_vec();
    let cases: [(Format, Format, Vec<u8>, ErrorCode); 6] = [
        (Format::Json, Format::Msgpack, b"{".to_vec(), ErrorCode::InvalidJson),
        (Format::Json, Format::Msgpack, br#"["\ud800"]"#.to_vec(), ErrorCode::InvalidJson),
        (Format::Json, Format::Msgpack, b"[".repeat(64).into_iter().chain(b"]".repeat(64)).collect(), ErrorCode::TooDeep),
        (Format::Msgpack, Format::Json, vec![0x92, 1], ErrorCode::InvalidMsgpack),
        (Format::Msgpack, Format::Json, vec![0x91, 0xc4, 0], ErrorCode::InvalidMsgpack),
        (Format::Msgpack, Format::Json, [0x91].repeat(64).into_iter().chain([0xc0]).collect(), ErrorCode::TooDeep),
    ];
    for (from, to, bytes, code) in cases {
        assert_eq!(transcode(from, to, &bytes, &mut out).map_err(|e| e.code), Err(code));
        assert_eq!(out, b"before");
    }
}
