//! What may happen to a session: the choices of a run, made of any bytes by `arbitrary`.
use arbitrary::Arbitrary;
use std::{num::NonZeroU32, time::Duration};
use wse_core::session::SessionConfig;
use wse_protocol::messages::Capabilities;

/// A run: how the connection is set, and what happens on it.
#[derive(Debug, Arbitrary)]
pub(super) struct Scenario {
    pub(super) setup: Setup,
    pub(super) ops: Vec<Op>,
}

/// Limits small enough to be met, and what the HTTP request said.
#[derive(Debug, Arbitrary)]
pub(super) struct Setup {
    pub(super) hello_promised: bool,
    pub(super) auth_required: bool,
    pub(super) refused: bool,
    pub(super) token: bool,
    pub(super) topics: Vec<Name>,
    msgpack: bool,
    compression: bool,
    batch: bool,
    outbound: u8,
    handler_queue: u8,
    rate: u8,
    subscriptions: u8,
    patterns: u8,
}

/// One thing that happens.
#[derive(Debug, Arbitrary)]
pub(super) enum Op {
    /// The peer sends a message.
    Send(Sent, Packing, Mutation),
    /// The peer sends any bytes.
    SendBytes { text: bool, bytes: Vec<u8> },
    /// A WebSocket ping or pong.
    Control,
    /// The peer's close frame.
    PeerClose(Option<u16>),
    /// The transport fails, with or without something to tell the peer.
    Lost(Option<Fault>),
    /// Messages of a topic are published.
    Publish(TopicName, Vec<Message>),
    /// A topic's log begins anew.
    Restart(TopicName),
    /// A topic's log forgets its oldest.
    Trim(TopicName, u8),
    /// Word of where a topic stands.
    Beacon(TopicName),
    /// The births log of the pattern is lost.
    BirthsLost,
    /// The peer reads, or stops reading.
    Reads(bool),
    /// The peer reads so many pieces although it has stopped.
    Takes(u8),
    /// Time passes.
    Advance(u16),
    /// The hub answers what was asked first.
    Answer,
    /// The hub cannot subscribe to what was asked first.
    Refuse,
    /// The authenticator's word.
    Judge(bool),
    /// Handlers are done with so many messages.
    Handle(u8, Handled),
    /// What fell behind is fetched, if there is room.
    Fetch,
    /// The server closes.
    Close,
}

/// A message of the peer.
#[derive(Debug, Arbitrary)]
pub(super) enum Sent {
    Hello { formats: Formats, compression: bool, batch: bool, token: bool, subscribe: Subscribe },
    Subscribe(Subscribe),
    Unsubscribe(Vec<Name>),
    Ping(u32),
    Pong,
    Event { cid: bool },
    Reserved,
}

#[derive(Debug, Arbitrary)]
pub(super) struct Subscribe {
    pub(super) names: Vec<Name>,
    /// Whether the positions that the peer has come with it.
    pub(super) positions: bool,
    pub(super) filters: Vec<(Name, FilterName)>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Formats {
    Absent,
    Json,
    Msgpack,
    Both,
    Unknown,
    OtherVersion,
}

/// How a message is framed; what was not negotiated included.
#[derive(Debug, Clone, Copy, PartialEq, Arbitrary)]
pub(super) enum Packing {
    AsAgreed,
    Text,
    Msgpack,
    Compressed,
}

/// What befalls the bytes of a frame on their way.
#[derive(Debug, Arbitrary)]
pub(super) enum Mutation {
    None,
    None2,
    None3,
    Cut(u8),
    Flip(u8, u8),
    Insert(u8, u8),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Fault {
    Protocol,
    Utf8,
    TooLarge,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Handled {
    Reply,
    Fail,
    Nothing,
}

/// What is published.
#[derive(Debug, Clone, Arbitrary)]
pub(super) struct Message {
    /// What filters look at.
    pub(super) value: u8,
    pub(super) size: u16,
    pub(super) key: Option<u8>,
    pub(super) priority: u8,
}

/// A topic that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Arbitrary)]
pub(super) enum TopicName {
    Recover,
    Latest,
    DropLow,
    Disconnect,
    BornRecover,
    BornLatest,
}

/// What a peer may name.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Name {
    Topic(TopicName),
    Pattern,
    Reserved,
    Invalid,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum FilterName {
    Empty,
    Odd,
    Large,
    Nothing,
    Invalid,
}

impl Setup {
    pub(super) fn config(&self) -> SessionConfig {
        SessionConfig {
            capabilities: Capabilities { msgpack: self.msgpack, compression: self.compression, batch: self.batch },
            outbound_bytes: [600, 2_000, 10_000, 100_000][usize::from(self.outbound % 4)],
            handler_queue: usize::from(self.handler_queue % 4) + 1,
            messages_per_second: [None, NonZeroU32::new(2), NonZeroU32::new(100)][usize::from(self.rate % 3)],
            message_burst: 4,
            bytes_per_second: [None, NonZeroU32::new(1_000)][usize::from(self.rate / 3 % 2)],
            rate_patience: Duration::from_secs(5),
            message_bytes: 4_096,
            subscriptions: usize::from(self.subscriptions % 8) + 1,
            patterns: usize::from(self.patterns % 3),
            ..SessionConfig::default()
        }
    }
}

impl Mutation {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: u8| usize::from(at) * bytes.len() / 256;
        match *self {
            Self::Cut(at) => bytes.truncate(place(at)),
            Self::Flip(at, mask) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
            }
            Self::Insert(at, byte) => bytes.insert(place(at), byte),
            Self::None | Self::None2 | Self::None3 => {}
        }
    }
}

impl TopicName {
    pub(super) const ALL: [Self; 6] = [Self::Recover, Self::Latest, Self::DropLow, Self::Disconnect, Self::BornRecover, Self::BornLatest];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Latest => "latest",
            Self::DropLow => "drop",
            Self::Disconnect => "disconnect",
            Self::BornRecover => "n:recover",
            Self::BornLatest => "n:latest",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == name)
    }

    /// Whether the pattern stands for it.
    pub(super) const fn is_born(self) -> bool {
        matches!(self, Self::BornRecover | Self::BornLatest)
    }
}

impl Name {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Topic(topic) => topic.as_str(),
            Self::Pattern => "n:*",
            Self::Reserved => "@user:1",
            Self::Invalid => "a b",
        }
    }
}

impl FilterName {
    pub(super) const fn as_json(self) -> &'static str {
        match self {
            Self::Empty => "{}",
            Self::Odd => r#"{"odd":true}"#,
            Self::Large => r#"{"n":{"$gte":200}}"#,
            Self::Nothing => r#"{"n":{"$lt":0}}"#,
            Self::Invalid => r#"{"n":{"$what":1}}"#,
        }
    }
}
