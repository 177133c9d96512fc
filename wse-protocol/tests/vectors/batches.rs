//! batches.json: batches, and the envelopes in them.
use crate::{assert_counts, cases, decode, text, unhex, vectors};
use serde_json::Value;
use wse_protocol::{Format, Tagged, WireError, encode, frame_body, messages::ServerMessage};

/// A case's frame as both decoders read it.
fn both(case: &Value) -> [Result<ServerMessage, WireError>; 2] {
    let mut packed = unhex(text(case, "msgpack"));
    assert!(matches!(frame_body(&packed), Tagged::Msgpack(_)));
    let json = ServerMessage::read(Format::Json, &mut text(case, "json").as_bytes().to_vec());
    [json, ServerMessage::read(Format::Msgpack, &mut packed[2..])]
}

#[test]
fn batches_are_written_and_read_as_their_envelopes_alone() {
    let file = vectors("batches.json");
    let (accept, reject) = (cases(&file, "accept"), cases(&file, "reject"));
    assert_counts(&file, [accept, reject], [6, 34]);
    for case in accept {
        let items = |format: &str| cases(&case["items"], format).iter().map(|item| item.as_str().expect("an item"));
        let json: Vec<_> = items("json").map(str::as_bytes).collect();
        let msgpack: Vec<_> = items("msgpack").map(unhex).collect();
        let (mut text_body, mut binary_body) = (Vec::new(), Vec::new());
        encode::batch(&mut text_body, Format::Json, &json);
        encode::batch(&mut binary_body, Format::Msgpack, &msgpack);
        assert_eq!(String::from_utf8_lossy(&text_body), text(case, "json"), "{}", text(case, "name"));
        assert_eq!(binary_body, unhex(text(case, "msgpack")), "{}", text(case, "name"));
        let alone: Vec<_> = items("json").map(|item| *decode(item).expect("an envelope")).collect();
        assert_eq!(both(case), [Ok(ServerMessage::Batch(alone.clone())), Ok(ServerMessage::Batch(alone))], "{}", text(case, "name"));
    }
    for case in reject {
        for read in both(case) {
            assert_eq!(read.map_err(|e| e.code.as_str()), Err(text(case, "code")), "{}", text(case, "name"));
        }
    }
}
