//! messages.json: the messages of category `WSE`, in both directions and both formats.
use crate::{as_value, assert_counts, cases, decode, text, vectors};
use serde_json::Value;
use wse_protocol::{
    Format, Tagged, WireError, encode,
    envelope::{self, Envelope},
    frame_body,
    messages::{
        ClientMessage, ErrorMessage, Ping, Pong, Reply, ServerHello, ServerMessage, ServerReady, Skip, SkipReason, SubscriptionUpdate,
    },
};

/// A message that was read, written again.
fn rewritten(message: ServerMessage, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    match message {
        ServerMessage::Hello(hello) => hello.encode(&mut out),
        ServerMessage::Ready(ready) => ready.encode(format, &mut out),
        ServerMessage::SubscriptionUpdate(update, cid) => update.encode(format, &mut out, cid.as_deref()),
        ServerMessage::Ping(_) => Ping::encode(format, &mut out),
        ServerMessage::Pong(payload) => encode::protocol_message(&mut out, format, Pong::KIND, None, &payload),
        ServerMessage::Error(error, cid) => error.encode(format, &mut out, cid.as_deref()),
        ServerMessage::Reply(payload, cid) => {
            let payload = serde_json::to_vec(&payload).expect("JSON");
            let reply = Reply { cid: cid.as_deref().expect("a reply has one"), format: Format::Json, payload: &payload };
            reply.encode(format, &mut out).expect("the payload is JSON");
        }
        ServerMessage::Beacon(beacon) => beacon.encode(format, &mut out),
        ServerMessage::Skip(skip) => skip.encode(format, &mut out),
        ServerMessage::Move(told) => told.encode(format, &mut out),
        other => panic!("{other:?}"),
    }
    out
}

fn server_message(frame: &str) -> Result<ServerMessage, WireError> {
    ServerMessage::read(Format::Json, &mut frame.as_bytes().to_vec())
}

fn read(body: &mut [u8]) -> Result<Box<Envelope>, WireError> {
    match frame_body(body) {
        Tagged::Msgpack(map) => envelope::decode_msgpack(map),
        _ => envelope::decode(body),
    }
}

#[test]
fn messages_of_a_server_are_read_and_written_in_both_formats() {
    let file = vectors("messages.json");
    let kinds = [ServerHello::KIND, ServerReady::KIND, SubscriptionUpdate::KIND, ErrorMessage::KIND];
    assert!(kinds.iter().all(|kind| cases(&file, "server").iter().any(|case| text(case, "kind") == *kind)));
    let mut unknown_reasons = 0;
    for case in cases(&file, "server") {
        let means = case.get("means").and_then(Value::as_str).unwrap_or_else(|| text(case, "text"));
        let expected: Value = serde_json::from_str(means).expect("JSON");
        for format in [Format::Json, Format::Msgpack] {
            let message = server_message(text(case, "text")).expect("a message of a server");
            if let ServerMessage::Skip(Skip { reason: SkipReason::Other, .. }) = message {
                unknown_reasons += 1;
                continue; // there is nothing to write
            }
            let again = read(&mut rewritten(message, format)).expect("an envelope");
            assert_eq!(as_value(&again, &expected), expected, "{} as {format:?}", text(case, "name"));
        }
    }
    assert_eq!(unknown_reasons, 2);
}

#[test]
fn messages_of_a_client_are_read_and_refused_as_listed() {
    let file = vectors("messages.json");
    let (server, client, refused) = (cases(&file, "server"), cases(&file, "client"), cases(&file, "refused"));
    assert_counts(&file, [server, client, refused], [33, 23, 50]);
    for case in client {
        let kind = match ClientMessage::decode(decode(text(case, "text")).expect("an envelope")) {
            Ok(ClientMessage::Hello(_)) => "client_hello",
            Ok(ClientMessage::Subscription(_)) => "subscription",
            Ok(ClientMessage::SnapshotRequest(_)) => "snapshot_request",
            Ok(ClientMessage::Presence(_)) => "presence",
            Ok(ClientMessage::Ping(_)) => "ping",
            Ok(ClientMessage::Pong) => "pong",
            other => panic!("{}: {other:?}", text(case, "name")),
        };
        assert_eq!(kind, text(case, "kind"));
    }
    for case in refused {
        let code = ClientMessage::decode(decode(text(case, "text")).expect("an envelope")).map_err(|e| e.code.as_str());
        assert_eq!(code.map(|_| ()), Err(text(case, "code")), "{}", text(case, "name"));
    }
}

#[test]
fn the_session_in_the_document_is_made_of_messages_that_both_sides_read() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROTOCOL.md")).expect("the document");
    let frames = |mark: &'static str| document.lines().filter_map(move |line| line.strip_prefix(mark));
    assert!(frames("> {").count() >= 5 && frames("< {").count() >= 10);
    for frame in frames("> ") {
        assert!(ClientMessage::decode(decode(frame).expect(frame)).is_ok(), "{frame}");
    }
    for frame in frames("< ") {
        assert!(server_message(frame).is_ok(), "{frame}");
    }
}
