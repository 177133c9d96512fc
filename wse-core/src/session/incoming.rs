//! What comes from the peer and its transport: frames, control frames, the end, and the time.
use super::{Event, Session, handshake::Stage, liveness::Due, subscriptions::Request};
use crate::{InflateError, Inflater};
use std::time::Instant;
use wse_protocol::{
    CloseCode, ErrorCode, Format, Tagged, WireError,
    envelope::{self, Envelope},
    frame_body,
    messages::{ClientHello, ClientMessage, Ping},
};

impl Session {
    /// A whole text message from the peer; `text` is scratch afterwards.
    pub fn handle_text(&mut self, now: Instant, text: &mut [u8]) {
        if self.admits(now, text.len()) {
            let decoded = envelope::decode(text);
            self.handle_decoded(now, decoded);
        }
    }

    /// A whole binary message from the peer ([P-14]). An `inflater` may serve any number of sessions.
    pub fn handle_binary(&mut self, now: Instant, bytes: &[u8], inflater: &mut Inflater) {
        if !self.admits(now, bytes.len()) {
            return;
        }
        let decoded = match frame_body(bytes) {
            Tagged::Msgpack(map) if self.variant.format == Format::Msgpack => envelope::decode_msgpack(map),
            Tagged::Compressed(stream) if self.variant.compressed => match inflater.inflate(stream) {
                Ok(mut body) => self.decode_inflated(&mut body),
                Err(error) => return self.refuse_stream(now, error),
            },
            Tagged::Msgpack(_) => Err(unsupported("M:")),
            Tagged::Compressed(_) => Err(unsupported("C:")),
            Tagged::Reserved(tag) => Err(unsupported(tag)),
            Tagged::Unknown => Err(unsupported("without a known tag")),
        };
        self.handle_decoded(now, decoded);
    }

    /// A WebSocket ping or pong: a sign of life. The driver answers pings.
    pub fn handle_control(&mut self, now: Instant) {
        self.liveness.heard(now);
    }

    /// The peer's close frame.
    pub fn handle_close(&mut self, now: Instant, code: Option<CloseCode>, reason: &str) {
        self.outbound.clear();
        self.outbound.close(code, String::new());
        let code = code.unwrap_or(CloseCode::NORMAL);
        // One that was told to move lets this connection go for another.
        self.end(now, code, reason, code == CloseCode::NORMAL && !self.told_to_move);
    }

    /// The transport failed: `code` is what to tell the peer, if anything can still be told.
    pub fn handle_lost(&mut self, now: Instant, code: Option<CloseCode>, reason: &str) {
        if let Some(code) = code {
            self.outbound.clear();
            if code == CloseCode::TOO_LARGE {
                self.push_error(&WireError::new(ErrorCode::MessageTooLarge, reason));
            }
            self.outbound.close(Some(code), reason.into());
            self.end(now, code, reason, false);
        } else {
            self.end(now, CloseCode::ABNORMAL, reason, false);
            self.outbound.end();
            self.handshake.stage = Stage::Closed;
        }
    }

