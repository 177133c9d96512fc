//! What a session tells its peer when the server is to end.
use super::*;

const WAIT: Duration = Duration::from_millis(1250);
const STAY: Duration = Duration::from_secs(8);

fn greeted(hello: &str) -> Pair {
    let mut pair = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    pair.send(&format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{{{hello}}}}}"#));
    pair.received.clear();
    while pair.session.poll_event().is_some() {}
    pair
}

#[test]
fn p67_a_peer_that_moves_is_told_once_when_and_for_how_long_and_is_served_on() {
    let mut pair = greeted(r#""move":true"#);
    assert!(pair.session.moves() && !pair.session.was_sent_away());
    assert!(pair.session.send_away(pair.now, WAIT, STAY, "why"));
    assert!(pair.session.send_away(pair.now, WAIT, STAY, "why"));
    pair.pump();
    assert_eq!(pair.kinds(), ["move"]);
    let told = pair.received[0].get("p").expect("a payload");
    assert_eq!((told.get_u64("in_ms"), told.get_u64("for_ms")), (Some(1250), Some(8000)));
    assert!(pair.session.was_sent_away() && !pair.session.is_closing());
    pair.send(r#"{"v":2,"t":"order","cid":"1"}"#);
    assert!(matches!(&pair.events()[..], [Event::Message(_)]));
}

#[test]
fn p67_one_that_does_not_move_and_one_that_is_not_ready_return_soon() {
    for hello in [r#""move":false"#, ""] {
        let mut pair = greeted(hello);
        assert!(!pair.session.send_away(pair.now, WAIT, STAY, "why"));
        pair.pump();
        assert_eq!((pair.kinds(), pair.closed), (vec![], Some(Some(CloseCode::RESTART))));
    }
    let mut early = Pair::new(Offer { hello_promised: true, ..Offer::default() });
    assert!(!early.session.moves());
    assert!(!early.session.send_away(early.now, WAIT, STAY, "why"));
    assert_eq!(early.pump().closed, Some(Some(CloseCode::RESTART)));
}
