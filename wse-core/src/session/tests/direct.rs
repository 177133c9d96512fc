//! Messages to a user and to a session, as a session by itself keeps the rules.
use super::*;

fn guarded(hello: &str, user: Option<&str>) -> Pair {
    let offer = Offer { hello_promised: true, auth_required: user.is_some(), token: Some("t".into()), secret: 7, ..Offer::default() };
    let mut pair = Pair::new(offer);
    pair.send(&format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{{{hello}}}}}"#));
    if let Some(user) = user {
        pair.session.welcome(Some(user.into()));
    }
    pair.pump();
    pair
}

/// Names with the client's positions, and for how long it was away.
type Joins = (Vec<(String, Option<Position>)>, Option<Duration>);

/// What the server is to join by itself.
fn direct(pair: &mut Pair) -> Option<Joins> {
    pair.events().into_iter().find_map(|event| match event {
        Event::Direct { wanted, away } => {
            Some((wanted.into_iter().map(|wanted| (wanted.followed.as_str().to_owned(), wanted.position)).collect(), away))
        }
        _ => None,
    })
}

fn session_of(pair: &Pair) -> Option<String> {
    let ready = pair.received.iter().find(|message| message.get_str("t") == Some("server_ready"))?;
    ready.get("p")?.get_str("session").map(str::to_owned)
}

#[test]
fn p65_a_user_has_a_name_and_an_anonymous_client_has_none() {
    assert_eq!(direct(&mut guarded("", None)), None);
    let (wanted, away) = direct(&mut guarded(r#""away_ms":5"#, Some("a b"))).expect("a name");
    assert_eq!((wanted, away), (vec![("@user:a%20b".into(), None)], Some(Duration::from_millis(5))));
    assert_eq!(direct(&mut guarded("", Some(&"x".repeat(195)))), None, "an id too long for a name");
}

#[test]
fn p65_positions_of_another_are_refused_and_the_clients_own_are_taken() {
    let positions = r#""positions":{"@user:ada":{"e":"e1","seq":3},"@user:bob":{"e":"e1","seq":4},"t":{"e":"e1","seq":5}}"#;
    let mut pair = guarded(positions, Some("ada"));
    assert_eq!(direct(&mut pair), Some((vec![("@user:ada".into(), Some(position(3)))], None)));
    let update = pair.received.last().and_then(|message| message.get("p")?.get_array("topics")).expect("an update");
    let entries: Vec<_> = update.iter().map(|entry| (entry.get_str("tp"), entry.get_str("code"))).collect();
    assert_eq!(entries, [(Some("@user:bob"), Some("RESERVED_TOPIC"))]);
}

#[test]
fn p66_a_session_is_resumed_by_its_user_and_by_nobody_else() {
    let mut first = guarded(r#""session":"""#, Some("ada"));
    let (secret, session) = (session_of(&first).expect("a secret"), first.session.session().expect("a session"));
    assert_eq!(direct(&mut first).map(|(wanted, _)| wanted.len()), Some(2));
    let resume = format!(r#""session":"{secret}""#);
    let again = guarded(&resume, Some("ada"));
    assert_eq!((session_of(&again), again.session.session()), (Some(secret.clone()), Some(session)));
    for other in [Some("bob"), None] {
        let pair = guarded(&resume, other);
        assert!(session_of(&pair).is_some_and(|theirs| theirs != secret) && pair.session.session() != Some(session), "{other:?}");
    }
    let none = guarded("", Some("ada"));
    assert_eq!((session_of(&none), none.session.session()), (None, None));
}

#[test]
fn p65_the_servers_own_names_are_nobodys_subscriptions_and_count_as_none() {
    let config = SessionConfig { subscriptions: 1, ..SessionConfig::default() };
    let mut pair = Pair::with(config, Offer { auth_required: true, token: Some("t".into()), ..Offer::default() });
    pair.session.welcome(Some("ada".into()));
    pair.events();
    pair.send(r#"{"v":2,"c":"WSE","t":"subscription","p":{"action":"subscribe","topics":["@user:bob","@user:ada","t","@user:*"],"filters":{"@user:ada":{"$x":1}}}}"#);
    let wanted = pair.events().into_iter().find_map(|event| match event {
        Event::Subscribe(wanted) => Some(wanted),
        _ => None,
    });
    let wanted: Vec<_> =
        wanted.expect("a request").into_iter().map(|wanted| (wanted.followed.as_str().to_owned(), wanted.filter.is_none())).collect();
    assert_eq!(wanted, [("@user:ada".to_owned(), true), ("t".into(), true)]);
    pair.session.subscribed(pair.now, vec![Outcome::Live(position(0)); 2]);
    pair.pump();
    assert_eq!(pair.session.names().map(Followed::as_str).collect::<Vec<_>>(), ["t"]);
    pair.send(r#"{"v":2,"c":"WSE","t":"subscription","p":{"action":"unsubscribe","topics":["@user:ada"]}}"#);
    assert!(pair.events().iter().all(|event| !matches!(event, Event::Unsubscribe(_))), "it is never left");
}
