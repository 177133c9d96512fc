//! The server's own messages, of category `WSE` and `S`.
use crate::{
    FORMATS, Kind, Said,
    values::{bytes, epoch, format, integer, lengthened, maybe, object, padded, pattern, payload, position, positive, seq, text, topic},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use wse_protocol::{
    Epoch, ErrorCode, Format, Position, WireError, encode,
    messages::{
        Beacon, Compression, ErrorMessage, Move, Ping, Pong, Reply, ServerHello, ServerMessage, ServerReady, Skip, SkipReason, Status,
        SubscriptionUpdate, TopicStatus,
    },
};

pub(crate) const KINDS: [Kind; 11] = [
    Kind { name: "snapshot", packs: true, strategy: |is_long| snapshot(is_long).boxed() },
    Kind { name: "server_hello", packs: false, strategy: |_| server_hello().boxed() },
    Kind { name: "server_ready", packs: false, strategy: |_| server_ready().boxed() },
    Kind { name: "subscription_update", packs: true, strategy: |is_long| subscription_update(is_long).boxed() },
    Kind { name: "error", packs: true, strategy: |is_long| error(is_long).boxed() },
    Kind { name: "reply", packs: true, strategy: |is_long| reply(is_long).boxed() },
    Kind { name: "ping", packs: false, strategy: |_| Just(()).prop_map(|()| ping()).boxed() },
    Kind { name: "pong", packs: false, strategy: |_| pong().boxed() },
    Kind { name: "beacon", packs: false, strategy: |_| beacon().boxed() },
    Kind { name: "skip", packs: false, strategy: |_| skip().boxed() },
    Kind { name: "move", packs: false, strategy: |_| move_on().boxed() },
];

fn snapshot(is_long: bool) -> impl Strategy<Value = Said> {
    (topic(), position(), format(), payload()).prop_map(move |(topic, position, from, state)| {
        let state = padded(state, is_long);
        let means = json!({"v": 2, "c": "S", "t": "snapshot", "tp": topic.as_str(), "e": position.epoch, "seq": position.seq, "p": state});
        let written = bytes(&state, from);
        Said::new(means, None, |out, format| encode::snapshot(out, format, &topic, &position, from, &written).expect("a state"))
    })
}

/// JSON always ([P-9]).
fn server_hello() -> impl Strategy<Value = Said> {
    let negotiated = (format(), any::<bool>(), any::<bool>(), text(16), text(64));
    let limits = (positive(), positive(), positive(), positive(), positive());
    (negotiated, limits).prop_map(|((format, compressed, batch, connection, server), (heartbeat, idle, bytes, subscriptions, patterns))| {
        let name = if format == Format::Json { "json" } else { "msgpack" };
        let means = own(
            "server_hello",
            None,
            json!({
                "version": 2, "format": name, "compression": compressed.then_some("zlib"), "batch": batch, "connection": connection,
                "server": server, "heartbeat_ms": heartbeat, "idle_timeout_ms": idle, "message_bytes": bytes,
                "subscriptions": subscriptions, "patterns": patterns,
            }),
        );
        let hello = ServerHello {
            version: 2,
            format,
            compression: compressed.then_some(Compression::Zlib),
            batch,
            connection,
            server,
            heartbeat_ms: heartbeat,
            idle_timeout_ms: idle,
            message_bytes: bytes,
            subscriptions,
            patterns,
        };
        let mut body = Vec::new();
        hello.encode(&mut body);
        Said { means, typed: Some(ServerMessage::Hello(hello)), bodies: vec![(Format::Json, body)] }
    })
}

fn server_ready() -> impl Strategy<Value = Said> {
    let outcomes = option::of((epoch(), positive()));
    (text(16), maybe(64), integer(), outcomes, maybe(64)).prop_map(|(connection, user, retry_ms, outcomes, session)| {
        let (producers, outcomes_ms) = outcomes.unzip();
        let p = object([
            ("connection", Some(json!(connection))),
            ("user", Some(json!(user))),
            ("retry_ms", Some(json!(retry_ms))),
            ("producers", producers.as_ref().map(Epoch::as_str).map(Value::from)),
            ("outcomes_ms", outcomes_ms.map(Value::from)),
            ("session", session.clone().map(Value::from)),
        ]);
        let ready = ServerReady { connection, user, retry_ms, producers, outcomes_ms, session };
        Said::new(own("server_ready", None, p), Some(ServerMessage::Ready(ready.clone())), |out, format| ready.encode(format, out))
    })
}

fn subscription_update(is_long: bool) -> impl Strategy<Value = Said> {
    (maybe(16), vec(prop_oneof![named(is_long), of_a_pattern()], 1..6)).prop_map(move |(cid, mut entries)| {
        if is_long {
            entries.push(refused("a b".into(), ErrorCode::InvalidTopic, lengthened("no".into(), true)));
        }
        let (means, topics): (Vec<Value>, Vec<TopicStatus>) = entries.into_iter().unzip();
        let update = SubscriptionUpdate { topics };
        let typed = ServerMessage::SubscriptionUpdate(update.clone(), cid.clone().map(Into::into));
        let means = own("subscription_update", cid.as_deref(), json!({"topics": means}));
        Said::new(means, Some(typed), |out, format| update.encode(format, out, cid.as_deref()))
    })
}

type Entry = (Value, TopicStatus);

/// What became of a topic, or of what is none.
fn named(is_long: bool) -> impl Strategy<Value = Entry> {
    let refused = (any::<String>(), select(ErrorCode::ALL), any::<String>())
        .prop_map(move |(name, code, text)| refused(name, code, lengthened(text, is_long)));
    let left =
        any::<String>().prop_map(|name| (json!({"tp": name, "status": "unsubscribed"}), TopicStatus::new(name, Status::Unsubscribed)));
    prop_oneof![3 => subscribed(topic().prop_map(|topic| topic.as_str().to_owned()), false), 1 => refused, 1 => left]
}

fn refused(name: String, code: ErrorCode, text: String) -> Entry {
    let means = json!({"tp": name, "status": "refused", "code": code.as_str(), "message": text});
    (means, TopicStatus::refused(name, &WireError::new(code, text)))
}

fn of_a_pattern() -> impl Strategy<Value = Entry> {
    let topics = vec(subscribed(topic().prop_map(|topic| topic.as_str().to_owned()), false), 0..4);
    (subscribed(pattern(), true), topics).prop_map(|((mut means, entry), topics)| {
        let (theirs, topics): (Vec<Value>, Vec<TopicStatus>) = topics.into_iter().unzip();
        if !theirs.is_empty() {
            means["topics"] = theirs.into();
        }
        (means, entry.with_topics(topics))
    })
}

fn subscribed(name: impl Strategy<Value = String>, is_pattern: bool) -> impl Strategy<Value = Entry> {
    let reasons = if is_pattern { vec!["epoch", "history", "fork", "births"] } else { vec!["epoch", "history", "fork"] };
    (name, position(), 0..3, integer(), select(reasons), any::<bool>()).prop_map(move |(name, position, status, count, reason, state)| {
        let mut means = json!({"tp": name, "e": position.epoch, "seq": position.seq});
        let mut entry = match status {
            0 => TopicStatus::live(name, position),
            1 => TopicStatus::recovered(name, position, count),
            _ => TopicStatus::resync(name, position, reason),
        };
        match status {
            0 => means["status"] = "live".into(),
            1 => (means["status"], means["recovered"]) = ("recovered".into(), count.into()),
            _ => (means["status"], means["reason"]) = ("resync".into(), reason.into()),
        }
        if state && !is_pattern {
            means["snapshot"] = true.into();
            entry = entry.with_snapshot();
        }
        (means, entry)
    })
}

fn error(is_long: bool) -> impl Strategy<Value = Said> {
    let code = prop_oneof![select(ErrorCode::ALL).prop_map(|code| code.as_str().to_owned()), "[A-Z_]{3,20}"];
    (code, any::<String>(), maybe(20), maybe(16)).prop_map(move |(code, text, topic, cid)| {
        let message = lengthened(text, is_long);
        let p = object([("code", Some(json!(code))), ("message", Some(json!(message))), ("topic", topic.clone().map(Value::from))]);
        let error = ErrorMessage { code, message, topic };
        let typed = ServerMessage::Error(error.clone(), cid.clone().map(Into::into));
        Said::new(own("error", cid.as_deref(), p), Some(typed), |out, format| error.encode(format, out, cid.as_deref()))
    })
}

fn reply(is_long: bool) -> impl Strategy<Value = Said> {
    (text(16), format(), payload()).prop_map(move |(cid, from, payload)| {
        let payload = padded(payload, is_long);
        let written = bytes(&payload, from);
        let reply = Reply { cid: &cid, format: from, payload: &written };
        Said::new(own("reply", Some(&cid), payload), None, |out, format| reply.encode(format, out).expect("a payload"))
    })
}

fn ping() -> Said {
    Said::new(own("ping", None, Value::Null), Some(ServerMessage::Ping(Ping::default())), |out, format| Ping::encode(format, out))
}

/// Of up to 125 bytes as JSON ([P-26]).
fn pong() -> impl Strategy<Value = Said> {
    small().prop_map(|p| {
        Said::new(own("pong", None, p.clone()), None, |out, format| encode::protocol_message(out, format, Pong::KIND, None, &p))
    })
}

/// What a ping may carry.
pub(crate) fn small() -> impl Strategy<Value = Value> {
    let text = "[ -~é\u{10000}]{0,20}".prop_map(Value::from);
    prop_oneof![Just(Value::Null), text, integer().prop_map(|at| json!({"at": at})), vec(any::<i32>(), 0..9).prop_map(|all| json!(all))]
}

fn beacon() -> impl Strategy<Value = Said> {
    (topic(), position(), integer()).prop_map(|(topic, position, previous)| {
        let Position { epoch, seq: top } = &position;
        let means = json!({"v": 2, "c": "WSE", "t": "beacon", "tp": topic.as_str(), "e": epoch, "seq": top, "ps": previous});
        let beacon = Beacon { topic: topic.as_str().into(), position, previous: seq(previous) };
        Said::new(means, Some(ServerMessage::Beacon(beacon.clone())), |out, format| beacon.encode(format, out))
    })
}

fn skip() -> impl Strategy<Value = Said> {
    let reasons = vec![(SkipReason::Latest, "latest"), (SkipReason::DropLow, "drop_low"), (SkipReason::Ttl, "ttl")];
    (topic(), epoch(), option::of(integer()), positive(), positive(), select(reasons)).prop_map(
        |(topic, epoch, previous, a, b, (reason, name))| {
            let (from, to) = (a.min(b), a.max(b));
            let means = object([
                ("v", Some(json!(2))),
                ("c", Some(json!("WSE"))),
                ("t", Some(json!("skip"))),
                ("tp", Some(json!(topic.as_str()))),
                ("e", Some(json!(epoch))),
                ("ps", previous.map(Value::from)),
                ("p", Some(json!({"from": from, "to": to, "reason": name}))),
            ]);
            let topic = topic.as_str().into();
            let skip = Skip { topic, epoch, previous: previous.map(seq), from: seq(from), to: seq(to), reason };
            Said::new(means, Some(ServerMessage::Skip(skip.clone())), |out, format| skip.encode(format, out))
        },
    )
}

fn move_on() -> impl Strategy<Value = Said> {
    (integer(), integer()).prop_map(|(in_ms, for_ms)| {
        let told = Move { in_ms, for_ms };
        let means = own("move", None, json!({"in_ms": in_ms, "for_ms": for_ms}));
        Said::new(means, Some(ServerMessage::Move(told)), |out, format| told.encode(format, out))
    })
}

/// A message of category `WSE`.
pub(crate) fn own(kind: &str, cid: Option<&str>, p: Value) -> Value {
    object([("v", Some(json!(2))), ("c", Some(json!("WSE"))), ("t", Some(json!(kind))), ("cid", cid.map(Value::from)), ("p", Some(p))])
}

impl Said {
    /// What is written in both formats.
    pub(crate) fn new(means: Value, typed: Option<ServerMessage>, write: impl Fn(&mut Vec<u8>, Format)) -> Self {
        let written = |format| {
            let mut out = Vec::new();
            write(&mut out, format);
            (format, out)
        };
        Self { means, typed, bodies: FORMATS.map(written).into() }
    }
}
