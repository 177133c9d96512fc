//! What may happen to a session, read from any bytes: one for each choice, so that a fuzzer's change of one is a change of one thing.
use std::{num::NonZeroU32, time::Duration};
use wse_core::session::SessionConfig;
use wse_protocol::messages::Capabilities;

/// The bytes that are left; zeros after the last.
pub(super) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next operation; none after the last byte.
    pub(super) fn op(&mut self) -> Option<Op> {
        (!self.0.is_empty()).then(|| Op::read(self))
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn wide(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// True once in so many.
    fn rarely(&mut self, of: u8) -> bool {
        self.byte() % of == of - 1
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn list<T>(&mut self, most: usize, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| read(self)).collect()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}

/// Limits small enough to be met, and what the HTTP request said.
#[derive(Debug)]
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
#[derive(Debug)]
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
#[derive(Debug)]
pub(super) enum Sent {
    Hello { formats: Formats, compression: bool, batch: bool, token: bool, subscribe: Subscribe },
    Subscribe(Subscribe),
    Unsubscribe(Vec<Name>),
    Ping(u32),
    Pong,
    Event { cid: bool },
    Presence { action: &'static str, topic: Name, size: usize, key: Option<char>, cid: bool },
    Reserved,
}

#[derive(Debug)]
pub(super) struct Subscribe {
    pub(super) names: Vec<Name>,
    /// Whether the positions that the peer has come with it.
    pub(super) positions: bool,
    pub(super) filters: Vec<(Name, FilterName)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Formats {
    Absent,
    Json,
    Msgpack,
    Both,
    Unknown,
    OtherVersion,
}

/// How a message is framed; what was not negotiated included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Packing {
    AsAgreed,
    Text,
    Msgpack,
    Compressed,
}

/// What befalls the bytes of a frame on their way.
#[derive(Debug)]
pub(super) enum Mutation {
    None,
    Cut(u8),
    Flip(u8, u8),
    Insert(u8, u8),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Protocol,
    Utf8,
    TooLarge,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Handled {
    Reply,
    Fail,
    Nothing,
}

/// What is published.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// What filters look at.
    pub(super) value: u8,
    pub(super) size: u16,
    pub(super) key: Option<u8>,
    pub(super) priority: u8,
    /// Milliseconds until nobody is to get it any more.
    pub(super) ttl: Option<u16>,
}

/// A topic that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TopicName {
    Recover,
    Latest,
    DropLow,
    Disconnect,
    BornRecover,
    BornLatest,
    /// Who is in `recover`.
    Members,
}

/// What a peer may name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name {
    Topic(TopicName),
    Pattern,
    Reserved,
    Invalid,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum FilterName {
    Empty,
    Odd,
    Large,
    Nothing,
    Invalid,
}

impl Setup {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            hello_promised: source.flag(),
            auth_required: source.rarely(4),
            refused: source.rarely(32),
            token: source.flag(),
            topics: source.list(3, Name::read),
            msgpack: !source.rarely(4),
            compression: !source.rarely(4),
            batch: !source.rarely(4),
            outbound: source.byte(),
            handler_queue: source.byte(),
            rate: source.byte(),
            subscriptions: source.byte(),
            patterns: source.byte(),
        }
    }

    pub(super) fn config(&self) -> SessionConfig {
        SessionConfig {
            capabilities: Capabilities { msgpack: self.msgpack, compression: self.compression, batch: self.batch },
            outbound_bytes: [600, 2_000, 10_000, 100_000][usize::from(self.outbound % 4)],
            handler_queue: usize::from(self.handler_queue % 4) + 1,
            messages_per_second: [None, NonZeroU32::new(100), NonZeroU32::new(2)][usize::from(self.rate % 3)],
            message_burst: 4,
            bytes_per_second: [None, NonZeroU32::new(1_000)][usize::from(self.rate / 3 % 2)],
            rate_patience: Duration::from_secs(5),
            message_bytes: 4_096,
            presence_data_bytes: 40,
            subscriptions: 8 - usize::from(self.subscriptions % 8),
            patterns: 2 - usize::from(self.patterns % 3),
            ..SessionConfig::default()
        }
    }
}

impl Op {
    fn read(source: &mut Source<'_>) -> Self {
        let topic = TopicName::read;
        match source.byte() % 64 {
            0..16 => Self::Publish(topic(source), source.list(4, Message::read)),
            16..28 => Self::Send(Sent::read(source), Packing::read(source), Mutation::read(source)),
            28..36 => Self::Answer,
            36..40 => Self::Fetch,
            40..44 => Self::Takes(source.byte()),
            44..48 => Self::Reads(source.flag()),
            48..51 => Self::Advance(source.wide()),
            51..53 => Self::Beacon(topic(source)),
            53 => Self::Restart(topic(source)),
            54 => Self::Trim(topic(source), source.byte()),
            55 => Self::Judge(!source.rarely(16)),
            56..58 => Self::Handle(source.byte(), source.pick(&[Handled::Reply, Handled::Fail, Handled::Nothing])),
            58 => Self::BirthsLost,
            59 => Self::Refuse,
            60 => Self::Control,
            61 => {
                let (text, count) = (source.flag(), usize::from(source.byte()));
                Self::SendBytes { text, bytes: source.bytes(count) }
            }
            62 if source.rarely(4) => Self::end(source),
            63 => Self::Send(Sent::presence(source), Packing::read(source), Mutation::read(source)),
            _ => Self::Takes(1),
        }
    }

