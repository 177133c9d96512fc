//! Who is in a topic: its members, and the logs of the server's own that tell of them ([P-61], [P-63], [P-64]).
use crate::{Epoch, ErrorCode, Position, Seq, Topic, WireError, defaults};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use std::{borrow::Borrow, fmt, sync::Arc};

/// `t` of what `@presence:<topic>` says.
pub const PRESENCE: &str = "presence";
/// `t` of what `@count:<topic>` says.
pub const PRESENCE_COUNT: &str = "presence_count";

/// What one of the two logs tells of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Watched {
    /// Its members: `@presence:<topic>`.
    Members,
    /// How many they are: `@count:<topic>`.
    Count,
}

impl Watched {
    const BOTH: [Self; 2] = [Self::Members, Self::Count];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Members => "@presence:",
            Self::Count => "@count:",
        }
    }

    fn of(name: &str) -> Option<(Self, &str)> {
        Self::BOTH.into_iter().find_map(|watched| Some((watched, name.strip_prefix(watched.prefix())?)))
    }
}

impl Topic {
    /// The log that tells of this topic's members.
    ///
    /// # Errors
    /// `INVALID_TOPIC` for a topic of more than 190 bytes, `RESERVED_TOPIC` for one of the server's own.
    pub fn members_log(&self) -> Result<Self, WireError> {
        Self::parse_watched(&format!("{}{self}", Watched::Members.prefix()))
    }

    /// The log that tells how many members this topic has.
    ///
    /// # Errors
    /// Those of [`members_log`](Self::members_log).
    pub fn count_log(&self) -> Result<Self, WireError> {
        self.members_log()?;
        Self::parse_watched(&format!("{}{self}", Watched::Count.prefix()))
    }

    /// Parses the name of such a log.
    ///
    /// # Errors
    /// `RESERVED_TOPIC` for another name that begins with `@`; those of [`Topic::parse`] for what stands after the prefix, and
    /// `INVALID_TOPIC` where the whole has more than 200 bytes.
    pub fn parse_watched(name: &str) -> Result<Self, WireError> {
        let Some((_, topic)) = Watched::of(name) else { return Self::parse(name) };
        Self::parse(topic)?;
        if name.len() as u64 > defaults::TOPIC_BYTES {
            let text = "a topic that has members is named by at most 190 bytes, so that the names of their logs have 200";
            return Err(WireError::new(ErrorCode::InvalidTopic, text));
        }
        Ok(Self::trusted(name))
    }

    /// What it tells, and of which topic, where it is such a log.
    #[must_use]
    pub fn watched(&self) -> Option<(Watched, Self)> {
        Watched::of(self.as_str()).map(|(watched, topic)| (watched, Self::trusted(topic)))
    }

    /// What it tells, where it is such a log.
    #[must_use]
    pub fn watches(&self) -> Option<Watched> {
        Watched::of(self.as_str()).map(|(watched, _)| watched)
    }
}

/// Names a member, and tells nothing of it: 1 to 64 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MemberId(Arc<str>);

impl MemberId {
    /// Reads one; none if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (plain && (1..=64).contains(&text.len())).then(|| Self(text.into()))
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first 12 bytes of a hash, as 16 characters.
impl From<[u8; 12]> for MemberId {
    fn from(bytes: [u8; 12]) -> Self {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let digit = |bits: u32| char::from(DIGITS[bits as usize & 63]);
        let four = |three: &[u8]| {
            let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| digit(bits >> shift))
        };
        Self(bytes.chunks(3).flat_map(four).collect::<String>().into())
    }
}

impl Borrow<str> for MemberId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for MemberId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a member's id is 1 to 64 characters of base64url"))
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who is in a topic, as others see it; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose name it is, in every topic.
    pub id: MemberId,
    /// The user; none for anonymous clients.
    pub user: Option<Arc<str>>,
    /// What the member wants others to see: one value of JSON.
    pub data: Bytes,
}

/// A member in JSON.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    id: MemberId,
    user: Option<Arc<str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Member {
    /// `{"id":...,"user":...,"data":...}`. What is no JSON is shown as null.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        json(self)
    }

    /// Reads what `encode` wrote; none if it is something else.
    #[must_use]
    pub fn decode(text: &Bytes) -> Option<Self> {
        serde_json::from_slice(text).ok().map(|written| Self::read(written, text))
    }

    fn read(written: Written<'_>, text: &Bytes) -> Self {
        Self { id: written.id, user: written.user, data: text.slice_ref(written.data.get().as_bytes()) }
    }
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        let data = serde_json::from_slice(&self.data).unwrap_or(RawValue::NULL);
        Written { id: self.id.clone(), user: self.user.clone(), data }.serialize(output)
    }
}

/// What has changed among a topic's members: one message of `@presence:<topic>`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct PresenceDiff {
    /// Members that came, or have other data.
    pub set: Vec<Member>,
    /// Members that left.
    pub gone: Vec<MemberId>,
    /// How many there are now.
    pub count: u64,
}

impl PresenceDiff {
    /// `{"set":[...],"gone":[...],"count":n}`.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        json(self)
    }

    /// Reads what `encode` wrote; none if it is something else.
    #[must_use]
    pub fn decode(text: &Bytes) -> Option<Self> {
        #[derive(Deserialize)]
        struct Written<'a> {
            #[serde(borrow)]
            set: Vec<self::Written<'a>>,
            gone: Vec<MemberId>,
            count: u64,
        }
        let Written { set, gone, count } = serde_json::from_slice(text).ok()?;
        Some(Self { set: set.into_iter().map(|member| Member::read(member, text)).collect(), gone, count })
    }
}

