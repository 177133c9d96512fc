//! One connection's rules, sans-io: it composes one struct per concern and holds no socket, task or clock.
//!
//! A driver feeds it frames, commands and the time; then drains [`Session::poll_event`] and [`Session::poll_transmit`],
//! and calls [`Session::handle_timeout`] at [`Session::poll_timeout`]. It reads the peer only while [`Session::reads`].
mod config;
mod handshake;
mod inbound;
mod liveness;
mod outbound;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use config::SessionConfig;
pub use handshake::Offer;
pub use outbound::Transmit;
pub use subscriptions::{Outcome, Wanted};

use crate::Prepared;
use handshake::{Handshake, Stage};
use inbound::Inbound;
use liveness::{Due, Liveness};
use outbound::Outbound;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use subscriptions::{Subscriptions, Work};
use wse_protocol::{
    CloseCode, ErrorCode, Format, Position, Topic, WireError,
    envelope::Envelope,
    messages::{
        Action, Agreed, Capabilities, ClientHello, ClientMessage, ErrorMessage, Ping, Reply, ServerHello, ServerReady, Subscription,
        SubscriptionUpdate, TopicStatus,
    },
};

/// Time for a closing peer to take what is queued and answer the close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the driver has to do.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Judge this credential; answer with `welcome` or `refuse`.
    Authenticate {
        /// From `client_hello`, else from the request.
        token: Option<String>,
    },
    /// The connection is ready.
    Opened,
    /// Subscribe to these; answer with `subscribed`, one outcome each, in this order.
    Subscribe(Vec<Wanted>),
    /// Unsubscribe from these.
    Unsubscribe(Vec<Topic>),
    /// Hand this to a handler; answer with `reply` or `fail` where it has a `cid`, and always with `handled`.
    Message(Box<Envelope>),
    /// The end, once. Topics that were subscribed come with it.
    Closed {
        /// The first close code of the two sides; 1006 when the transport was lost.
        code: CloseCode,
        /// Its reason.
        reason: String,
        /// What to unsubscribe from.
        topics: Vec<Topic>,
        /// Whether `Opened` had come.
        opened: bool,
    },
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    id: String,
    handshake: Handshake,
    subscriptions: Subscriptions,
    inbound: Inbound,
    outbound: Outbound,
    liveness: Liveness,
    events: VecDeque<Event>,
    opened: bool,
}

impl Session {
    /// A connection whose upgrade has been answered. `id` is told to the client.
    #[must_use]
    pub fn new(config: SessionConfig, id: String, mut offer: Offer, now: Instant) -> Self {
        let refusal = offer.refusal.take();
        let waits = offer.hello_promised || (offer.auth_required && offer.token.is_none());
        let mut session = Self {
            handshake: Handshake::new(offer, now + config.handshake_timeout),
            subscriptions: Subscriptions::new(config.subscriptions),
            inbound: Inbound::new(config.nesting_depth, config.handler_queue),
            outbound: Outbound::new(config.outbound_bytes),
            liveness: Liveness::new(config.heartbeat, config.idle_timeout, now),
            events: VecDeque::new(),
            opened: false,
            id,
            config,
        };
        match refusal {
            Some(refusal) => session.fatal(now, &refusal, refusal.code.close().unwrap_or(CloseCode::FORBIDDEN)),
            None if !waits => session.handle_hello(now, ClientHello::default()),
            None => {}
        }
        session
    }

    /// A whole text message from the peer; `text` is scratch afterwards.
    pub fn handle_text(&mut self, now: Instant, text: &mut [u8]) {
        self.liveness.heard(now);
        if self.is_closing() {
            return;
        }
        match self.inbound.decode(text) {
            Ok(message) => self.handle_message(now, message),
            Err(error) => self.push_error(&error),
        }
        self.update_reading(now);
    }

