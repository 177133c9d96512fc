//! Messages whose effect the client wants to know ([P-53]): begun in the bus before their handler is called, done there before
//! their answer goes out. Such a message waits for the one before it, so that what was not begun can be handled later by whoever
//! gets it next.
use crate::{connection::Connection, host::ConnectionId, shard::Shard};
use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::oneshot, time::sleep};
use wse_protocol::{CompactString, ErrorCode, Origin, Payload, UnixMillis, WireError, envelope::Envelope};
use wse_pubsub::{Begin, Begun, BusError, DeadLetter, Outcome, Producer};

/// How long a repetition waits before it asks again whether the first sending is done; doubled up to the longest.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_millis(500);
/// How long an outcome that the bus did not take waits before the next try.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// What waits of a connection behind such a message; bounded by the session, which hands over `handler_queue` messages and then
/// stops reading.
#[derive(Debug, Default)]
pub(crate) struct Gate(VecDeque<Box<Envelope>>);

/// Messages that a handler has, by connection and `cid`.
#[derive(Debug, Default)]
pub(crate) struct Runs(HashMap<(ConnectionId, Box<str>), Run>);

/// One that a handler has.
#[derive(Debug)]
pub(crate) struct Run {
    producer: Producer,
    begun: Origin,
    run: u64,
    letter: Letter,
    /// Dropped once the outcome is stored: the next message may begin.
    _over: oneshot::Sender<()>,
}

/// What a dead letter would say.
#[derive(Debug)]
struct Letter {
    event_type: CompactString,
    message_id: Option<Box<str>>,
    payload: Payload,
}

/// What comes next through a gate.
#[expect(clippy::vec_box, reason = "as sessions hand messages over, and hosts take them")]
enum Next {
    Plain(Vec<Box<Envelope>>),
    Tracked(Box<Envelope>, Origin),
}

/// Gives messages to the host, at once where nothing has to be known of them.
#[expect(clippy::vec_box, reason = "as sessions hand messages over, and hosts take them")]
pub(crate) fn hand_over(shard: &Rc<Shard>, connection: &Rc<Connection>, messages: Vec<Box<Envelope>>) {
    let mut gate = connection.gate.borrow_mut();
    if gate.is_none() && messages.iter().all(|message| message.origin.is_none()) {
        drop(gate);
        return connection.host.messages(connection.id, messages);
    }
    let is_idle = gate.is_none();
    gate.get_or_insert_default().0.extend(messages);
    if is_idle {
        let (shard, connection) = (shard.clone(), connection.clone());
        tokio::task::spawn_local(async move {
            while let Some(next) = next(&connection) {
                match next {
                    Next::Plain(messages) => connection.host.messages(connection.id, messages),
                    Next::Tracked(message, origin) => handle(&shard, &connection, message, origin).await,
                }
            }
        });
    }
}

/// The outcome of a message that a handler had; false where it is not one of these.
pub(crate) fn settle(shard: &Rc<Shard>, id: ConnectionId, cid: &str, outcome: &Outcome) -> bool {
    let Some(run) = shard.runs.borrow_mut().take(id, cid) else { return false };
    let (shard, cid, outcome) = (shard.clone(), Box::<str>::from(cid), outcome.clone());
    tokio::task::spawn_local(async move {
        let letter = dead_letter(&run, &outcome);
        let mut told = false;
        while let Err(BusError::Unavailable { .. }) = store(&shard, &run, &outcome, letter.as_ref()).await {
            // The client hears of it all the same; a repetition waits until it is stored.
            if !std::mem::replace(&mut told, true) {
                tell(&shard, id, &cid, &outcome);
            }
            sleep(STORE_AGAIN).await;
        }
        if !told {
            tell(&shard, id, &cid, &outcome);
        }
    });
    true
}

/// An answer of this connection's handlers may have been lost, because its shard was too far behind to take it.
pub(crate) fn give_up(shard: &Rc<Shard>, id: ConnectionId) {
    let lost = shard.runs.borrow().0.keys().find(|(of, _)| *of == id).map(|(_, cid)| cid.clone());
    if let Some(cid) = lost {
        settle(shard, id, &cid, &unknown());
    }
}

/// A message that was given to the host will not be handled: it was never begun.
pub(crate) fn unhandled(shard: &Rc<Shard>, id: ConnectionId, cid: &str) {
    if let Some(run) = shard.runs.borrow_mut().take(id, cid) {
        let shard = shard.clone();
        tokio::task::spawn_local(async move { undo(&shard, &run.producer, &run.begun, run.run).await });
    }
}

/// Nothing more comes of a connection that is closing: what was not begun is as if it had not been sent.
fn next(connection: &Connection) -> Option<Next> {
    let mut gate = connection.gate.borrow_mut();
    let waiting = gate.as_mut().map(|gate| &mut gate.0).filter(|waiting| !waiting.is_empty() && !connection.is_closing());
    let Some(waiting) = waiting else {
        *gate = None;
        return None;
    };
    let plain = waiting.iter().take_while(|message| message.origin.is_none()).count();
    if plain > 0 {
        return Some(Next::Plain(waiting.drain(..plain).collect()));
    }
    let mut message = waiting.pop_front()?;
    let origin = message.origin.take()?;
    Some(Next::Tracked(message, *origin))
}

