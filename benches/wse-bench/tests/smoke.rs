//! The whole tool against its own servers, briefly: what a receiver got is what was published.
use std::time::Duration;
use wse_bench::{
    load::{Target, connects, echo, fanout, idle, ingest, returns},
    subject::{self, Places},
};

const SUBSCRIBERS: usize = 20;
const BRIEF: Duration = Duration::from_millis(100);

fn start(name: &str) -> Target {
    let places = Places::under("../..".as_ref());
    let subject = subject::named(name).expect("known").remove(0);
    subject.start(&places, None).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn fan_out(target: &mut Target, drive: fanout::Drive) -> fanout::Outcome {
    let plan = fanout::Plan { subscribers: SUBSCRIBERS, size: 128, drive, warmup: BRIEF, measured: BRIEF * 2, ..fanout::Plan::default() };
    fanout::run(target, &plan).expect("it runs")
}

fn check(name: &str, outcome: &fanout::Outcome) {
    let published = outcome.published.expect("the server was asked");
    let whole = outcome.whole;
    assert!(outcome.deliveries > 0 && published > 0, "{name}: {outcome:?}");
    assert_eq!(whole.received, published * SUBSCRIBERS as u64, "{name}: {outcome:?}");
    assert_eq!((outcome.lost, whole.missing, whole.doubled, whole.late), (0, 0, 0, 0), "{name}");
    assert!(outcome.costs.server_cpu > 0.0 && outcome.costs.load_cpu > 0.0 && outcome.holding.rss > 0, "{name}: {outcome:?}");
}

#[test]
fn every_rust_server_delivers_all_that_it_publishes_in_each_way_of_driving_it() {
    for name in ["floor", "bare", "wse"] {
        let mut target = start(name);
        check(name, &fan_out(&mut target, fanout::Drive::Saturated { burst: 16, window: 32 }));
        let single = fan_out(&mut target, fanout::Drive::Saturated { burst: 1, window: 1 });
        check(name, &single);
        let rated = fan_out(&mut target, fanout::Drive::Rate(500));
        check(name, &rated);
        assert!(rated.latency.is_some_and(|[p50, p99, _]| p50 > 0 && p99 >= p50), "{name}: {:?}", rated.latency);
        assert_eq!(single.latency, None);
    }
}

#[test]
fn clients_that_stall_or_come_and_go_are_not_counted_and_hold_nobody_back() {
    let mut target = start("wse");
    let drive = fanout::Drive::Rate(200);
    let plan = fanout::Plan { subscribers: SUBSCRIBERS, drive, stalled: 5, churn: 4, measured: BRIEF * 3, ..fanout::Plan::default() };
    let outcome = fanout::run(&mut target, &plan).expect("it runs");
    check("wse", &outcome);
    assert!(outcome.gone > 0 && outcome.holding.descriptors > SUBSCRIBERS + 5, "{outcome:?}");
}

#[test]
fn the_floor_coalesces_as_told() {
    let mut target = start("floor");
    let single = fan_out(&mut target, fanout::Drive::Saturated { burst: 1, window: 1 });
    let coalesced = fan_out(&mut target, fanout::Drive::Saturated { burst: 16, window: 32 });
    let per_write = |outcome: &fanout::Outcome| outcome.per_write().expect("the kernel counts write");
    assert!((0.8..1.2).contains(&per_write(&single)), "{single:?}");
    assert!((12.0..20.0).contains(&per_write(&coalesced)), "{coalesced:?}");
}

#[test]
fn handlers_are_given_all_that_is_sent_and_answers_belong_to_their_questions() {
    for name in ["floor", "wse-frames", "bare", "wse"] {
        let mut target = start(name);
        let plan = echo::Plan { connections: 3, size: 64, warmup: BRIEF, measured: BRIEF };
        let echoed = echo::run(&target, &plan).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(echoed.answers > 0 && echoed.wrong == 0, "{name}: {echoed:?}");
        let plan = ingest::Plan { connections: 2, size: 128, measured: BRIEF };
        let taken = ingest::run(&mut target, &plan).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(taken.sent > 0 && taken.handled == taken.sent && taken.lost == 0, "{name}: {taken:?}");
    }
}

#[test]
fn connections_are_made_and_weighed() {
    let target = start("wse");
    let made = connects::run(&target, &connects::Plan { under_way: 8, warmup: BRIEF, measured: BRIEF }).expect("it runs");
    assert!(made.connects > 0, "{made:?}");
    let held = idle::run(&target, &idle::Plan { few: 20, many: 220, settle: BRIEF }).expect("it runs");
    assert!((0.9..1.1).contains(&held.descriptors_each), "{held:?}");
}

#[test]
fn clients_that_lose_their_connections_and_return_get_all_that_is_published() {
    for fate in [returns::Fate::Each { every: BRIEF * 5, away: BRIEF * 2 }, returns::Fate::All { under_way: 8 }] {
        let mut target = start("wse");
        let plan = returns::Plan { clients: SUBSCRIBERS, size: 128, rate: 200, measured: BRIEF * 12, fate };
        let outcome = returns::run(&mut target, &plan).expect("it runs");
        assert_eq!(outcome.whole.received, outcome.published * SUBSCRIBERS as u64, "{outcome:?}");
        assert_eq!((outcome.lost, outcome.whole.missing, outcome.whole.doubled, outcome.whole.late), (0, 0, 0, 0), "{outcome:?}");
        let returned = outcome.recovered + outcome.live;
        assert!(outcome.losses >= SUBSCRIBERS as u64 && returned > 0 && outcome.resyncs == 0, "{outcome:?}");
    }
}