    /// A whole binary message from the peer: no binary format is spoken yet ([P-14]).
    pub fn handle_binary(&mut self, now: Instant, bytes: &[u8]) {
        self.liveness.heard(now);
        if self.is_closing() {
            return;
        }
        let tag = match bytes.get(..2) {
            Some(tag @ (b"M:" | b"C:" | b"S:" | b"E:")) => String::from_utf8_lossy(tag).into_owned(),
            _ => "without a known tag".into(),
        };
        self.push_error(&WireError::new(
            ErrorCode::UnsupportedFormat,
            format!("binary frame {tag}: this connection speaks JSON in text frames"),
        ));
    }

    /// A WebSocket ping or pong: a sign of life. The driver answers pings.
    pub fn handle_control(&mut self, now: Instant) {
        self.liveness.heard(now);
    }

    /// The peer's close frame.
    pub fn handle_close(&mut self, now: Instant, code: Option<CloseCode>, reason: &str) {
        self.outbound.clear();
        self.outbound.close(code, String::new());
        self.end(now, code.unwrap_or(CloseCode::NORMAL), reason);
    }

    /// The transport failed: `code` is what to tell the peer, if anything can still be told.
    pub fn handle_lost(&mut self, now: Instant, code: Option<CloseCode>, reason: &str) {
        if let Some(code) = code {
            self.outbound.clear();
            if code == CloseCode::TOO_LARGE {
                self.push_error(&WireError::new(ErrorCode::MessageTooLarge, reason));
            }
            self.outbound.close(Some(code), reason.into());
            self.end(now, code, reason);
        } else {
            self.end(now, CloseCode::ABNORMAL, reason);
            self.handshake.stage = Stage::Closed;
        }
    }

    /// The authenticator approved the client; `user` is the id that it is told, none when anonymous.
    pub fn welcome(&mut self, now: Instant, user: Option<String>) {
        if !matches!(self.handshake.stage, Stage::Authenticating(_)) {
            return;
        }
        self.handshake.stage = Stage::Ready;
        self.opened = true;
        self.push_with(|out, session| session.server_hello().encode(out));
        let retry_ms = self.config.restart_retry.as_millis() as u64;
        let ready = ServerReady { connection: self.id.clone(), user, retry_ms };
        self.push_with(|out, _| ready.encode(Format::Json, out));
        self.events.push_back(Event::Opened);
        let topics = self.handshake.take_topics();
        if !topics.is_empty() {
            self.subscriptions.request(Subscription {
                action: Action::Subscribe,
                topics,
                positions: Default::default(),
                filters: Default::default(),
                cid: None,
            });
            self.advance_subscriptions();
        }
        self.update_reading(now);
    }

    /// The authenticator did not approve the client, or could not answer.
    pub fn refuse(&mut self, now: Instant, error: &WireError) {
        if matches!(self.handshake.stage, Stage::Authenticating(_)) {
            self.fatal(now, error, error.code.close().unwrap_or(CloseCode::AUTH_FAILED));
        }
    }

    /// The hub's answer to `Event::Subscribe`, and the messages that follow it at once: what was missed, then what came meanwhile.
    pub fn subscribed(&mut self, now: Instant, outcomes: Vec<Outcome>, frames: Vec<Prepared>) {
        if let Some((update, cid)) = self.subscriptions.finish(outcomes) {
            self.push_with(|out, _| update.encode(Format::Json, out, cid.as_deref()));
        }
        frames.into_iter().for_each(|frame| self.deliver(now, frame));
        self.advance_subscriptions();
        self.update_reading(now);
    }

    /// A message of a subscribed topic, in the order of its log. A full backlog closes the connection: 4001.
    pub fn deliver(&mut self, now: Instant, frame: Prepared) {
        if self.is_closing() || self.outbound.push(frame).is_ok() {
            return;
        }
        let text = format!("more than {} bytes waited to be read; read faster or raise outbound_bytes", self.config.outbound_bytes);
        self.outbound.clear();
        self.fatal(now, &WireError::new(ErrorCode::SlowConsumer, text), CloseCode::SLOW_CONSUMER);
    }