async fn handle(shard: &Rc<Shard>, connection: &Rc<Connection>, message: Box<Envelope>, origin: Origin) {
    let Some(cid) = message.cid.clone() else { return };
    let producer = Producer { user: connection.session().user().map(Arc::from), id: origin.producer.clone() };
    let run = uuid::Uuid::new_v4().as_u64_pair().1;
    let again = shard.idempotent.contains(&message.event_type);
    let begin = Begin { producer: &producer, number: origin.number, seen: origin.seen, sent: origin.epoch.as_ref(), run, again };
    let answer = match begin_when_possible(shard, connection, &begin).await {
        None => return,
        Some(Ok(Begun::Run)) if connection.is_closing() => return undo(shard, &producer, &origin, run).await,
        Some(Ok(Begun::Run)) => return execute(shard, connection, message, &cid, Started { producer, begun: origin, run }).await,
        Some(Ok(Begun::Done(outcome))) => {
            shard.counters.repeats_answered.fetch_add(1, Relaxed);
            outcome
        }
        Some(Ok(Begun::Unknown | Begun::Running)) => {
            shard.counters.outcomes_unknown.fetch_add(1, Relaxed);
            unknown()
        }
        Some(Err(error)) => Outcome::Error { code: ErrorCode::Unavailable, message: error.to_string().into() },
    };
    tell(shard, connection.id, &cid, &answer);
    shard.with(connection.id, |session| session.handled(Instant::now(), 1));
}

/// Asks the bus until it answers and nobody runs the message; none where the connection or the bus ended meanwhile.
async fn begin_when_possible(shard: &Shard, connection: &Connection, begin: &Begin<'_>) -> Option<Result<Begun, BusError>> {
    let mut wait = FIRST_LOOK;
    while !connection.is_closing() {
        match shard.bus.begin(begin).await {
            Err(BusError::Closed) => return None,
            Ok(Begun::Running) | Err(BusError::Unavailable { .. }) => {}
            answer => return Some(answer),
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_LOOK);
    }
    None
}

/// What the bus was told.
struct Started {
    producer: Producer,
    begun: Origin,
    run: u64,
}

/// Gives the message to the host, and waits until its outcome is stored.
async fn execute(shard: &Rc<Shard>, connection: &Connection, message: Box<Envelope>, cid: &str, started: Started) {
    let Started { producer, begun, run } = started;
    let letter = Letter { event_type: message.event_type.clone(), message_id: message.id.clone(), payload: message.payload.clone() };
    let (over, is_over) = oneshot::channel();
    // One at a time of a connection, so that there is none with the same `cid`.
    shard.runs.borrow_mut().put(connection.id, cid, Run { producer, begun, run, letter, _over: over });
    shard.counters.begun.fetch_add(1, Relaxed);
    renew_while_running(shard);
    connection.host.messages(connection.id, vec![message]);
    let _ = is_over.await;
}

/// Says that this process lives while any message is with a handler.
fn renew_while_running(shard: &Rc<Shard>) {
    if shard.renewing.replace(true) {
        return;
    }
    let shard = shard.clone();
    tokio::task::spawn_local(async move {
        let interval = shard.bus.outcome_limits().lease / 4;
        loop {
            sleep(interval).await;
            if shard.runs.borrow().0.is_empty() {
                break shard.renewing.set(false);
            }
            if let Err(error) = shard.bus.renew().await {
                tracing::warn!(%error, "the lease of running handlers could not be renewed");
            }
        }
    });
}

async fn store(shard: &Shard, run: &Run, outcome: &Outcome, letter: Option<&DeadLetter>) -> Result<(), BusError> {
    if let Some(letter) = letter {
        let dropped = shard.bus.bury(letter).await?;
        shard.counters.dead_letters_dropped.fetch_add(dropped as u64, Relaxed);
    }
    shard.bus.done(&run.producer, run.begun.number, outcome).await?;
    shard.counters.dead_lettered.fetch_add(u64::from(letter.is_some()), Relaxed);
    Ok(())
}

async fn undo(shard: &Shard, producer: &Producer, begun: &Origin, run: u64) {
    while let Err(BusError::Unavailable { .. }) = shard.bus.undo(producer, begun.number, run).await {
        sleep(STORE_AGAIN).await;
    }
}

/// What is kept of a message whose handler failed.
fn dead_letter(run: &Run, outcome: &Outcome) -> Option<DeadLetter> {
    let Outcome::Error { code: ErrorCode::HandlerFailed, message } = outcome else { return None };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(DeadLetter {
        id: uuid::Uuid::now_v7().to_string().into(),
        at: UnixMillis(since.as_millis() as u64),
        attempts: 0,
        user: run.producer.user.clone(),
        event_type: (&*run.letter.event_type).into(),
        message_id: run.letter.message_id.as_deref().map(Arc::from),
        error: message.clone(),
        payload: run.letter.payload.json().into(),
    })
}

fn unknown() -> Outcome {
    let message = "it was sent before, and what became of it is not known; it was not handled again";
    Outcome::Error { code: ErrorCode::OutcomeUnknown, message: message.into() }
}

fn tell(shard: &Shard, id: ConnectionId, cid: &str, outcome: &Outcome) {
    shard.with(id, |session| match outcome {
        Outcome::Reply { format, payload } => session.reply(cid, *format, payload),
        Outcome::Error { code, message } => session.fail(&WireError::new(*code, &**message).answering(Some(cid.into()))),
    });
}

impl Runs {
    fn put(&mut self, id: ConnectionId, cid: &str, run: Run) {
        self.0.insert((id, cid.into()), run);
    }

    fn take(&mut self, id: ConnectionId, cid: &str) -> Option<Run> {
        if self.0.is_empty() { None } else { self.0.remove(&(id, cid.into())) }
    }
}
