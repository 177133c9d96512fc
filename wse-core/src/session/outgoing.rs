//! What the server has for the peer: the welcome, answers of hub and handlers, topics' frames, the close.
use super::{
    Event, Outcome, Session, SlowPolicy, direct,
    handshake::Stage,
    subscriptions::{self, Request, Work},
};
use crate::{Chunk, Hole, Prepared, Shed, ShedCounts};
use std::time::Instant;
use wse_protocol::{
    CloseCode, Epoch, ErrorCode, Format, Seq, Topic, WireError,
    messages::{Agreed, ErrorMessage, Reply, ServerHello, ServerReady, Skip, SnapshotRequest, SubscriptionUpdate},
};

/// What became of frames that were brought for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// They are queued, and nothing gave way for them.
    Queued,
    /// These topics fell behind after these messages: fetch them from their logs once [`Session::waiting_bytes`] is low.
    Behind(Vec<(Topic, Seq)>),
    /// The connection is closing.
    Closed,
}

impl Session {
    /// The authenticator approved the client; `user` is the id that it is told, none when anonymous.
    pub fn welcome(&mut self, user: Option<String>) {
        if !matches!(self.handshake.stage, Stage::Authenticating(_)) {
            return;
        }
        self.handshake.stage = Stage::Ready;
        self.opened = true;
        self.user = user.as_deref().map(Into::into);
        let Some(mut early) = self.handshake.finish() else { return };
        let hello = self.server_hello(early.agreed);
        let mut body = Vec::with_capacity(256);
        hello.encode(&mut body);
        self.outbound.push_hello(Prepared::new(Format::Json, &body));
        self.variant = early.agreed.into();
        let session = early.session.as_deref().map(|asked| direct::session(asked, early.secret, user.as_deref()));
        self.subscriptions.own(direct::topics(user.as_deref(), session.as_ref()));
        let retry_ms = self.config.restart_retry.as_millis() as u64;
        let (producers, outcomes_ms) = early.outcomes.map(|(epoch, age)| (epoch, age.as_millis() as u64)).unzip();
        let session = session.map(|session| session.to_string());
        let ready = ServerReady { connection: self.id.clone().into(), user, retry_ms, producers, outcomes_ms, session };
        self.push_with(|format, out| ready.encode(format, out));
        self.events.push_back(Event::Opened);
        self.begin_direct(&early.request.positions, early.away);
        if let Err(error) = self.subscriptions.check(early.request.topics.len()) {
            // The rest of them is served: who names too many is told so, and not kept out.
            early.request.topics.truncate(self.subscriptions.most_named());
            self.push_error(&error);
        }
        if !early.request.topics.is_empty() {
            self.subscriptions.request(Request::Change(early.request));
            self.advance_subscriptions();
        }
    }

    /// The authenticator refused the client, or could not say.
    pub fn refuse(&mut self, now: Instant, error: &WireError) {
        if matches!(self.handshake.stage, Stage::Authenticating(_)) {
            self.fatal(now, error, error.code.close().unwrap_or(CloseCode::AUTH_FAILED));
        }
    }

    /// The hub's answer to `Event::Subscribe`, before any frame of these topics.
    pub fn subscribed(&mut self, now: Instant, outcomes: Vec<Outcome>) {
        if let Some((update, cid)) = self.subscriptions.finish(outcomes) {
            self.push_with(|format, out| update.encode(format, out, cid.as_deref()));
        }
        self.advance_subscriptions();
        self.update_reading(now);
    }

    /// Frames of a subscribed topic, in the order of its log. What must give way for them does so by its policy.
    pub fn deliver(&mut self, now: Instant, topic: &Topic, policy: SlowPolicy, chunk: Chunk) -> Delivered {
        if self.is_closing() {
            return Delivered::Closed;
        }
        let mut behind = Vec::new();
        for shed in self.outbound.push(topic, policy, chunk) {
            match shed {
                Shed::Behind { topic, after } => behind.push((topic, after)),
                Shed::Full => {
                    self.give_up(now);
                    return Delivered::Closed;
                }
            }
        }
        if behind.is_empty() { Delivered::Queued } else { Delivered::Behind(behind) }
    }

    /// Whether a driver may write frames of a subscribed topic at once, instead of having them [delivered](Self::deliver): nothing waits
    /// that goes before them, and the end has not begun.
    #[must_use]
    pub fn has_sent_all(&self) -> bool {
        !self.is_closing() && self.outbound.is_empty()
    }

    /// Frames of a topic that were read from its log for this connection, within [`Session::room`].
    pub fn replay(&mut self, topic: &Topic, policy: SlowPolicy, chunk: Chunk) {
        if !self.is_closing() {
            self.outbound.put(topic, policy, chunk);
        }
    }

    /// Bytes of a log that may be read for the peer now.
    #[must_use]
    pub fn room(&self) -> usize {
        (self.config.outbound_bytes / 2).saturating_sub(self.outbound.waiting_bytes())
    }

    /// Whether so little waits that it is time to read on.
    #[must_use]
    pub fn has_ample_room(&self) -> bool {
        self.outbound.waiting_bytes() <= self.config.outbound_bytes / 4
    }

    /// The peer reads too slowly, and nothing more can be left out: 4001.
    pub fn give_up(&mut self, now: Instant) {
        let text = format!("more than {} bytes waited to be read; read faster or raise outbound_bytes", self.config.outbound_bytes);
        self.outbound.clear();
        self.fatal(now, &WireError::new(ErrorCode::SlowConsumer, text), CloseCode::SLOW_CONSUMER);
    }

