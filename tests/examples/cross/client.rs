//! A client's messages. What no encoder of ours writes is written here, by serde_json and rmp-serde.
use crate::{
    Kind, Said,
    server::{own, small},
    values::{bytes, epoch, format, integer, lengthened, maybe, object, padded, pattern, payload, position, positive, text, topic},
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use serde_json::{Map, Value, json};
use wse_protocol::{Format, Tagged, encode};

pub(crate) const KINDS: [Kind; 8] = [
    Kind { name: "client_hello", packs: false, strategy: |_| client_hello().boxed() },
    Kind { name: "subscription", packs: true, strategy: |is_long| subscription(is_long).boxed() },
    Kind { name: "snapshot_request", packs: true, strategy: |is_long| snapshot_request(is_long).boxed() },
    Kind { name: "presence", packs: false, strategy: |_| presence().boxed() },
    Kind { name: "client's ping", packs: false, strategy: |_| small().prop_map(|p| generic(own("ping", None, p))).boxed() },
    Kind { name: "client's pong", packs: false, strategy: |_| small().prop_map(|p| generic(own("pong", None, p))).boxed() },
    Kind { name: "client's message", packs: true, strategy: |is_long| message(is_long).boxed() },
    Kind { name: "client's numbered message", packs: true, strategy: |is_long| numbered(is_long).boxed() },
];

/// In both formats.
fn generic(means: Value) -> Said {
    let written = means.clone();
    Said::new(means, None, |out, format| {
        out.extend_from_slice(if format == Format::Json { b"" } else { Tagged::MSGPACK });
        out.extend_from_slice(&bytes(&written, format));
    })
}

/// JSON always ([P-9]).
fn client_hello() -> impl Strategy<Value = Said> {
    let offers = (option::of(any::<bool>()), option::of(vec(format(), 1..3)), option::of(any::<bool>()), any::<bool>());
    let who = (maybe(40), maybe(40), option::of(integer()), maybe(20));
    (offers, who, option::of(asked())).prop_map(|((versions, formats, compression, batch), (token, session, away, client), asked)| {
        let mut p = object([
            ("versions", versions.map(|later| if later { json!([3, 2]) } else { json!([2]) })),
            ("formats", formats.map(|formats| json!(formats))),
            ("compression", compression.map(|zlib| if zlib { json!(["zlib"]) } else { json!(["br"]) })),
            ("batch", batch.then_some(json!(true))),
            ("move", Some(json!(!batch))),
            ("token", token.map(Value::from)),
            ("session", session.map(Value::from)),
            ("away_ms", away.map(Value::from)),
            ("client", client.map(Value::from)),
        ]);
        if let (Some(p), Some(asked)) = (p.as_object_mut(), asked) {
            p.extend(asked);
        }
        let mut said = generic(own("client_hello", None, p));
        said.bodies.truncate(1);
        said
    })
}

/// Topics and patterns, positions and filters.
fn asked() -> impl Strategy<Value = Map<String, Value>> {
    let name = || prop_oneof![topic().prop_map(|topic| topic.as_str().to_owned()), pattern()];
    let filter = payload().prop_map(|value| json!({"a.b": {"$eq": value}, "$or": [{"n": {"$gt": 1}}, {}]}));
    (vec(name(), 1..6), btree_map(name(), position(), 0..4), btree_map(name(), filter, 0..3)).prop_map(|(topics, positions, filters)| {
        let mut asked = Map::from_iter([("topics".to_owned(), json!(topics))]);
        if !positions.is_empty() {
            asked.insert("positions".into(), json!(positions));
        }
        if !filters.is_empty() {
            asked.insert("filters".into(), json!(filters));
        }
        asked
    })
}

fn subscription(is_long: bool) -> impl Strategy<Value = Said> {
    (asked(), any::<bool>(), text(16)).prop_map(move |(mut p, subscribe, cid)| {
        p.insert("action".into(), if subscribe { "subscribe" } else { "unsubscribe" }.into());
        if let Some(topics) = p.get_mut("topics").and_then(Value::as_array_mut) {
            topics.push(lengthened("a".into(), is_long).into());
        }
        generic(own("subscription", Some(&cid), p.into()))
    })
}

fn snapshot_request(is_long: bool) -> impl Strategy<Value = Said> {
    (vec(topic(), 1..5), maybe(16)).prop_map(move |(topics, cid)| {
        let mut names: Vec<_> = topics.iter().map(|topic| topic.as_str().to_owned()).collect();
        names.push(lengthened("a".into(), is_long));
        generic(own("snapshot_request", cid.as_deref(), json!({"topics": names})))
    })
}

fn presence() -> impl Strategy<Value = Said> {
    let action = select(vec!["enter", "update", "leave"]);
    (action, topic(), option::of(payload()), maybe(16), text(16)).prop_map(|(action, topic, data, key, cid)| {
        let p = object([
            ("action", Some(json!(action))),
            ("topic", Some(json!(topic.as_str()))),
            ("data", data),
            ("key", key.map(Value::from)),
        ]);
        generic(own("presence", Some(&cid), p))
    })
}

/// As our encoder writes it, or with more of the header, and a key that no header has.
fn message(is_long: bool) -> impl Strategy<Value = Said> {
    let more = (option::of(Just("U")), maybe(64), option::of(select(vec![1, 3, 5, 8, 10])), maybe(16));
    (text(64), maybe(16), maybe(16), payload(), option::of(more)).prop_map(move |(event, id, cid, payload, more)| {
        let payload = padded(payload, is_long);
        let header = |id: Option<String>| {
            let id = id.map(Value::from);
            [
                ("v", Some(json!(2))),
                ("t", Some(json!(event))),
                ("id", id),
                ("cid", cid.clone().map(Value::from)),
                ("p", Some(payload.clone())),
            ]
        };
        let Some((category, key, priority, ts)) = more else {
            let id = id.unwrap_or_else(|| "m".into());
            return Said::new(object(header(Some(id.clone()))), None, |out, format| {
                encode::client_message(out, format, &event, &id, cid.as_deref(), &payload)
            });
        };
        let mut means = object(header(id));
        let rest = [
            ("c", category.map(Value::from)),
            ("k", key.map(Value::from)),
            ("pri", priority.map(Value::from)),
            ("ts", ts.map(Value::from)),
        ];
        if let (Some(means), Value::Object(rest)) = (means.as_object_mut(), object(rest)) {
            means.extend(rest);
        }
        let mut written = means.clone();
        written["later"] = json!({"v": 3, "p": []});
        Said { means, ..generic(written) }
    })
}

/// One whose effect is wanted ([P-51]).
fn numbered(is_long: bool) -> impl Strategy<Value = Said> {
    let origin = (text(16), positive(), option::of(integer()), option::of(epoch()));
    (text(64), text(16), payload(), origin).prop_map(move |(event, cid, payload, (pid, n, na, pe))| {
        generic(object([
            ("v", Some(json!(2))),
            ("t", Some(json!(event))),
            ("cid", Some(json!(cid))),
            ("pid", Some(json!(pid))),
            ("n", Some(json!(n))),
            ("na", na.map(Value::from)),
            ("pe", pe.map(|epoch| json!(epoch))),
            ("p", Some(padded(payload, is_long))),
        ]))
    })
}
