//! The zlib streams of frames.json, from the tag to the envelope and within the limits; and faults.json, from the tag to the message.
use serde_json::Value;
use wse_core::{InflateError, InflateLimits, Inflater};
use wse_protocol::{ErrorCode, Tagged, WireError, envelope, envelope::Envelope, frame_body, messages::ClientMessage};

fn file() -> Value {
    vectors("frames.json")
}

fn vectors(name: &str) -> Value {
    let path = format!("{}/../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

fn cases<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    file["zlib"][list].as_array().expect(list)
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect(key)
}

fn times(piece: &Value) -> usize {
    piece["times"].as_u64().expect("times") as usize
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")).collect()
}

fn body(case: &Value) -> Vec<u8> {
    match case["hex"].as_str() {
        Some(whole) => unhex(whole),
        None => case["repeat"].as_array().expect("repeat").iter().flat_map(|p| unhex(text(p, "hex")).repeat(times(p))).collect(),
    }
}

fn limits(file: &Value) -> InflateLimits {
    let limit = |key: &str| file["limits"][key].as_u64().expect(key) as usize;
    InflateLimits { bytes: limit("inflate_bytes"), ratio: limit("inflate_ratio"), free: limit("inflate_ratio_from_bytes") }
}

fn inflate(inflater: &mut Inflater, frame: &[u8]) -> Result<Vec<u8>, InflateError> {
    match frame_body(frame) {
        Tagged::Compressed(stream) => inflater.inflate(stream),
        other => panic!("{other:?}"),
    }
}

fn read(mut inflated: Vec<u8>) -> Result<Box<Envelope>, WireError> {
    match frame_body(&inflated) {
        Tagged::Msgpack(map) => envelope::decode_msgpack(map),
        _ => envelope::decode(&mut inflated),
    }
}

/// The code that a frame is refused with; none where it is read.
fn code(inflater: &mut Inflater, frame: &[u8]) -> Option<&'static str> {
    match inflate(inflater, frame) {
        // [P-17]: a stream holds no other.
        Ok(inner) if matches!(frame_body(&inner), Tagged::Compressed(_)) => Some("INVALID_COMPRESSION"),
        Ok(inner) => read(inner).err().map(|e| e.code.as_str()),
        Err(error) => Some(error.code().as_str()),
    }
}

#[test]
fn streams_of_pythons_zlib_are_read() {
    let file = file();
    assert_eq!(cases(&file, "accept").len(), 25);
    let mut inflater = Inflater::new(limits(&file));
    for case in cases(&file, "accept") {
        let inflated = inflate(&mut inflater, &body(case)).unwrap_or_else(|e| panic!("{}: {e}", text(case, "name")));
        if let Some(pieces) = case["inflated"]["repeat"].as_array() {
            let expected: String = pieces.iter().map(|piece| text(piece, "text").repeat(times(piece))).collect();
            assert_eq!(inflated, expected.into_bytes(), "{}", text(case, "name"));
        }
        let envelope = read(inflated).unwrap_or_else(|e| panic!("{}: {e}", text(case, "name")));
        if let Some(payload) = case["envelope"].get("p") {
            assert_eq!(serde_json::to_value(envelope.payload.value()).expect("JSON"), *payload, "{}", text(case, "name"));
        }
    }
}

#[test]
fn broken_streams_and_bombs_are_refused() {
    let file = file();
    assert_eq!(cases(&file, "reject").len(), 38);
    let mut inflater = Inflater::new(limits(&file));
    for case in cases(&file, "reject") {
        assert_eq!(code(&mut inflater, &body(case)), Some(text(case, "code")), "{}", text(case, "name"));
    }
}

/// What a server reads of a frame, on a connection that speaks MessagePack and zlib.
fn message(inflater: &mut Inflater, mut frame: Vec<u8>, is_text: bool) -> Result<ClientMessage, ErrorCode> {
    let envelope = match frame_body(&frame) {
        _ if is_text => envelope::decode(&mut frame),
        Tagged::Msgpack(map) => envelope::decode_msgpack(map),
        Tagged::Compressed(stream) => read(inflater.inflate(stream).map_err(InflateError::code)?),
        Tagged::Reserved(_) | Tagged::Unknown => return Err(ErrorCode::UnsupportedFormat),
    };
    envelope.and_then(ClientMessage::decode).map_err(|e| e.code)
}

#[test]
fn of_two_faults_the_first_counts() {
    let file = vectors("faults.json");
    let lists = ["text", "binary"].map(|list| file[list].as_array().expect(list));
    assert_eq!(lists.map(Vec::len), [14, 18]);
    assert_eq!(file["count"], 14 + 18);
    let mut inflater = Inflater::new(limits(&file));
    let framed = lists[0].iter().map(|case| (case, true)).chain(lists[1].iter().map(|case| (case, false)));
    // Whoever reads from the socket judges the size, before the frame is whole.
    for (case, is_text) in framed.filter(|(case, _)| case["faults"][0] != "size") {
        let frame = if is_text { text(case, "text").as_bytes().to_vec() } else { body(case) };
        let code = message(&mut inflater, frame, is_text).map_err(ErrorCode::as_str);
        assert_eq!(code.map(|_| ()), Err(text(case, "code")), "{}", text(case, "name"));
    }
}