    /// Word of topics that the peer did not ask for now: they go on elsewhere, or were born. Comes before their frames. Where more than
    /// `outbound_bytes` of such word would wait, the peer is given up: to leave some out would be a loss that it is not told of.
    pub fn inform(&mut self, now: Instant, topic: &str, outcome: Outcome) {
        let update = SubscriptionUpdate { topics: vec![subscriptions::status(topic.into(), outcome)] };
        let mut body = Vec::with_capacity(256);
        update.encode(self.variant.format, &mut body, None);
        if !self.is_closing() && !self.outbound.push_word(Prepared::new(self.variant.format, &body)) {
            self.give_up(now);
        }
    }

    /// A shared frame that says where a topic stands ([P-38]). False where it is left out: messages of the topic wait, which it must
    /// not overtake, or the peer does not read, and nothing of it bounds how many would wait. Say it again later.
    pub fn beacon(&mut self, topic: &Topic, frame: Prepared) -> bool {
        let fits = !self.outbound.waits(topic) && self.outbound.has_room();
        if fits {
            self.outbound.push_own(frame);
        }
        fits
    }

    /// A topic's state ([P-57]); nothing of the topic may wait, since it goes before what does.
    pub fn snapshot(&mut self, frame: Prepared) {
        self.outbound.push_own(frame);
    }

    /// A topic's state cannot be had, now or at all ([P-58]).
    pub fn fail_snapshot(&mut self, topic: &str, error: &WireError) {
        self.fail_about(topic, error);
    }

    /// The message before what waits of a topic for the peer, if anything does.
    #[must_use]
    pub fn waits_after(&self, topic: &Topic) -> Option<Seq> {
        self.outbound.before(topic)
    }

    /// The connection leaves a topic: what waits of it is forgotten.
    pub fn leave(&mut self, topic: &Topic) {
        self.outbound.drop_topic(topic);
    }

    /// A handler's answer.
    pub fn reply(&mut self, cid: &str, format: Format, payload: &[u8]) {
        let mut body = Vec::with_capacity(payload.len() + 64);
        match (Reply { cid, format, payload }).encode(self.variant.format, &mut body) {
            Ok(()) => self.outbound.push_own(Prepared::new(self.variant.format, &body)),
            Err(error) => self.push_error(&error.answering(Some(cid.into()))),
        }
    }

    /// A handler's failure, or any other error to tell the peer of.
    pub fn fail(&mut self, error: &WireError) {
        self.push_error(error);
    }

    /// An error that is about a topic, whether the peer has asked or not.
    pub fn fail_about(&mut self, topic: &str, error: &WireError) {
        self.push_with(|format, out| ErrorMessage::about(topic, error).encode(format, out, error.cid.as_deref()));
    }

    /// Handlers are done with so many messages.
    pub fn handled(&mut self, now: Instant, count: usize) {
        self.inbound.handled(count);
        self.update_reading(now);
    }

    /// Closes the connection after what is queued.
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        self.outbound.close(Some(code), reason.into());
        self.end(now, code, reason, code.is_fatal());
    }

    /// What gave way so far because the peer reads too slowly.
    #[must_use]
    pub fn shed(&self) -> ShedCounts {
        self.outbound.shed()
    }

    /// The frame that tells of a hole.
    pub(super) fn skip(&self, topic: &Topic, epoch: Epoch, hole: Hole) -> Prepared {
        let Hole { previous, from, to, reason } = hole;
        let mut body = Vec::with_capacity(128);
        Skip { topic: topic.as_str().into(), epoch, previous: Some(previous), from, to, reason }.encode(self.variant.format, &mut body);
        Prepared::new(self.variant.format, &body)
    }

    fn server_hello(&self, agreed: Agreed) -> ServerHello {
        ServerHello {
            heartbeat_ms: self.config.heartbeat.as_millis() as u64,
            idle_timeout_ms: self.config.idle_timeout.as_millis() as u64,
            message_bytes: self.config.message_bytes as u64,
            subscriptions: self.config.subscriptions as u64,
            patterns: self.config.patterns as u64,
            ..ServerHello::new(self.id.clone().into(), agreed)
        }
    }

    pub(super) fn advance_subscriptions(&mut self) {
        while let Some(work) = self.subscriptions.poll() {
            match work {
                Work::Subscribe(wanted) if !wanted.is_empty() => return self.events.push_back(Event::Subscribe(wanted)),
                Work::Unsubscribe(topics) if !topics.is_empty() => self.events.push_back(Event::Unsubscribe(topics)),
                Work::Subscribe(_) | Work::Unsubscribe(_) => {}
                Work::Snapshot(request) => {
                    self.begin_snapshots(request);
                    continue;
                }
            }
            if let Some((update, cid)) = self.subscriptions.finish(Vec::new()) {
                self.push_with(|format, out| update.encode(format, out, cid.as_deref()));
            }
        }
    }

    fn begin_snapshots(&mut self, SnapshotRequest { topics, cid }: SnapshotRequest) {
        let mut named = Vec::with_capacity(topics.len());
        for name in topics {
            match Topic::parse_watched(&name) {
                Ok(topic) => named.push(topic),
                Err(error) => self.fail_snapshot(&name, &error.answering(cid.clone())),
            }
        }
        if !named.is_empty() {
            self.events.push_back(Event::Snapshot { topics: named, cid });
        }
    }

    pub(super) fn push_with(&mut self, encode: impl FnOnce(Format, &mut Vec<u8>)) {
        let mut body = Vec::with_capacity(256);
        encode(self.variant.format, &mut body);
        self.outbound.push_own(Prepared::new(self.variant.format, &body));
    }

    pub(super) fn push_error(&mut self, error: &WireError) {
        self.push_with(|format, out| ErrorMessage::from(error).encode(format, out, error.cid.as_deref()));
    }
}
