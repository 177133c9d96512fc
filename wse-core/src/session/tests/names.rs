//! How many names one message may have ([P-23]): what it costs is bounded by what a connection may hold, not by its length.
use super::*;

/// A connection may hold 128, and one message names at most 1,024 more.
const MOST: usize = 128 + 1024;

fn names(count: usize) -> String {
    (0..count).map(|n| format!("\"t{n}\"")).collect::<Vec<_>>().join(",")
}

fn request(kind: &str, rest: &str, topics: &str) -> String {
    format!(r#"{{"v":2,"c":"WSE","t":"{kind}","cid":"q","p":{{{rest}"topics":[{topics}]}}}}"#)
}

#[test]
fn a_name_that_stands_twice_counts_once_where_it_came_first() {
    let mut pair = Pair::ready();
    pair.send(&request("subscription", r#""action":"subscribe","#, r#""b","n:*","a","b","n:*","n:*""#));
    let [Event::Subscribe(wanted)] = &pair.events()[..] else { panic!("one request") };
    assert_eq!(wanted.iter().map(|wanted| wanted.followed.as_str()).collect::<Vec<_>>(), ["b", "n:*", "a"]);

    let mut pair = Pair::ready();
    pair.send(&request("snapshot_request", "", r#""b","a","b""#));
    assert!(matches!(&pair.events()[..], [Event::Snapshot { topics, .. }] if *topics == [topic("b"), topic("a")]));

    let mut pair = Pair::new(Offer { hello_promised: true, topics: vec!["u".into(), "a".into()], ..Offer::default() });
    pair.send(r#"{"v":2,"c":"WSE","t":"client_hello","p":{"topics":["a","h","a","h"]}}"#);
    let events = pair.events();
    let [Event::Opened, Event::Subscribe(wanted)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(wanted.iter().map(|wanted| wanted.followed.as_str()).collect::<Vec<_>>(), ["u", "a", "h"]);
}

#[test]
fn a_request_with_too_many_names_is_refused_whole() {
    for (kind, rest) in
        [("subscription", r#""action":"subscribe","#), ("subscription", r#""action":"unsubscribe","#), ("snapshot_request", "")]
    {
        let mut pair = Pair::ready();
        pair.send(&request(kind, rest, &names(MOST + 1)));
        assert_eq!((pair.kinds(), pair.error_codes()), (vec!["error"], vec!["TOO_MANY_SUBSCRIPTIONS"]), "{kind} {rest}");
        assert_eq!(pair.received[0].get_str("cid"), Some("q"));
        assert!(pair.events().is_empty());
        pair.send(&request(kind, rest, &names(MOST)));
        assert_eq!(pair.error_codes(), ["TOO_MANY_SUBSCRIPTIONS"], "{kind} {rest}");
    }
}

#[test]
fn of_a_hello_with_too_many_names_the_first_ones_are_served() {
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    pair.send(&request("client_hello", "", &names(MOST + 5)));
    assert_eq!(pair.kinds(), ["server_hello", "server_ready", "error"]);
    assert_eq!(pair.error_codes(), ["TOO_MANY_SUBSCRIPTIONS"]);
    let events = pair.events();
    assert!(
        matches!(&events[..], [Event::Opened, Event::Subscribe(wanted)] if wanted.len() == 128),
        "the others past the limit are refused one by one"
    );
}

#[test]
fn a_hello_of_a_hundred_thousand_names_is_read_in_a_moment() {
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    // Comparing each with each would take minutes.
    pair.send(&request("client_hello", "", &names(100_000)));
    assert_eq!(pair.error_codes(), ["TOO_MANY_SUBSCRIPTIONS"]);
}