    fn end(source: &mut Source<'_>) -> Self {
        match source.byte() % 4 {
            0 => Self::Close,
            1 => Self::PeerClose(source.flag().then(|| source.wide())),
            2 => Self::Lost(None),
            _ => Self::Lost(Some(source.pick(&[Fault::Protocol, Fault::Utf8, Fault::TooLarge]))),
        }
    }
}

impl Sent {
    fn read(source: &mut Source<'_>) -> Self {
        match source.byte() % 16 {
            0..3 => Self::Hello {
                formats: source.pick(&[
                    Formats::Absent,
                    Formats::Both,
                    Formats::Msgpack,
                    Formats::Json,
                    Formats::Unknown,
                    Formats::OtherVersion,
                ]),
                compression: source.flag(),
                batch: source.flag(),
                token: source.flag(),
                subscribe: Subscribe::read(source),
            },
            3..9 => Self::Subscribe(Subscribe::read(source)),
            9..11 => Self::Unsubscribe(source.list(3, Name::read)),
            11 => Self::Ping(u32::from(source.byte())),
            12 => Self::Pong,
            13..15 => Self::Event { cid: source.flag() },
            _ => Self::Reserved,
        }
    }

    fn presence(source: &mut Source<'_>) -> Self {
        Self::Presence {
            action: source.pick(&["enter", "update", "leave", "stay"]),
            topic: Name::read(source),
            // With its quotes 40 bytes are the most.
            size: source.pick(&[0, 5, 38, 39, 200]),
            key: source.pick(&[None, Some('k'), Some('l')]),
            cid: !source.rarely(4),
        }
    }
}

impl Subscribe {
    fn read(source: &mut Source<'_>) -> Self {
        let filter = |source: &mut Source<'_>| {
            let filters = [FilterName::Odd, FilterName::Large, FilterName::Nothing, FilterName::Empty, FilterName::Invalid];
            (Name::read(source), source.pick(&filters))
        };
        Self { names: source.list(6, Name::read), positions: source.flag(), filters: source.list(3, filter) }
    }
}

impl Packing {
    fn read(source: &mut Source<'_>) -> Self {
        match source.byte() % 16 {
            0..12 => Self::AsAgreed,
            12 => Self::Msgpack,
            13 => Self::Compressed,
            _ => Self::Text,
        }
    }
}

impl Message {
    fn read(source: &mut Source<'_>) -> Self {
        let (value, size, priority) = (source.byte(), source.byte(), source.byte());
        // Some of one that goes by in a stroke of the model's clock, of a slow reader's time, and of none.
        let ttl = [1, 400, 30_000, u16::MAX][usize::from(value % 4)];
        let (key, ttl) = (Some(size % 5).filter(|key| *key > 0), Some(ttl).filter(|_| priority >= 192));
        Self { value, size: u16::from(size) * 5, key, priority, ttl }
    }
}

impl Mutation {
    fn read(source: &mut Source<'_>) -> Self {
        match source.byte() % 64 {
            61 => Self::Cut(source.byte()),
            62 => Self::Flip(source.byte(), source.byte()),
            63 => Self::Insert(source.byte(), source.byte()),
            _ => Self::None,
        }
    }

    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: u8| usize::from(at) * bytes.len() / 256;
        match *self {
            Self::Cut(at) => bytes.truncate(place(at)),
            Self::Flip(at, mask) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
            }
            Self::Insert(at, byte) => bytes.insert(place(at), byte),
            Self::None => {}
        }
    }
}

impl TopicName {
    fn read(source: &mut Source<'_>) -> Self {
        match source.byte() {
            255 => Self::Members,
            byte => Self::ALL[usize::from(byte) % 6],
        }
    }

    pub(super) const ALL: [Self; 7] =
        [Self::Recover, Self::Latest, Self::DropLow, Self::Disconnect, Self::BornRecover, Self::BornLatest, Self::Members];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Latest => "latest",
            Self::DropLow => "drop",
            Self::Disconnect => "disconnect",
            Self::BornRecover => "n:recover",
            Self::BornLatest => "n:latest",
            Self::Members => "@presence:recover",
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
    fn read(source: &mut Source<'_>) -> Self {
        match source.byte() % 32 {
            29 => Self::Reserved,
            30 => Self::Invalid,
            24..29 => Self::Pattern,
            31 => Self::Topic(TopicName::Members),
            byte => Self::Topic(TopicName::ALL[usize::from(byte) % 6]),
        }
    }

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
