//! From the upgrade to `server_ready`: waiting for `client_hello`, then for the authenticator.
use std::time::{Duration, Instant};
use wse_protocol::{
    Epoch, WireError,
    messages::{Action, Agreed, ClientHello, Subscription},
};

/// What the HTTP request said, judged by the server before the session begins.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// The client promised a `client_hello` by offering the subprotocol ([P-3]).
    pub hello_promised: bool,
    /// Whether somebody must approve the client.
    pub auth_required: bool,
    /// The credential of the request itself, if any.
    pub token: Option<String>,
    /// `?topics=`.
    pub topics: Vec<String>,
    /// The producers' epoch and how long outcomes are kept, where they are ([P-52]).
    pub outcomes: Option<(Epoch, Duration)>,
    /// 128 random bits, for a session if the client asks for one ([P-66]).
    pub secret: u128,
    /// Refuse the client inside the WebSocket, because a browser cannot see an HTTP refusal ([P-7]).
    pub refusal: Option<WireError>,
}

/// How far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// `client_hello` is due by then.
    AwaitsHello(Instant),
    /// The authenticator's answer is due by then.
    Authenticating(Instant),
    Ready,
    Closing(Instant),
    Closed,
}

#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) stage: Stage,
    pub(super) auth_required: bool,
    /// The client goes on over another connection when it is told to ([P-67]).
    pub(super) moves: bool,
    /// What waits for the end of the handshake; nothing afterwards.
    early: Option<Box<Early>>,
}

/// What was said before the connection was ready, and is for then.
#[derive(Debug)]
pub(super) struct Early {
    token: Option<String>,
    /// What was agreed on.
    pub(super) agreed: Agreed,
    /// What to subscribe to.
    pub(super) request: Subscription,
    /// What to say of outcomes.
    pub(super) outcomes: Option<(Epoch, Duration)>,
    /// The session that is asked for, or "" for a new one.
    pub(super) session: Option<String>,
    /// How long the client was away.
    pub(super) away: Option<Duration>,
    /// Of a new session.
    pub(super) secret: u128,
}

impl Handshake {
    pub(super) fn new(offer: Offer, hello_due: Instant) -> Self {
        let request = Subscription {
            action: Action::Subscribe,
            topics: offer.topics,
            positions: Default::default(),
            filters: Default::default(),
            cid: None,
        };
        let Offer { token, outcomes, secret, auth_required, .. } = offer;
        let early = Early { token, agreed: Agreed::default(), request, outcomes, session: None, away: None, secret };
        Self { stage: Stage::AwaitsHello(hello_due), auth_required, moves: false, early: Some(Box::new(early)) }
    }

    /// Takes in what the hello says and what of it was agreed on; returns the credential to judge. The frame's own goes before the request's.
    pub(super) fn hello(&mut self, hello: ClientHello, agreed: Agreed) -> Option<String> {
        let early = self.early.as_mut()?;
        self.moves = hello.moves;
        early.request.add(hello.topics);
        early.agreed = agreed;
        early.request.positions = hello.positions;
        early.request.filters = hello.filters;
        early.session = hello.session;
        early.away = hello.away_ms.map(Duration::from_millis);
        hello.token.or_else(|| early.token.take())
    }

    /// What was said; nothing a second time.
    pub(super) fn finish(&mut self) -> Option<Box<Early>> {
        self.early.take()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::AwaitsHello(due) | Stage::Authenticating(due) | Stage::Closing(due) => Some(due),
            Stage::Ready | Stage::Closed => None,
        }
    }
}