    /// What is due at `now`: a ping, the end of a silent peer, of a handshake, of a close that nobody answers, of a wait for the rate.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.handshake.deadline().is_some_and(|due| now >= due) {
            self.handle_stage_timeout(now);
        }
        if self.is_closing() {
            return;
        }
        self.rate.handle_timeout(now);
        self.update_reading(now);
        match self.liveness.due(now) {
            // To one that does not read the next one says no more.
            Some(Due::Ping) if self.opened && self.outbound.has_room() => {
                self.liveness.pinged(now);
                self.push_with(Ping::encode);
                self.events.push_back(Event::Heartbeat);
            }
            Some(Due::IdleTimeout) => {
                let text = format!("nothing came for {} ms", self.config.idle_timeout.as_millis());
                self.fatal(now, &WireError::new(ErrorCode::IdleTimeout, text), CloseCode::IDLE_TIMEOUT);
            }
            _ => {}
        }
    }

    /// Counts a message; false where it is not to be handled.
    fn admits(&mut self, now: Instant, bytes: usize) -> bool {
        self.liveness.heard(now);
        if self.is_closing() {
            return false;
        }
        if self.rate.handle_message(now, bytes, self.config.rate_patience) {
            let text = format!(
                "more messages or bytes than the rate allows for {} ms; send less, or raise it",
                self.config.rate_patience.as_millis()
            );
            self.fatal(now, &WireError::new(ErrorCode::RateLimited, text), CloseCode::TRY_LATER);
            return false;
        }
        true
    }

    fn decode_inflated(&self, body: &mut [u8]) -> Result<Box<Envelope>, WireError> {
        match frame_body(body) {
            Tagged::Msgpack(map) if self.variant.format == Format::Msgpack => envelope::decode_msgpack(map),
            Tagged::Msgpack(_) => Err(unsupported("M: within C:")),
            Tagged::Compressed(_) => {
                Err(WireError::new(ErrorCode::InvalidCompression, "a compressed frame holds another compressed frame"))
            }
            Tagged::Reserved(_) | Tagged::Unknown => envelope::decode(body),
        }
    }

    /// A stream that grows too much ends the connection: whoever sends one will send more.
    fn refuse_stream(&mut self, now: Instant, error: InflateError) {
        let wire = WireError::new(error.code(), error.to_string());
        match wire.code.close() {
            Some(code) => self.fatal(now, &wire, code),
            None => self.push_error(&wire),
        }
    }

    fn handle_decoded(&mut self, now: Instant, decoded: Result<Box<Envelope>, WireError>) {
        if let Err(error) = decoded.and_then(|envelope| self.handle_envelope(now, envelope)) {
            self.push_error(&error);
        }
        self.update_reading(now);
    }

    fn handle_envelope(&mut self, now: Instant, envelope: Box<Envelope>) -> Result<(), WireError> {
        let is_ready = self.handshake.stage == Stage::Ready;
        // Of what is read in good time the message itself keeps what its answer refers to.
        let reference = if is_ready && &*envelope.event_type != ClientHello::KIND { None } else { envelope.reference() };
        let refused = |code, text| Err(WireError::new(code, text).answering(reference));
        match (self.handshake.stage, ClientMessage::decode(envelope)?) {
            (Stage::AwaitsHello(_), ClientMessage::Hello(hello)) => self.handle_hello(now, hello),
            (_, ClientMessage::Hello(_)) => return refused(ErrorCode::UnexpectedMessage, "client_hello is the first frame, once"),
            (Stage::Ready, ClientMessage::Ping(ping)) => self.push_with(|format, out| ping.pong().encode(format, out)),
            (Stage::Ready, ClientMessage::Pong) => self.liveness.ponged(now),
            (Stage::Ready, ClientMessage::Subscription(request)) => {
                self.subscriptions.check(request.topics.len()).map_err(|error| error.answering(request.cid.clone()))?;
                self.subscriptions.request(Request::Change(request));
                self.advance_subscriptions();
            }
            (Stage::Ready, ClientMessage::SnapshotRequest(request)) => {
                self.subscriptions.check(request.topics.len()).map_err(|error| error.answering(request.cid.clone()))?;
                self.subscriptions.request(Request::Snapshot(request));
                self.advance_subscriptions();
            }
            (Stage::Ready, ClientMessage::Presence(request)) => self.handle_presence(request),
            (Stage::Ready, ClientMessage::Event(envelope)) => {
                self.inbound.handed_over();
                self.events.push_back(Event::Message(envelope));
            }
            _ => return refused(ErrorCode::NotReady, "wait for server_ready; this message was not handled"),
        }
        Ok(())
    }

    pub(super) fn handle_hello(&mut self, now: Instant, hello: ClientHello) {
        let agreed = match hello.negotiate(self.config.capabilities) {
            Ok(agreed) => agreed,
            Err(error) => return self.fatal(now, &error, CloseCode::NO_COMMON_VERSION),
        };
        let token = self.handshake.hello(hello, agreed);
        self.handshake.stage = Stage::Authenticating(now + self.config.auth_timeout);
        if self.handshake.auth_required {
            self.events.push_back(Event::Authenticate { token });
        } else {
            self.welcome(None);
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
            Stage::Closing(_) => {
                self.outbound.end();
                self.handshake.stage = Stage::Closed;
            }
            Stage::Ready | Stage::Closed => {}
        }
    }
}

fn unsupported(tag: &str) -> WireError {
    WireError::new(ErrorCode::UnsupportedFormat, format!("a binary frame {tag} was not agreed on in the hellos"))
}
