//! What a server sends, as a client in Rust reads it.
use super::{Beacon, ErrorMessage, Move, Ping, Pong, Reply, ServerHello, ServerReady, Skip, SubscriptionUpdate, fields};
use crate::{
    ErrorCode, Format, Value, WireError,
    envelope::{self, Category, Envelope, Received},
};

/// One message of a server, with its `cid` where its kind has one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ServerMessage {
    /// What was negotiated.
    Hello(ServerHello),
    /// Leave to begin.
    Ready(ServerReady),
    /// What became of topics.
    SubscriptionUpdate(SubscriptionUpdate, Option<Box<str>>),
    /// Asks for a `Pong`.
    Ping(Ping),
    /// Answers a `Ping`: its payload.
    Pong(Value),
    /// What went wrong.
    Error(ErrorMessage, Option<Box<str>>),
    /// What a handler returned.
    Reply(Value, Option<Box<str>>),
    /// Messages of one topic, as if each had come alone ([P-37]).
    Batch(Vec<Envelope>),
    /// Where a log stands.
    Beacon(Beacon),
    /// Messages that will not come.
    Skip(Skip),
    /// Go on over another connection.
    Move(Move),
    /// A message of a topic.
    Event(Box<Envelope>),
}

impl ServerMessage {
    /// `t` of a batch on the wire.
    pub const BATCH: &'static str = envelope::BATCH;

    /// Reads the body of a frame: what is in a text message, or follows `M:`. `body` is scratch afterwards. Of a batch each
    /// envelope is judged as a frame of its own would be.
    ///
    /// # Errors
    /// Those of [`envelope::decode`] and [`envelope::decode_msgpack`]; `INVALID_MESSAGE`, or `UNKNOWN_TYPE` for a kind that this version
    /// does not know.
    pub fn read(format: Format, body: &mut [u8]) -> Result<Self, WireError> {
        let Received { mut envelope, items } = Received::decode(format, body)?;
        if envelope.category != Category::Protocol {
            return Ok(Self::Event(envelope));
        }
        // Of a batch the envelopes are read already.
        let payload = if items.is_some() { Value::default() } else { envelope.payload.value() };
        let cid = envelope.cid.take();
        Ok(match &*envelope.event_type {
            ServerHello::KIND => Self::Hello(fields(ServerHello::KIND, payload)?),
            ServerReady::KIND => Self::Ready(fields(ServerReady::KIND, payload)?),
            SubscriptionUpdate::KIND => Self::SubscriptionUpdate(fields(SubscriptionUpdate::KIND, payload)?, cid),
            Ping::KIND => Self::Ping(Ping::decode(payload)?),
            Pong::KIND => Self::Pong(payload),
            ErrorMessage::KIND => Self::Error(fields(ErrorMessage::KIND, payload)?, cid),
            Reply::KIND => Self::Reply(payload, cid),
            Self::BATCH => Self::Batch(batch(items)?),
            Beacon::KIND => Self::Beacon(Beacon::decode(&mut envelope)?),
            Skip::KIND => Self::Skip(Skip::decode(&mut envelope, payload)?),
            Move::KIND => Self::Move(fields(Move::KIND, payload)?),
            kind => return Err(WireError::new(ErrorCode::UnknownType, format!("there is no server message {kind:?}"))),
        })
    }
}

/// Two or more messages of one topic, ascending.
fn batch(items: Option<Vec<Envelope>>) -> Result<Vec<Envelope>, WireError> {
    let invalid = |what: &str| WireError::new(ErrorCode::InvalidMessage, format!("batch: {what}"));
    let Some(envelopes) = items else {
        return Err(invalid("p is an array of envelopes"));
    };
    let is_message = |envelope: &Envelope| envelope.category == Category::Update && envelope.topic.is_some() && envelope.epoch.is_some();
    let is_ordered = |pair: &[Envelope]| matches!(pair, [a, b] if a.topic == b.topic && a.seq.is_some() && a.seq < b.seq);
    match envelopes.len() {
        0 | 1 => Err(invalid("p has two envelopes or more")),
        _ if !envelopes.iter().all(is_message) => Err(invalid("the envelopes are messages of a topic")),
        _ if !envelopes.windows(2).all(is_ordered) => Err(invalid("the envelopes are of one topic, in ascending seq")),
        _ => Ok(envelopes),
    }
}