/// A message of `@count:<topic>`: `{"count":n}`.
#[must_use]
pub fn presence_count(count: u64) -> Bytes {
    format!(r#"{{"count":{count}}}"#).into()
}

/// Who is in a topic, exact at a position of the log that tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceState {
    /// Everybody, in no order; none where only the count was asked for.
    pub members: Option<Vec<Member>>,
    /// How many there are.
    pub count: u64,
    /// Where the log of the members stood, or the log of their count.
    pub position: Position,
}

impl PresenceState {
    /// The log's snapshot: `{"members":[...],"count":n,"e":...,"seq":n}`, without `members` where only the count was asked for.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        #[derive(Serialize)]
        struct Written<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            members: Option<&'a [Member]>,
            count: u64,
            e: &'a Epoch,
            seq: Seq,
        }
        let Self { members, count, position } = self;
        json(&Written { members: members.as_deref(), count: *count, e: &position.epoch, seq: position.seq })
    }
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("strings, numbers and JSON are JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::parse(name).expect("a name")
    }

    fn member(id: &str, user: Option<&str>, data: &'static str) -> Member {
        Member { id: MemberId::parse(id).expect("an id"), user: user.map(Arc::from), data: Bytes::from_static(data.as_bytes()) }
    }

    #[test]
    fn a_log_is_named_after_its_topic_and_is_no_ordinary_topic() {
        let (members, count) = (topic("room:1").members_log().expect("short"), topic("room:1").count_log().expect("short"));
        assert_eq!((members.as_str(), count.as_str()), ("@presence:room:1", "@count:room:1"));
        assert_eq!(members.watched(), Some((Watched::Members, topic("room:1"))));
        assert_eq!((count.watches(), topic("room:1").watches()), (Some(Watched::Count), None));
        for log in [members, count] {
            assert_eq!(Topic::parse_watched(log.as_str()), Ok(log.clone()));
            assert_eq!((log.namespace(), log.direct()), (None, None));
            assert_eq!(Topic::parse(log.as_str()).map_err(|error| error.code), Err(ErrorCode::ReservedTopic));
        }
    }

    #[test]
    fn what_stands_after_the_prefix_is_judged_as_a_topic() {
        let code = |name: &str| Topic::parse_watched(name).map_err(|error| error.code);
        for name in ["@presence:@count:a", "@presence:@user:ada", "@user:ada", "@", "@Presence:a"] {
            assert_eq!(code(name), Err(ErrorCode::ReservedTopic), "{name}");
        }
        for name in ["@presence:", "@count:a b", "@presence:orders:*", "@count:a,b"] {
            assert_eq!(code(name), Err(ErrorCode::InvalidTopic), "{name}");
        }
        let [fits, long] = [190, 191].map(|bytes| topic(&"x".repeat(bytes)));
        assert!(fits.members_log().is_ok() && fits.count_log().is_ok());
        assert!(long.members_log().is_err() && long.count_log().is_err(), "both or neither");
        assert_eq!(Topic::parse_watched("plain"), Ok(topic("plain")));
    }

    #[test]
    fn ids_are_base64url() {
        // Python: base64.urlsafe_b64encode(bytes([0xfb, 0xff, 0xfe] * 4))
        assert_eq!(
            MemberId::from([0xfb, 0xff, 0xfe].repeat(4).try_into().map(|bytes: [u8; 12]| bytes).expect("twelve")).as_str(),
            "-__--__--__--__-"
        );
        assert_eq!(MemberId::from(*b"abcdefghijkl").as_str(), "YWJjZGVmZ2hpamts");
        let long = "a".repeat(65);
        assert!(["", "a b", "a\"", "a=", "é", &long].iter().all(|text| MemberId::parse(text).is_none()));
    }

    #[test]
    fn members_diffs_and_states_are_written_as_the_protocol_says() {
        let [ada, anyone] = [member("a", Some("größe \"1\""), r#"{"x": [1,2]}"#), member("b", None, "null")];
        assert_eq!(ada.encode(), r#"{"id":"a","user":"größe \"1\"","data":{"x": [1,2]}}"#);
        let diff = PresenceDiff { set: vec![ada.clone(), anyone.clone()], gone: vec![anyone.id.clone()], count: 7 };
        let text = diff.encode();
        let users = r#"[{"id":"a","user":"größe \"1\"","data":{"x": [1,2]}},{"id":"b","user":null,"data":null}]"#;
        assert_eq!(text, format!(r#"{{"set":{users},"gone":["b"],"count":7}}"#));
        assert_eq!(PresenceDiff::decode(&text), Some(diff));
        assert_eq!(Member::decode(&ada.encode()), Some(ada.clone()));
        let position = Position { epoch: Epoch::parse("e1").expect("short"), seq: Seq::new(4).expect("small") };
        let state = PresenceState { members: Some(vec![ada, anyone]), count: 2, position };
        assert_eq!(state.encode(), format!(r#"{{"members":{users},"count":2,"e":"e1","seq":4}}"#));
        assert_eq!(PresenceState { members: None, ..state }.encode(), r#"{"count":2,"e":"e1","seq":4}"#);
        assert_eq!(presence_count(3), r#"{"count":3}"#);
    }

    #[test]
    fn what_is_no_member_is_none() {
        for text in ["", "{}", "[]", r#"{"id":"a b","user":null,"data":1}"#, r#"{"id":"a","user":null}"#, r#"{"id":"a","user":1,"data":1}"#]
        {
            assert_eq!(Member::decode(&Bytes::copy_from_slice(text.as_bytes())), None, "{text}");
        }
        assert_eq!(member("a", None, "{").encode(), r#"{"id":"a","user":null,"data":null}"#, "a message stays JSON");
    }
}
