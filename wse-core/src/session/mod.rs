//! One connection's rules, sans-io: it composes one struct per concern and holds no socket, task or clock.
//!
//! A driver feeds it frames, commands and the time; then drains [`Session::poll_event`] and [`Session::poll_transmit`],
//! and calls [`Session::handle_timeout`] at [`Session::poll_timeout`]. It reads the peer only while [`Session::reads`].
mod config;
mod direct;
mod handshake;
mod inbound;
mod incoming;
mod liveness;
mod moving;
mod outbound;
mod outgoing;
mod presence;
mod rate;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use config::SessionConfig;
pub use handshake::Offer;
pub use outbound::Transmit;
pub use outgoing::Delivered;
pub use presence::PresenceChange;
pub use subscriptions::{Outcome, Wanted};

use crate::{HealthScore, SlowPolicy, Variant};
use handshake::{Handshake, Stage};
use inbound::Inbound;
use liveness::Liveness;
use outbound::{Outbound, Waiting};
use rate::Rate;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use subscriptions::Subscriptions;
use wse_protocol::{CloseCode, Followed, Topic, WireError, envelope::Envelope, messages::ClientHello};

/// Time for a closing peer to take what is queued and answer the close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the driver has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Judge this credential; answer with `welcome` or `refuse`.
    Authenticate {
        /// From `client_hello`, else from the request.
        token: Option<String>,
    },
    /// The connection is ready.
    Opened,
    /// A heartbeat went out: a moment to tell the peer where quiet topics stand.
    Heartbeat,
    /// Join these, which are the server's own for this connection ([P-65]); answer with `directed`.
    Direct {
        /// Topics, with the client's positions.
        wanted: Vec<Wanted>,
        /// How long the client says that it was away.
        away: Option<Duration>,
    },
    /// Subscribe to these; answer with `subscribed`, one outcome each, in this order.
    Subscribe(Vec<Wanted>),
    /// Unsubscribe from these.
    Unsubscribe(Vec<Followed>),
    /// Bring the peer the state of these topics; answer each with `snapshot` or `fail_snapshot`.
    Snapshot {
        /// Topics as named; they may not be subscribed, or have no snapshot.
        topics: Vec<Topic>,
        /// What errors refer to.
        cid: Option<Box<str>>,
    },
    /// Change what the client is in; answer with `presence_changed`.
    Presence(Box<PresenceChange>),
    /// Hand this to a handler; answer with `reply` or `fail` where it has a `cid`, and always with `handled`.
    Message(Box<Envelope>),
    /// The end, once. Topics that were subscribed come with it.
    Closed {
        /// The first close code of the two sides; 1006 when the transport was lost.
        code: CloseCode,
        /// Its reason.
        reason: String,
        /// What to unsubscribe from.
        topics: Vec<Followed>,
        /// Whether `Opened` had come.
        opened: bool,
        /// The client does not come back by itself, nor goes on elsewhere: it has left what it was in ([P-62]).
        for_good: bool,
    },
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    config: Arc<SessionConfig>,
    id: Box<str>,
    variant: Variant,
    handshake: Handshake,
    subscriptions: Subscriptions,
    inbound: Inbound,
    rate: Rate,
    outbound: Outbound,
    liveness: Liveness,
    events: VecDeque<Event>,
    opened: bool,
    /// The peer was told to move.
    told_to_move: bool,
    user: Option<Box<str>>,
}

impl Session {
    /// A connection whose upgrade has been answered. `id` is told to the client.
    #[must_use]
    pub fn new(config: Arc<SessionConfig>, id: String, mut offer: Offer, now: Instant) -> Self {
        let refusal = offer.refusal.take();
        let waits = offer.hello_promised || (offer.auth_required && offer.token.is_none());
        let mut session = Self {
            variant: Variant::default(),
            handshake: Handshake::new(offer, now + config.handshake_timeout),
            subscriptions: Subscriptions::new(config.subscriptions, config.patterns),
            inbound: Inbound::new(config.handler_queue),
            rate: Rate::new(&config, now),
            outbound: Outbound::new(config.outbound_bytes),
            liveness: Liveness::new(config.heartbeat, config.idle_timeout, now),
            events: VecDeque::new(),
            opened: false,
            told_to_move: false,
            user: None,
            id: id.into(),
            config,
        };
        match refusal {
            Some(refusal) => session.fatal(now, &refusal, refusal.code.close().unwrap_or(CloseCode::FORBIDDEN)),
            None if !waits => session.handle_hello(now, ClientHello::default()),
            None => {}
        }
        session
    }

    /// The next thing for the driver to do.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() && self.events.capacity() > 0 {
            // An idle connection holds no memory for what it may once say.
            self.events = VecDeque::new();
        }
        event
    }

    /// How many more things [`Session::poll_event`] has now.
    #[must_use]
    pub fn events_waiting(&self) -> usize {
        self.events.len()
    }

    /// The next thing to send. What has expired by now is left out, and told of.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let next = match self.outbound.poll(now)? {
            Waiting::Ready(next) => next,
            Waiting::Hole(topic, epoch, hole) => Transmit::Own(self.skip(&topic, epoch, hole)),
        };
        if matches!(next, Transmit::Close { .. }) {
            self.handshake.stage = Stage::Closed;
        }
        Some(next)
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let stage = self.handshake.deadline();
        if self.is_closing() {
            return stage;
        }
        let dues = [stage, self.rate.poll_timeout(), Some(self.liveness.deadline())];
        dues.into_iter().flatten().min()
    }

    /// Whether the peer may be read now; otherwise its frames wait in its socket.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.is_closing() || (self.takes_more() && self.outbound.has_room())
    }

    /// Whether nothing more will be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handshake.stage == Stage::Closed
    }

    /// Whether the end has begun: a close is queued, sent or received.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        matches!(self.handshake.stage, Stage::Closing(_) | Stage::Closed)
    }

    /// The connection's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whom the authenticator found; none before, and where the client is anonymous.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// What the two hellos agreed on.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// What the connection is subscribed to.
    pub fn names(&self) -> impl Iterator<Item = &Followed> {
        self.subscriptions.names()
    }

    /// Bytes that wait for the peer.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outbound.waiting_bytes()
    }

    /// How well the peer answers: from the round trips and losses of our pings.
    #[must_use]
    pub fn link(&self) -> &HealthScore {
        self.liveness.score()
    }

    /// Whether the peer is not read because it sent faster than its rate.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.rate.poll_timeout().is_some()
    }

    /// A peer that does not read its answers is not read either; but that is its own doing, so its idle clock runs on.
    fn update_reading(&mut self, now: Instant) {
        let room = self.takes_more();
        self.liveness.reading(room, now);
    }

    fn takes_more(&self) -> bool {
        self.inbound.has_room() && self.subscriptions.has_room() && self.rate.poll_timeout().is_none()
    }

    fn fatal(&mut self, now: Instant, error: &WireError, code: CloseCode) {
        self.push_error(error);
        self.close(now, code, error.code.as_str());
    }

    fn end(&mut self, now: Instant, code: CloseCode, reason: &str, for_good: bool) {
        if self.is_closing() {
            return;
        }
        self.handshake.stage = Stage::Closing(now + CLOSE_TIMEOUT);
        self.events.retain(|event| matches!(event, Event::Opened | Event::Message(_) | Event::Presence(_)));
        let topics = self.subscriptions.clear();
        self.events.push_back(Event::Closed { code, reason: reason.into(), topics, opened: self.opened, for_good });
    }
}
