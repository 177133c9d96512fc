//! Presence, as a session by itself keeps the rules.
use super::*;
use crate::session::PresenceChange;
use wse_protocol::messages::PresenceAction;

fn user(user: Option<&str>, hello: &str) -> Pair {
    let mut pair = Pair::new(Offer { hello_promised: true, auth_required: user.is_some(), token: Some("t".into()), ..Offer::default() });
    pair.send(&format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{{{hello}}}}}"#));
    if let Some(user) = user {
        pair.session.welcome(Some(user.into()));
    }
    pair.pump().received.clear();
    pair.events();
    pair
}

fn ask(pair: &mut Pair, p: &str) -> Option<PresenceChange> {
    pair.send(&format!(r#"{{"v":2,"c":"WSE","t":"presence","cid":"q","p":{{{p}}}}}"#));
    pair.events().into_iter().find_map(|event| if let Event::Presence(change) = event { Some(*change) } else { None })
}

#[test]
fn p61_a_user_is_the_same_member_everywhere_and_an_anonymous_client_is_by_its_key() {
    let enter = r#""action":"enter","topic":"a","data":{"n": [1]},"key":"ada""#;
    let change = ask(&mut user(Some("ada"), ""), enter).expect("valid");
    // vectors/presence.json has both.
    assert_eq!(change.member, wse_crypto::presence::user_id("ada").into());
    assert_eq!((change.action, &change.data[..]), (PresenceAction::Enter, &br#"{"n":[1]}"#[..]));
    let by_key = ask(&mut user(None, ""), enter).expect("valid");
    assert_eq!(by_key.member, wse_crypto::presence::key_id("ada").into());
    let absent = ask(&mut user(Some("ada"), ""), r#""action":"update","topic":"b""#).expect("valid");
    assert_eq!((absent.member, &absent.data[..]), (change.member, &b"null"[..]));
}

#[test]
fn p60_what_the_session_refuses_names_the_topic_and_the_request() {
    let mut pair = user(None, "");
    let long = format!(r#""action":"enter","key":"k","topic":"{}""#, "x".repeat(191));
    let large = format!(r#""action":"update","key":"k","topic":"a","data":"{}""#, "x".repeat(1023));
    let largest = format!(r#""action":"update","key":"k","topic":"a","data":"{}""#, "x".repeat(1022));
    for (p, code) in [
        (r#""action":"enter","topic":"a""#, "INVALID_MESSAGE"),
        (r#""action":"enter","topic":"a b","key":"k""#, "INVALID_TOPIC"),
        (r#""action":"enter","topic":"a:*","key":"k""#, "INVALID_TOPIC"),
        (r#""action":"leave","topic":"@presence:a""#, "RESERVED_TOPIC"),
        (&long, "INVALID_TOPIC"),
        (&large, "PRESENCE_DATA_TOO_LARGE"),
    ] {
        assert_eq!(ask(&mut pair, p), None, "{p}");
        let error = pair.received.pop().expect("an error");
        let asked = p.split(r#""topic":""#).nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!((error.get_str("cid"), error["p"].get_str("code"), error["p"].get_str("topic")), (Some("q"), Some(code), asked));
    }
    assert!(ask(&mut pair, &largest).is_some() && ask(&mut pair, r#""action":"leave","topic":"a""#).is_some());
}

#[test]
fn p60_it_is_answered_once_it_is_stored_and_a_client_that_asks_on_is_not_read_meanwhile() {
    let mut pair = user(Some("ada"), "");
    let change = ask(&mut pair, r#""action":"enter","topic":"a""#).expect("valid");
    assert!(pair.received.is_empty());
    for _ in 1..wse_protocol::defaults::HANDLER_QUEUE {
        assert!(pair.session.reads());
        ask(&mut pair, r#""action":"update","topic":"a","data":1"#);
    }
    assert!(!pair.session.reads());
    pair.session.presence_changed(pair.now, &change, Ok(()));
    let full = WireError::new(ErrorCode::PresenceFull, "full");
    pair.session.presence_changed(pair.now, &change, Err(full));
    pair.session.presence_changed(pair.now, &PresenceChange { cid: None, ..change.clone() }, Ok(()));
    pair.pump();
    assert!(pair.session.reads());
    let [reply, error] = &pair.received[..] else { panic!("{:?}", pair.received) };
    assert_eq!(
        (reply.get_str("t"), reply.get_str("cid"), reply["p"].get_str("id")),
        (Some("reply"), Some("q"), Some(change.member.as_str()))
    );
    assert_eq!((error["p"].get_str("code"), error["p"].get_str("topic")), (Some("PRESENCE_FULL"), Some("a")));
}

#[test]
fn p62_a_client_has_left_for_good_where_it_does_not_come_back_by_itself() {
    type End = Box<dyn Fn(&mut Pair)>;
    let peer = |code: Option<CloseCode>| move |pair: &mut Pair| pair.session.handle_close(pair.now, code, "");
    let ours = |code: CloseCode| move |pair: &mut Pair| pair.session.close(pair.now, code, "");
    let moved = |pair: &mut Pair| {
        pair.session.send_away(pair.now, Duration::ZERO, Duration::ZERO, "");
        pair.session.handle_close(pair.now, Some(CloseCode::NORMAL), "");
    };
    let lost = |pair: &mut Pair| pair.session.handle_lost(pair.now, None, "");
    let ends: [(End, bool); 8] = [
        (Box::new(peer(Some(CloseCode::NORMAL))), true),
        (Box::new(peer(None)), true),
        (Box::new(peer(Some(CloseCode::GOING_AWAY))), false),
        (Box::new(ours(CloseCode::FORBIDDEN)), true),
        (Box::new(ours(CloseCode::NORMAL)), false),
        (Box::new(ours(CloseCode::RESTART)), false),
        (Box::new(moved), false),
        (Box::new(lost), false),
    ];
    for (index, (end, expected)) in ends.into_iter().enumerate() {
        let mut pair = user(None, r#""move":true"#);
        end(&mut pair);
        let closed =
            pair.events().into_iter().find_map(|event| if let Event::Closed { for_good, .. } = event { Some(for_good) } else { None });
        assert_eq!(closed, Some(expected), "end {index}");
    }
}

#[test]
fn p60_what_was_asked_for_right_before_the_end_is_not_lost() {
    let mut pair = user(Some("ada"), "");
    for action in ["enter", "leave"] {
        pair.session.handle_text(
            pair.now,
            &mut format!(r#"{{"v":2,"c":"WSE","t":"presence","p":{{"action":"{action}","topic":"a"}}}}"#).into_bytes(),
        );
    }
    pair.session.handle_close(pair.now, Some(CloseCode::GOING_AWAY), "");
    let told = pair.events().into_iter().map(|event| match event {
        Event::Presence(change) => Some(change.action),
        Event::Closed { for_good: false, .. } => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), [Some(PresenceAction::Enter), Some(PresenceAction::Leave), None]);
}

#[test]
fn p63_logs_of_members_are_subscribed_to_as_topics_are_but_without_filters() {
    let mut pair =
        user(Some("ada"), r#""topics":["@count:a"],"positions":{"@count:a":{"e":"e1","seq":3},"@presence:b":{"e":"e1","seq":1}}"#);
    assert!(pair.received.is_empty(), "positions of such names are no forgeries");
    pair.session.subscribed(pair.now, vec![Outcome::Live(position(3))]);
    pair.send(
        r#"{"v":2,"c":"WSE","t":"subscription","p":{"action":"subscribe","topics":["@presence:a","@presence:b","@presence:a b","@user:bob"],"filters":{"@presence:b":{"x":1},"@user:bob":{"x":1}}}}"#,
    );
    let wanted = pair.events().into_iter().find_map(|event| if let Event::Subscribe(wanted) = event { Some(wanted) } else { None });
    assert_eq!(
        wanted.map(|wanted| wanted.iter().map(|wanted| wanted.followed.as_str().to_owned()).collect()),
        Some(vec!["@presence:a".into()])
    );
    pair.session.subscribed(pair.now, vec![Outcome::Live(position(0))]);
    pair.pump();
    let update = pair.received.last().and_then(|message| message["p"].get_array("topics")).expect("an update");
    let codes: Vec<_> = update.iter().map(|entry| entry.get_str("code")).collect();
    assert_eq!(codes, [None, Some("INVALID_FILTER"), Some("INVALID_TOPIC"), Some("RESERVED_TOPIC")]);
    assert_eq!(pair.session.names().count(), 2);
}
