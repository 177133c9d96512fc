//! Laws that hold for every filter and payload, and what the vectors cannot say.
use super::{
    Filter, FilterFault, PatternFault, Payload, Scratch,
    pattern::{self, PATTERN_COST},
};
use proptest::prelude::*;
use wse_protocol::{
    Value,
    prelude::{ValueArrayAccess, ValueAsScalar},
};

fn filter(json: &str) -> Filter {
    Filter::compile_json(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn refused(json: &str) -> (String, FilterFault) {
    let error = Filter::compile_json(json.as_bytes()).expect_err(json);
    (error.at, error.fault)
}

/// The verdict on a payload in JSON: of its text, which must be that of its value.
fn passes(filter: &Filter, json: &str) -> bool {
    let value: Value = simd_json::to_owned_value(&mut json.as_bytes().to_vec()).expect("JSON");
    let mut scratch = Scratch::default();
    let payload = Payload::parse(&mut scratch, json.as_bytes()).expect("JSON");
    let found = filter.matches_parsed(&payload);
    assert_eq!(filter.matches(&value), found, "{} on {json}", filter.canonical());
    found
}

#[test]
fn an_error_names_the_place_and_says_what_to_write() {
    let (at, fault) = refused(r#"{"$and":[{"a":1},{"price.bid":{"$in":5}}]}"#);
    assert_eq!((at.as_str(), fault), ("$and[1].price.bid.$in", FilterFault::Operand("an array of values")));
    assert_eq!(refused("[]"), ("the top".into(), FilterFault::NotObject));
    assert_eq!(refused(r#"{"a":1e999}"#), ("the top".into(), FilterFault::Number));
    assert_eq!(refused(r#"{"a":1"#), ("the top".into(), FilterFault::NotJson));
    assert_eq!(refused(r#"{"a":{"$regex":"\\p{L}"}}"#), ("a.$regex".into(), PatternFault::Escape('p').into()));
    assert_eq!(refused(r#"{"a":{"$in":[1,[[[[[[[[[]]]]]]]]]]}}"#), ("a.$in[1]".into(), FilterFault::TooDeep));
    let error = Filter::compile_json(br#"{"a":{"$near":1}}"#).expect_err("no such operator");
    assert_eq!(wse_protocol::WireError::from(error).message, "filter refused at a.$near: there is no such operator here");
}

#[test]
fn filters_that_differ_in_spelling_only_are_equal() {
    let groups: [&[&str]; 6] = [
        &[r#"{}"#, r#" { } "#, r#"{"$and":[{}]}"#, r#"{"$and":[{},{"$or":[{}]}]}"#],
        &[r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a":{"$eq":1}}"#, r#"{"$and":[{"b":2},{"a":1},{"b":2}]}"#, r#"{"\u0061":10e-1,"b":2}"#],
        &[r#"{"a":{"$ne":1}}"#, r#"{"a":{"$not":{"$eq":1}}}"#, r#"{"$not":{"a":1}}"#, r#"{"$nor":[{"a":1}]}"#],
        &[r#"{"a":{"$in":[1,"x",null]}}"#, r#"{"a":{"$in":["x",1.0,null,"x"]}}"#],
        &[r#"{"a":{"x":[1],"y":0}}"#, r#"{"a":{"y":-0.0,"x":[1]}}"#],
        &[r#"{"$or":[{"a":1},{"b":{"$gt":2,"$lt":5}}]}"#, r#"{"$or":[{"b":{"$lt":5,"$gt":2}},{"$or":[{"a":1}]}]}"#],
    ];
    for (i, group) in groups.iter().enumerate() {
        for json in *group {
            assert_eq!(filter(json), filter(group[0]), "{json}");
            assert_eq!(filter(filter(json).canonical()).canonical(), filter(json).canonical());
        }
        assert!(groups[..i].iter().all(|other| filter(other[0]) != filter(group[0])));
    }
}

#[test]
fn a_forced_filter_narrows_and_is_shared_like_any_other() {
    let (theirs, forced) = (filter(r#"{"price":{"$gt":10}}"#), filter(r#"{"tenant":"a"}"#));
    let both = theirs.and(&forced);
    assert_eq!(both, filter(r#"{"tenant":"a","price":{"$gt":10}}"#));
    assert_eq!(forced.and(&filter("{}")), forced);
    assert!(filter("{}").is_empty() && !both.is_empty());
    assert!(passes(&both, r#"{"price":11,"tenant":"a"}"#));
    assert!(!passes(&both, r#"{"price":11,"tenant":"b"}"#));
}

#[test]
fn escapes_in_a_payload_are_read_and_of_a_key_the_last_counts() {
    assert!(passes(&filter(r#"{"é\n":"😀\"/"}"#), r#"{"\u00e9\n":"\ud83d\ude00\"\/"}"#));
    let mut scratch = Scratch::default();
    let twice = Payload::parse(&mut scratch, br#"{"a":1,"b":0,"a":2}"#).expect("JSON");
    assert!(filter(r#"{"a":2}"#).matches_parsed(&twice) && !filter(r#"{"a":1}"#).matches_parsed(&twice));
    assert_eq!(filter(r#"{"a":1,"a":2}"#), filter(r#"{"a":2}"#));
}

#[test]
fn what_is_not_json_is_not_scanned() {
    let mut scratch = Scratch::default();
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a:1}",
        "01",
        "1.",
        "-",
        "1e",
        "+1",
        "nul",
        "truefalse",
        "1 2",
        "[1}",
        "\"\n\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"",
        "]",
        "{\"a\":1,}",
        "\u{feff}1",
        "NaN",
        "1,2",
        "1,[2]",
        "1]",
        "1}",
        "1,\"a\":2}",
        "\"a\":1}",
        "[1",
        "[{}",
        "{\"a\":1,\"b\"",
        "{\"a\":1,2}",
        "{\"a\":[1}",
        "[1 2]",
        "[\"a\":1]",
        "[,1]",
        "{,\"a\":1}",
        "{\"a\":1}}",
        "1 \u{b}",
        "-01",
        "--1",
        "-.5",
        "1.e5",
        "1e+",
    ] {
        assert!(Payload::parse(&mut scratch, text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(Payload::parse(&mut scratch, b"\"\xff\"").is_err());
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let payload = Payload::parse(&mut scratch, deep.as_bytes()).expect("nested, but JSON");
    assert!(!filter(r#"{"a.b":1,"c":[[[[[[[1]]]]]]]}"#).matches_parsed(&payload));
}

#[test]
fn a_string_ends_where_it_ends_however_long_it_is() {
    let specials =
        ["\"", "\\", "\\n", "\u{0}", "\u{1f}", " ", "!", "#", "[", "]", "\u{7f}", "\u{80}", "\u{a2}", "\u{df}", "\u{ffff}", "😀"];
    let mut scratch = Scratch::default();
    // Every place within the eight bytes that are looked at together, and others before and behind them; the last few are looked at singly.
    for (before, after) in (0..20).flat_map(|before| (0..20).map(move |after| (before, after))) {
        for (special, tail) in specials.iter().flat_map(|special| [(special, ",1]"), (special, "]")]) {
            let text = format!("[\"{}{special}{}\"{tail}", "x".repeat(before), "y".repeat(after));
            let (value, payload) =
                (simd_json::to_owned_value(&mut text.clone().into_bytes()), Payload::parse(&mut scratch, text.as_bytes()));
            assert_eq!(payload.is_ok(), value.is_ok(), "{text:?}");
            let (Ok(payload), Ok(value)) = (payload, value) else { continue };
            let found = serde_json::json!({"0": value.get_idx(0).expect("a string").as_str()});
            assert!(filter(&found.to_string()).matches_parsed(&payload), "{text:?}");
        }
    }
}

#[test]
fn white_space_may_stand_between_any_two_tokens() {
    let tokens = ["{", "\"a\"", ":", "[", "{", "}", ",", "[", "]", ",", "true", ",", "-1.5e+3", "]", ",", "\"b\"", ":", "null", "}"];
    let plain = filter(r#"{"a":[{},[],true,-1500],"b":{"$exists":true}}"#);
    assert!(passes(&plain, &tokens.concat()));
    for space in [" ", "\n", "\r", "\t", " \r\n\t "] {
        for at in 0..=tokens.len() {
            assert!(passes(&plain, &format!("{}{space}{}", tokens[..at].concat(), tokens[at..].concat())), "{at}");
        }
        assert!(passes(&plain, &format!("{space}{}{space}", tokens.join(space))));
    }
    assert!(passes(&filter(r#"{"$nor":[{"a":1}]}"#), " false "));
}

#[test]
fn every_pattern_within_the_cost_compiles() {
    let class = format!("[^{}]", (0x400..0x450).map(|c| char::from_u32(c).expect("a letter")).step_by(2).collect::<String>());
    let (groups, stars) = ("(".repeat(128) + &")".repeat(128), "(?:.*)?".repeat(36));
    let patterns = [
        ".{64}",
        "(?:.{8}){8}",
        "[^a]{56}",
        "[^éa]{51}",
        "(?:.|é){51}",
        "(?:\\b|^|$|a){73}",
        "[\\D\\W\\S]{46}",
        "[А-я]{56}",
        "((((((((a{8}){8}){8}))))))",
        &format!("{class}{{10}}"),
        &groups,
        &stars,
    ];
    for pattern in patterns {
        assert!(pattern::compile(pattern, PATTERN_COST).is_ok(), "{pattern}");
    }
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "1",
            "-0.0",
            "1.0",
            "2",
            "2.5",
            "9007199254740993",
            "9007199254740992.0",
            "18446744073709551615",
            "1e300"
        ])
        .prop_map(String::from),
        prop::sample::select(vec!["", "a", "ab", "abc", "é", "😀", "\\u00e9", "\\n"]).prop_map(|text| format!("\"{text}\"")),
    ]
}

fn json() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((prop::sample::select(vec!["a", "b", "0", "c d", "\\u0062"]), inner), 0..4)
                .prop_map(|entries| object(&entries)),
        ]
    })
}

/// Each key once, as the two readers of JSON are of two minds about repetitions.
fn object(entries: &[(&str, String)]) -> String {
    let mut seen = Vec::new();
    let parts = entries.iter().filter(|(key, _)| {
        let name = if *key == "\\u0062" { "b" } else { key };
        !seen.contains(&name) && {
            seen.push(name);
            true
        }
    });
    format!("{{{}}}", parts.map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(","))
}

/// The decoder refuses numbers beyond doubles, which JSON allows; no other byte can make one.
fn no_part_of_a_number() -> impl Strategy<Value = u8> {
    any::<u8>().prop_filter("could make a number beyond doubles", |byte| !b"0123456789.eE".contains(byte))
}

fn operators() -> impl Strategy<Value = String> {
    let bound = prop_oneof![Just("1"), Just("2.5"), Just("\"ab\""), Just("9007199254740993")];
    let text = prop_oneof![Just("a"), Just("b"), Just("é")];
    prop_oneof![
        (prop::sample::select(vec!["$eq", "$ne", "$contains"]), json()).prop_map(|(name, value)| format!("{{\"{name}\":{value}}}")),
        (prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]), bound).prop_map(|(name, bound)| format!("{{\"{name}\":{bound}}}")),
        (prop::sample::select(vec!["$in", "$nin"]), prop::collection::vec(json(), 0..4))
            .prop_map(|(name, values)| format!("{{\"{name}\":[{}]}}", values.join(","))),
        (prop::sample::select(vec!["$regex", "$startswith", "$endswith"]), text)
            .prop_map(|(name, text)| format!("{{\"{name}\":\"{text}\"}}")),
        prop::bool::ANY.prop_map(|exists| format!("{{\"$exists\":{exists}}}")),
    ]
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "a.b", "a.0", "b.a.0", "0", "c d", "a.b.a", "x"])
}

fn filters() -> impl Strategy<Value = String> {
    let field = (path(), operators(), operators()).prop_map(|(path, one, two)| format!("{{\"{path}\":{one},\"x.y\":{{\"$not\":{two}}}}}"));
    field.prop_recursive(2, 8, 3, |inner| {
        let list = (prop::sample::select(vec!["$and", "$or", "$nor"]), prop::collection::vec(inner.clone(), 1..4));
        prop_oneof![
            list.prop_map(|(name, filters)| format!("{{\"{name}\":[{}]}}", filters.join(","))),
            inner.prop_map(|filter| format!("{{\"$not\":{filter}}}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_negation_is_exact(one in filters(), payload in json()) {
        let verdict = passes(&filter(&one), &payload);
        prop_assert_eq!(passes(&filter(&format!("{{\"$not\":{one}}}")), &payload), !verdict);
        prop_assert_eq!(passes(&filter(&format!("{{\"$nor\":[{one}]}}")), &payload), !verdict);
    }

    #[test]
    fn a_negation_in_a_field_is_exact(path in path(), test in operators(), payload in json()) {
        let verdict = passes(&filter(&format!("{{\"{path}\":{test}}}")), &payload);
        prop_assert_eq!(passes(&filter(&format!("{{\"{path}\":{{\"$not\":{test}}}}}")), &payload), !verdict);
    }

    #[test]
    fn de_morgan(one in filters(), two in filters(), payload in json()) {
        let (a, b) = (passes(&filter(&one), &payload), passes(&filter(&two), &payload));
        let both = filter(&format!("{{\"$and\":[{one},{two}]}}"));
        prop_assert_eq!(passes(&both, &payload), a && b);
        prop_assert_eq!(&both, &filter(&one).and(&filter(&two)));
        prop_assert_eq!(passes(&filter(&format!("{{\"$not\":{{\"$and\":[{one},{two}]}}}}")), &payload), !a || !b);
        prop_assert_eq!(passes(&filter(&format!("{{\"$or\":[{{\"$not\":{one}}},{{\"$not\":{two}}}]}}")), &payload), !a || !b);
        prop_assert_eq!(passes(&filter(&format!("{{\"$nor\":[{one},{two}]}}")), &payload), !a && !b);
        prop_assert_eq!(passes(&filter(&format!("{{\"$or\":[{one},{two}]}}")), &payload), a || b);
    }

    #[test]
    fn the_canonical_text_means_the_same_and_is_its_own(one in filters(), payloads in prop::collection::vec(json(), 4)) {
        let compiled = filter(&one);
        let again = filter(compiled.canonical());
        prop_assert_eq!(&again, &compiled);
        for payload in payloads {
            prop_assert_eq!(passes(&again, &payload), passes(&compiled, &payload));
        }
    }

    #[test]
    fn the_scanner_takes_what_the_decoder_takes(start in json(), cut in 0..40_usize, byte in no_part_of_a_number()) {
        let mut bytes = start.into_bytes();
        let at = cut % bytes.len();
        bytes[at] = byte;
        let mut scratch = Scratch::default();
        let scanned = Payload::parse(&mut scratch, &bytes).is_ok();
        let decoded = simd_json::to_owned_value(&mut bytes.clone()).is_ok();
        prop_assert_eq!(scanned, decoded, "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), pattern in "[\\\\(){}\\[\\]^$.*+?|a-c0-9,:=!<-]{0,24}") {
        let _ = Filter::compile_json(&bytes);
        let _ = Payload::parse(&mut Scratch::default(), &bytes);
        let _ = pattern::compile(&pattern, PATTERN_COST);
    }

    #[test]
    fn no_json_makes_the_compiler_panic(operand in json(), name in prop::sample::select(vec!["$and", "$or", "$nor", "$not", "a", "", "$x", "a.$in"]), inner in prop::sample::select(vec!["$in", "$regex", "$gt", "$exists", "$not", "x"])) {
        let _ = Filter::compile_json(format!("{{\"{name}\":{operand}}}").as_bytes());
        let _ = Filter::compile_json(format!("{{\"a\":{{\"{inner}\":{operand}}}}}").as_bytes());
    }
}
