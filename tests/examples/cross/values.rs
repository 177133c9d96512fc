//! Random values within the rules of the wire: texts, names, numbers, payloads that all three languages have.
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use serde_json::{Map, Value, json};
use wse_protocol::{Epoch, Format, MAX_INTEGER, Position, Seq, SessionId, Topic};

/// More than what any side leaves plain.
const PAD: usize = 1500;

/// 1 to `characters` characters of any kind, each of up to 4 bytes.
pub(crate) fn text(characters: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..=characters).prop_map(String::from_iter)
}

/// The same, or none.
pub(crate) fn maybe(characters: usize) -> impl Strategy<Value = Option<String>> {
    option::of(text(characters))
}

/// A text that a compressor makes shorter, however short it was.
pub(crate) fn lengthened(text: String, is_long: bool) -> String {
    if is_long { text + &"wire ".repeat(PAD / 5) } else { text }
}

/// A payload likewise.
pub(crate) fn padded(payload: Value, is_long: bool) -> Value {
    if is_long { json!({"pad": "wire ".repeat(PAD / 5), "payload": payload}) } else { payload }
}

/// An integer of a header.
pub(crate) fn integer() -> impl Strategy<Value = u64> {
    let border = vec![0, 1, 23, 24, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, MAX_INTEGER - 1, MAX_INTEGER];
    prop_oneof![select(border), 0..=MAX_INTEGER, 0..1000_u64]
}

/// One that is not 0.
pub(crate) fn positive() -> impl Strategy<Value = u64> {
    integer().prop_map(|number| number.max(1))
}

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number).expect("an integer of a header")
}

pub(crate) fn epoch() -> impl Strategy<Value = Epoch> {
    text(16).prop_map(|text| Epoch::parse(&text).expect("at most 64 bytes"))
}

pub(crate) fn position() -> impl Strategy<Value = Position> {
    (epoch(), integer()).prop_map(|(epoch, number)| Position { epoch, seq: seq(number) })
}

pub(crate) fn format() -> impl Strategy<Value = Format> {
    select(vec![Format::Json, Format::Msgpack])
}

/// Names that clients choose, and those of the server's own: who is in a topic, messages to a user and to a session.
pub(crate) fn topic() -> impl Strategy<Value = Topic> {
    let plain = || {
        vec(any::<char>(), 1..=45).prop_map(|name| {
            let name: String =
                name.into_iter().map(|c| if c.is_control() || c.is_whitespace() || ",*@".contains(c) { ':' } else { c }).collect();
            Topic::parse(&name).expect("a name")
        })
    };
    let session = any::<u128>().prop_map(|id| Topic::of_session(&SessionId(id)));
    prop_oneof![
        4 => plain(),
        1 => select(vec!["__proto__", "constructor", "1", "a:b", "größe:1"]).prop_map(|name| Topic::parse(name).expect("a name")),
        1 => plain().prop_map(|topic| topic.members_log().expect("at most 190 bytes")),
        1 => plain().prop_map(|topic| topic.count_log().expect("at most 190 bytes")),
        1 => text(16).prop_map(|id| Topic::of_user(&id).expect("at most 64 bytes, each thrice")),
        1 => session,
    ]
}

/// `<namespace>:*`.
pub(crate) fn pattern() -> impl Strategy<Value = String> {
    "[a-zé]{1,20}".prop_map(|namespace| format!("{namespace}:*"))
}

/// Values that all three languages have: integers up to 2^53-1, any double, any text.
pub(crate) fn payload() -> impl Strategy<Value = Value> {
    let safe = MAX_INTEGER as i64;
    let border = select(vec![0, 23, 24, 31, 32, 33, 127, 128, 129, 255, 256, 32_767, 32_768, 65_535, 65_536, 1 << 31, 1 << 32, safe]);
    let scalar = prop_oneof![
        Just(Value::Null),
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
            btree_map(key, inner, 0..18).prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A payload in bytes of its publisher's format.
pub(crate) fn bytes(payload: &Value, format: Format) -> Vec<u8> {
    match format {
        Format::Json => serde_json::to_vec(payload).expect("JSON"),
        Format::Msgpack => rmp_serde::to_vec_named(payload).expect("MessagePack"),
    }
}

/// The object of those pairs whose values are there.
pub(crate) fn object<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Value {
    pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>().into()
}

/// By value: JavaScript writes 1.0 as 1.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b))),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}