    /// A topic goes on from `position`: what was between is unknown, for this reason of [P-24].
    pub fn resync(&mut self, topic: &Topic, position: Position, reason: &str) {
        let update = SubscriptionUpdate { topics: vec![TopicStatus::resync(topic.as_str(), position, reason)] };
        self.push_with(|out, _| update.encode(Format::Json, out, None));
    }

    /// A handler's answer; `payload` is JSON.
    pub fn reply(&mut self, cid: &str, payload: &[u8]) {
        let mut text = Vec::with_capacity(payload.len() + 64);
        match (Reply { cid, format: Format::Json, payload }).encode(Format::Json, &mut text) {
            Ok(()) => self.outbound.push_anyway(Prepared::text(&text)),
            Err(error) => self.push_error(&error.answering(Some(cid.into()))),
        }
    }

    /// A handler's failure, or any other error to tell the peer of.
    pub fn fail(&mut self, error: &WireError) {
        self.push_error(error);
    }

    /// Handlers are done with so many messages.
    pub fn handled(&mut self, now: Instant, count: usize) {
        self.inbound.handled(count);
        self.update_reading(now);
    }

    /// Closes the connection after what is queued.
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        self.outbound.close(Some(code), reason.into());
        self.end(now, code, reason);
    }

    /// What is due at `now`: a ping, the end of a silent peer, of a handshake, of a close that nobody answers.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.handshake.deadline().is_some_and(|due| now >= due) {
            self.handle_stage_timeout(now);
        }
        if self.is_closing() {
            return;
        }
        match self.liveness.due(now) {
            Some(Due::Ping) if self.opened => self.push_with(|out, _| Ping::encode(Format::Json, out)),
            Some(Due::IdleTimeout) => {
                let text = format!("nothing came for {} ms", self.config.idle_timeout.as_millis());
                self.fatal(now, &WireError::new(ErrorCode::IdleTimeout, text), CloseCode::IDLE_TIMEOUT);
            }
            _ => {}
        }
    }

    /// The next thing for the driver to do.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next thing to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let next = self.outbound.poll();
        if next.is_some() {
            self.liveness.sent(now);
        }
        if matches!(next, Some(Transmit::Close { .. })) {
            self.handshake.stage = Stage::Closed;
        }
        next
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.handshake.deadline(), self.is_closing()) {
            (due, true) => due,
            (Some(due), false) => Some(due.min(self.liveness.deadline())),
            (None, false) => Some(self.liveness.deadline()),
        }
    }

    /// Whether the peer may be read now; otherwise its frames wait in its socket.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.is_closing() || (self.handlers_have_room() && self.outbound.has_room())
    }

    /// Whether nothing more will be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handshake.stage == Stage::Closed
    }

    /// The connection's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the connection is subscribed to.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.subscriptions.topics()
    }

    /// Bytes that wait for the peer.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outbound.waiting_bytes()
    }

    fn handle_message(&mut self, now: Instant, message: ClientMessage) {
        match (self.handshake.stage, message) {
            (Stage::AwaitsHello(_), ClientMessage::Hello(hello)) => self.handle_hello(now, hello),
            (_, ClientMessage::Hello(_)) => {
                self.push_error(&WireError::new(ErrorCode::UnexpectedMessage, "client_hello is the first frame, once"))
            }
            (_, ClientMessage::Ping(ping)) => self.push_with(|out, _| ping.pong().encode(Format::Json, out)),
            (_, ClientMessage::Pong) => {}
            (Stage::Ready, ClientMessage::Subscription(request)) => {
                self.subscriptions.request(request);
                self.advance_subscriptions();
            }
            (Stage::Ready, ClientMessage::Event(envelope)) => {
                self.inbound.handed_over();
                self.events.push_back(Event::Message(envelope));
            }
            (_, early) => self.refuse_early(early),
        }
    }

    fn refuse_early(&mut self, message: ClientMessage) {
        let cid = match message {
            ClientMessage::Subscription(request) => request.cid,
            ClientMessage::Event(envelope) => envelope.reference(),
            _ => None,
        };
        self.push_error(&WireError::new(ErrorCode::NotReady, "wait for server_ready; this message was not handled").answering(cid));
    }

    fn handle_hello(&mut self, now: Instant, hello: ClientHello) {
        if let Err(error) = hello.negotiate(Capabilities::PLAIN) {
            return self.fatal(now, &error, CloseCode::NO_COMMON_VERSION);
        }
        let token = self.handshake.hello(hello);
        self.handshake.stage = Stage::Authenticating(now + self.config.auth_timeout);
        if self.handshake.auth_required {
            self.events.push_back(Event::Authenticate { token });
        } else {
            self.welcome(now, None);
        }
    }

    fn handle_stage_timeout(&mut self, now: Instant) {
        match self.handshake.stage {
            Stage::AwaitsHello(_) => {
                let text = format!("client_hello did not come within {} ms", self.config.handshake_timeout.as_millis());
                self.fatal(now, &WireError::new(ErrorCode::HandshakeTimeout, text), CloseCode::HANDSHAKE_TIMEOUT);
            }
            Stage::Authenticating(_) => {
                let error = WireError::new(ErrorCode::AuthUnavailable, "authentication did not answer in time; try again");
                self.fatal(now, &error, CloseCode::TRY_LATER);
            }
            Stage::Closing(_) => self.handshake.stage = Stage::Closed,
            Stage::Ready | Stage::Closed => {}
        }
    }

    fn server_hello(&self) -> ServerHello {
        ServerHello {
            heartbeat_ms: self.config.heartbeat.as_millis() as u64,
            idle_timeout_ms: self.config.idle_timeout.as_millis() as u64,
            message_bytes: self.config.message_bytes as u64,
            subscriptions: self.config.subscriptions as u64,
            ..ServerHello::new(self.id.clone(), Agreed::default())
        }
    }

    fn advance_subscriptions(&mut self) {
        while let Some(work) = self.subscriptions.poll() {
            match work {
                Work::Subscribe(wanted) if !wanted.is_empty() => return self.events.push_back(Event::Subscribe(wanted)),
                Work::Unsubscribe(topics) if !topics.is_empty() => self.events.push_back(Event::Unsubscribe(topics)),
                Work::Subscribe(_) | Work::Unsubscribe(_) => {}
            }
            if let Some((update, cid)) = self.subscriptions.finish(Vec::new()) {
                self.push_with(|out, _| update.encode(Format::Json, out, cid.as_deref()));
            }
        }
    }

    /// A peer that does not read its answers is not read either; but that is its own doing, so its idle clock runs on.
    fn update_reading(&mut self, now: Instant) {
        let room = self.handlers_have_room();
        self.liveness.reading(room, now);
    }

    fn handlers_have_room(&self) -> bool {
        self.inbound.has_room() && self.subscriptions.has_room()
    }

    fn push_with(&mut self, encode: impl FnOnce(&mut Vec<u8>, &Self)) {
        let mut text = Vec::with_capacity(256);
        encode(&mut text, self);
        self.outbound.push_anyway(Prepared::text(&text));
    }

    fn push_error(&mut self, error: &WireError) {
        self.push_with(|out, _| ErrorMessage::from(error).encode(Format::Json, out, error.cid.as_deref()));
    }

    fn fatal(&mut self, now: Instant, error: &WireError, code: CloseCode) {
        self.push_error(error);
        self.close(now, code, error.code.as_str());
    }

    /// Whether the end has begun: a close is queued, sent or received.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        matches!(self.handshake.stage, Stage::Closing(_) | Stage::Closed)
    }

    fn end(&mut self, now: Instant, code: CloseCode, reason: &str) {
        if self.is_closing() {
            return;
        }
        self.handshake.stage = Stage::Closing(now + CLOSE_TIMEOUT);
        self.events.retain(|event| matches!(event, Event::Opened | Event::Message(_)));
        let topics = self.subscriptions.clear();
        self.events.push_back(Event::Closed { code, reason: reason.into(), topics, opened: self.opened });
    }
}
