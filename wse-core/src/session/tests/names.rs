//! How many names one message may have ([P-23]): what it costs is bounded by what a connection may hold, not by its length.
use super::*;
use wse_protocol::defaults::{NAMES_BEYOND, SUBSCRIPTIONS};

/// What one message names at most.
const MOST: usize = (SUBSCRIPTIONS + NAMES_BEYOND) as usize;

/// A case of names.json.
struct Case {
    kind: String,
    topics: Vec<String>,
}

impl Case {
    fn read(case: &serde_json::Value) -> Self {
        let listed = case["topics"].as_array().expect("topics").iter().map(|name| name.as_str().expect("a name").to_owned());
        let numbered = (0..case["numbered"].as_u64().expect("numbered")).map(|number| format!("t{number}"));
        Self { kind: case["kind"].as_str().expect("kind").into(), topics: listed.chain(numbered).collect() }
    }

    /// The error that it gets, and the topics that it is answered for; the hub does what it is asked to.
    fn answers(&self) -> (Option<String>, Vec<String>) {
        let is_hello = self.kind == "client_hello";
        let mut pair = if is_hello { Pair::new(Offer { hello_promised: true, ..Offer::default() }) } else { Pair::ready() };
        let (message, rest) = match &*self.kind {
            "client_hello" | "snapshot_request" => (&*self.kind, String::new()),
            action => ("subscription", format!(r#""action":"{action}","#)),
        };
        pair.send(&request(message, &rest, &self.topics.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(",")));
        let mut answered = Vec::new();
        for event in pair.events() {
            match event {
                Event::Subscribe(wanted) => {
                    assert!(wanted.len() as u64 <= SUBSCRIPTIONS, "the hub is asked for no more than a connection may hold");
                    let now = pair.now;
                    pair.session.subscribed(now, wanted.iter().map(|_| Outcome::Live(position(0))).collect());
                }
                Event::Snapshot { topics, .. } => answered.extend(topics.iter().map(|topic| topic.as_str().to_owned())),
                _ => {}
            }
        }
        pair.pump();
        let updates = pair.received.iter().filter(|message| message.get_str("t") == Some("subscription_update"));
        let entries = updates.flat_map(|update| update["p"]["topics"].as_array().expect("entries"));
        answered.extend(entries.map(|entry| entry.get_str("tp").expect("a name").to_owned()));
        let errors = pair.received.iter().filter(|message| message.get_str("t") == Some("error"));
        assert!(errors.map(|error| error.get_str("cid")).all(|cid| cid == (!is_hello).then_some("q")), "what is refused whole is named");
        (pair.error_codes().first().map(|code| (*code).to_owned()), answered)
    }
}

#[test]
fn names_are_counted_as_the_vectors_say() {
    let file: serde_json::Value = serde_json::from_str(include_str!("../../../../vectors/names.json")).expect("JSON");
    let cases = file["cases"].as_array().expect("cases");
    assert_eq!((cases.len(), file["count"].as_u64()), (16, Some(16)));
    let limits = [&file["limits"]["subscriptions"], &file["limits"]["names_beyond"]].map(serde_json::Value::as_u64);
    assert_eq!(limits, [Some(SUBSCRIPTIONS), Some(NAMES_BEYOND)]);
    for case in cases {
        let (code, answered) = Case::read(case).answers();
        assert_eq!(code.as_deref(), case["code"].as_str(), "{}", case["name"]);
        assert_eq!(Some(answered.len() as u64), case["named"].as_u64(), "{}", case["name"]);
        let first = case["first"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(answered.iter().zip(first).all(|(name, first)| name == first), "{}: {answered:?}", case["name"]);
    }
}

fn names(count: usize) -> String {
    (0..count).map(|n| format!("\"t{n}\"")).collect::<Vec<_>>().join(",")
}

fn request(kind: &str, rest: &str, topics: &str) -> String {
    format!(r#"{{"v":2,"c":"WSE","t":"{kind}","cid":"q","p":{{{rest}"topics":[{topics}]}}}}"#)
}

#[test]
fn a_topic_of_the_address_counts_once_with_the_same_one_of_the_hello() {
    let mut pair = Pair::new(Offer { hello_promised: true, topics: vec!["u".into(), "a".into()], ..Offer::default() });
    pair.send(r#"{"v":2,"c":"WSE","t":"client_hello","p":{"topics":["a","h","a","h"]}}"#);
    let events = pair.events();
    let [Event::Opened, Event::Subscribe(wanted)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(wanted.iter().map(|wanted| wanted.followed.as_str()).collect::<Vec<_>>(), ["u", "a", "h"]);
}

#[test]
fn that_a_hello_had_too_many_names_is_told_once_it_is_ready_and_the_hub_is_asked_for_the_first() {
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    pair.send(&request("client_hello", "", &names(MOST + 5)));
    assert_eq!(pair.kinds(), ["server_hello", "server_ready", "error"]);
    let events = pair.events();
    let [Event::Opened, Event::Subscribe(wanted)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(wanted.len() as u64, SUBSCRIPTIONS, "the others past the limit are refused one by one");
}

#[test]
fn a_hello_of_a_hundred_thousand_names_is_read_in_a_moment() {
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    // Comparing each with each would take minutes.
    pair.send(&request("client_hello", "", &names(100_000)));
    assert_eq!(pair.error_codes(), ["TOO_MANY_SUBSCRIPTIONS"]);
}

/// One that costs as much as a filter may ([P-76]), of its own for each topic.
fn costly(name: usize) -> String {
    format!(r#""t{name}":{{"a":{{"$regex":"^{name}{}"}}}}"#, ".{62}")
}

fn filtered(first: usize, count: usize) -> String {
    let filters: Vec<_> = (first..first + count).map(costly).collect();
    let topics: Vec<_> = (first..first + count).map(|n| format!("\"t{n}\"")).collect();
    request("subscription", &format!(r#""action":"subscribe","filters":{{{}}},"#, filters.join(",")), &topics.join(","))
}

/// The entries of the answer, once the hub has done what it was asked to.
fn entries(pair: &mut Pair, message: &str, outcome: impl Fn() -> Outcome) -> Vec<String> {
    pair.received.clear();
    pair.send(message);
    for event in pair.events() {
        let Event::Subscribe(wanted) = event else { continue };
        let now = pair.now;
        pair.session.subscribed(now, wanted.iter().map(|_| outcome()).collect());
    }
    pair.pump();
    let update = pair.received.iter().find(|message| message.get_str("t") == Some("subscription_update")).expect("an answer");
    let entries = update["p"]["topics"].as_array().expect("entries");
    entries.iter().map(|entry| entry.get_str("code").unwrap_or("").to_owned()).collect()
}

#[test]
fn the_patterns_of_a_connections_filters_cost_no_more_than_stated_together() {
    let live = || Outcome::Live(position(0));
    let mut pair = Pair::ready();
    let codes = entries(&mut pair, &filtered(0, 10), live);
    assert_eq!(codes, [[""; 8].as_slice(), &["INVALID_FILTER"; 2]].concat(), "4,096 by 512");
    assert_eq!(entries(&mut pair, &filtered(0, 8), live), [""; 8], "another filter of a topic counts in place of the one before");
    assert_eq!(entries(&mut pair, &filtered(8, 1), live), ["INVALID_FILTER"]);
    assert_eq!(entries(&mut pair, &request("subscription", r#""action":"subscribe","#, r#""t0""#), live), [""], "none any more");
    let refused = || Outcome::Refused(WireError::new(ErrorCode::FilterLimit, "no room"));
    assert_eq!(entries(&mut pair, &filtered(8, 1), refused), ["FILTER_LIMIT"]);
    assert_eq!(entries(&mut pair, &filtered(0, 1), refused), ["FILTER_LIMIT"], "it has the filter that it had, which is none");
    assert_eq!(entries(&mut pair, &filtered(8, 1), live), [""], "what was refused costs nothing");
}

#[test]
fn a_name_that_is_refused_anyway_costs_no_filter() {
    let mut pair = Pair::ready();
    let names = names(MOST);
    let filters: Vec<_> = (0..MOST).map(|n| format!(r#""t{n}":{{"a":{{"$regex":"("}}}}"#)).collect();
    let message = request("subscription", &format!(r#""action":"subscribe","filters":{{{}}},"#, filters.join(",")), &names);
    let codes = entries(&mut pair, &message, || Outcome::Live(position(0)));
    // None of them is held, so that each is admitted, and then its filter is looked at.
    assert!(codes.iter().all(|code| code == "INVALID_FILTER"));
    let held = entries(&mut pair, &request("subscription", r#""action":"subscribe","#, &self::names(128)), || Outcome::Live(position(0)));
    assert_eq!(held, [""; 128]);
    let codes = entries(&mut pair, &message, || Outcome::Live(position(0)));
    assert_eq!(codes, [["INVALID_FILTER"; 128].as_slice(), &["TOO_MANY_SUBSCRIPTIONS"; 1024]].concat());
}

#[test]
fn no_more_strange_positions_are_answered_than_names() {
    let positions: Vec<_> = (0..5_000).map(|n| format!(r#""@user:u{n}":{{"e":"e","seq":1}}"#)).collect();
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    pair.send(&format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{{"positions":{{{}}}}}}}"#, positions.join(",")));
    pair.pump();
    let updates = pair.received.iter().filter(|message| message.get_str("t") == Some("subscription_update"));
    assert_eq!(updates.flat_map(|update| update["p"]["topics"].as_array().expect("entries")).count(), MOST);
}
