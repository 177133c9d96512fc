//! A shard's loop. One turn: what the other threads ask, what the bus brought, what sockets and deadlines need, and one write for
//! each connection that has something.
use super::{BEHIND, Command, CommandReceiver, Shard, Stream, pace::Pace};
use crate::{
    ConnectionId,
    driver::{Reactor, Sockets},
    gate, presence,
    transport::over_stream,
};
use std::{io, rc::Rc, time::Instant};
use wse_protocol::{CloseCode, WireError};
use wse_pubsub::{BusEvent, EventReceiver, Outcome};

/// Messages of the bus taken in one turn.
const TURN_MESSAGES: usize = 1024;
/// Commands taken in one turn.
const TURN_COMMANDS: usize = 256;
/// Turns without a pause after which the shard's tasks have theirs.
const TURNS_TO_YIELD: u32 = 8;

impl Shard {
    /// Serves until the engine is dropped.
    pub(crate) async fn run(self: Rc<Self>, mut commands: CommandReceiver, mut events: EventReceiver) -> io::Result<()> {
        let mut turns = Turns { reactor: Reactor::new()?, commands: Vec::new(), events: Vec::new() };
        let (mut bus_open, mut count, mut pace) = (true, 0, Pace::new(self.flush_interval));
        loop {
            tokio::select! {
                taken = commands.recv_many(&mut turns.commands, TURN_COMMANDS) => if taken == 0 {
                    return Ok(());
                },
                taken = events.recv_many(&mut turns.events, TURN_MESSAGES), if bus_open && pace.opens().is_none() => {
                    bus_open = taken > 0;
                    if turns.events.iter().map(BusEvent::messages).sum::<usize>() < TURN_MESSAGES {
                        pace.took_all(Instant::now());
                    }
                }
                () = at(pace.opens()) => pace.open(),
                () = turns.reactor.ready() => {}
                () = at(self.hub.next_quiet()) => {}
            }
            turns.turn(&self);
            count += 1;
            if count % TURNS_TO_YIELD == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn carry_out(self: &Rc<Self>, reactor: &mut Reactor, command: Command) {
        let now = Instant::now();
        match command {
            Command::Adopt { new, stream: Stream::Tcp(socket), prelude } => {
                let (id, host) = (new.id, new.host.clone());
                if let Err(error) = reactor.adopt(self, new, socket, prelude) {
                    self.not_adopted(id, &host, &error);
                }
            }
            Command::Adopt { new, stream: Stream::Other(stream), prelude } => {
                let (read, write) = tokio::io::split(stream);
                self.serve(new, over_stream(read, write, prelude, self.config.message_bytes));
            }
            Command::Serve { new, transport } => self.serve(new, transport),
            #[cfg(unix)]
            Command::Listen { listener, door } => reactor.listen(listener, door),
            #[cfg(unix)]
            Command::Unlisten { door } => reactor.unlisten(door),
            #[cfg(unix)]
            Command::Guest { id, socket, door } => reactor.receive(id, socket, door, now),
            Command::Welcome { id, user } => self.with(id, |session| session.welcome(user)),
            Command::Refuse { id, error } => self.with(id, |session| session.refuse(now, &error)),
            Command::Reply { id, cid, format, payload } => self.reply(id, &cid, Outcome::Reply { format, payload }),
            Command::Fail { id, error } => self.fail(id, &error),
            Command::Unhandled { id, cid } => gate::unhandled(self, id, &cid),
            Command::Handled { id, count } => self.with(id, |session| session.handled(now, count)),
            Command::Close { id, code, reason } => self.with(id, |session| session.close(now, code, &reason)),
            Command::Evict { id, topic } => presence::evict(self, id, &topic),
            Command::GiveUp { id } => {
                gate::give_up(self, id);
                self.with(id, |session| session.handle_lost(now, Some(CloseCode::TRY_LATER), BEHIND));
            }
            Command::Topics { id, answer } => {
                let mut names = Vec::new();
                self.with(id, |session| names.extend(session.names().cloned()));
                let _ = answer.send(names);
            }
            // Whoever asked may have lost patience.
            Command::Tally { answer } => drop(answer.send(self.tally())),
            Command::Drain { plan, done } => self.drain(plan, done),
        }
    }
}

impl Shard {
    fn reply(self: &Rc<Self>, id: ConnectionId, cid: &str, outcome: Outcome) {
        if !gate::settle(self, id, cid, &outcome)
            && let Outcome::Reply { format, payload } = outcome
        {
            self.with(id, |session| session.reply(cid, format, &payload));
        }
    }

    fn fail(self: &Rc<Self>, id: ConnectionId, error: &WireError) {
        let outcome = || Outcome::Error { code: error.code, message: error.message.as_str().into() };
        if !error.cid.as_deref().is_some_and(|cid| gate::settle(self, id, cid, &outcome())) {
            self.with(id, |session| session.fail(error));
        }
    }
}

/// What one turn holds; kept from turn to turn for its memory.
struct Turns {
    reactor: Reactor,
    commands: Vec<Command>,
    events: Vec<BusEvent>,
}

impl Turns {
    fn turn(&mut self, shard: &Rc<Shard>) {
        for command in self.commands.drain(..) {
            shard.carry_out(&mut self.reactor, command);
        }
        for event in self.events.drain(..) {
            shard.hub.handle(shard, event, &mut Sockets { reactor: &mut self.reactor, shard });
        }
        if shard.hub.next_quiet().is_some() {
            shard.hub.tell_quiet(Instant::now());
        }
        self.reactor.turn(shard);
    }
}

/// Waits for a moment, if there is one.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
