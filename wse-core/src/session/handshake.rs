//! From the upgrade to `server_ready`: waiting for `client_hello`, then for the authenticator.
use std::time::Instant;
use wse_protocol::{WireError, messages::ClientHello};

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
    token: Option<String>,
    topics: Vec<String>,
}

impl Handshake {
    pub(super) fn new(offer: Offer, hello_due: Instant) -> Self {
        Self { stage: Stage::AwaitsHello(hello_due), auth_required: offer.auth_required, token: offer.token, topics: offer.topics }
    }

    /// Takes in what the hello says; returns the credential to judge. The frame's own goes before the request's.
    pub(super) fn hello(&mut self, hello: ClientHello) -> Option<String> {
        for topic in hello.topics {
            if !self.topics.contains(&topic) {
                self.topics.push(topic);
            }
        }
        hello.token.or_else(|| self.token.take())
    }

    pub(super) fn take_topics(&mut self) -> Vec<String> {
        std::mem::take(&mut self.topics)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::AwaitsHello(due) | Stage::Authenticating(due) | Stage::Closing(due) => Some(due),
            Stage::Ready | Stage::Closed => None,
        }
    }
}
