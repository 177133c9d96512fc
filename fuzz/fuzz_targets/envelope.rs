//! Any bytes as a frame of either side, and as a payload. Held to: all decoders end without a panic, a server's frame that is read is an
//! envelope to the other decoder too unless it is a batch (which has levels of its own), a payload that one format takes comes back from
//! the other as it was, and what can be rewritten is what an envelope takes, and keeps.
#![no_main]
use libfuzzer_sys::fuzz_target;
use wse_protocol::{Format, Payload, Value, envelope, messages::ServerMessage, transcode};

/// `{"v":2,"t":"a","p":` in either format, and what closes it.
const JSON: (&[u8], &[u8]) = (br#"{"v":2,"t":"a","p":"#, b"}");
const MSGPACK: (&[u8], &[u8]) = (&[0x83, 0xa1, b'v', 2, 0xa1, b't', 0xa1, b'a', 0xa1, b'p'], b"");

fn rewritten(from: Format, to: Format, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    transcode(from, to, bytes, &mut out).ok().map(|()| out)
}

fn frame((open, close): (&[u8], &[u8]), payload: &[u8]) -> Vec<u8> {
    [open, payload, close].concat()
}

fuzz_target!(|data: &[u8]| {
    for (format, is_envelope) in
        [(Format::Json, envelope::decode(&mut data.to_vec()).is_ok()), (Format::Msgpack, envelope::decode_msgpack(data).is_ok())]
    {
        match ServerMessage::read(format, &mut data.to_vec()) {
            Ok(ServerMessage::Batch(messages)) => assert!(messages.len() > 1),
            Ok(message) => assert!(is_envelope, "{message:?}"),
            Err(_) => {}
        }
    }

    let packed = rewritten(Format::Json, Format::Msgpack, data);
    if let Some(packed) = &packed {
        let text = rewritten(Format::Msgpack, Format::Json, packed).expect("what was written can be read");
        assert_eq!(rewritten(Format::Json, Format::Msgpack, &text).as_ref(), Some(packed));
        let payload = envelope::decode(&mut frame(JSON, data)).expect("a payload").payload;
        assert_eq!(payload.msgpack(), packed);
        assert!(payload.parse::<Value>().is_ok());
    }
    let text = rewritten(Format::Msgpack, Format::Json, data);
    if let Some(text) = &text {
        let packed = rewritten(Format::Json, Format::Msgpack, text).expect("what was written can be read");
        assert_eq!(rewritten(Format::Msgpack, Format::Json, &packed).as_ref(), Some(text));
    }
    let payload = envelope::decode_msgpack(&frame(MSGPACK, data)).ok().map(|envelope| envelope.payload);
    assert_eq!(payload.as_ref().map(Payload::json), text);
    assert!(payload.is_none_or(|payload| payload.parse::<Value>().is_ok()));
});
