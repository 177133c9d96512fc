//! Topic names: parsed once, shared everywhere.
use crate::{ErrorCode, WireError, defaults};
use std::{borrow::Borrow, fmt, sync::Arc};

/// A valid topic name ([P-31]); cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Parses a name.
    ///
    /// # Errors
    /// `RESERVED_TOPIC` for a leading `@`, `INVALID_TOPIC` for anything else that is no name: empty, over 200 bytes, a pattern, or
    /// with control characters, white space, `,` or `*`.
    pub fn parse(name: &str) -> Result<Self, WireError> {
        check(name)?;
        Ok(Self(name.into()))
    }

    /// One of the server's own, made by this crate.
    pub(crate) fn trusted(name: &str) -> Self {
        Self(name.into())
    }

    /// The part before the first `:`, for which patterns are named; none where there is no `:`, or nothing before it, and for the
    /// server's own.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let named = |namespace: &&str| !namespace.is_empty() && !namespace.starts_with('@');
        self.0.split_once(':').map(|(namespace, _)| namespace).filter(named)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared with the topic.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// A pattern `<namespace>:*` ([P-39]): every topic of a namespace; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Arc<str>);

impl Pattern {
    const END: &'static str = ":*";

    /// Parses a pattern; none if it has not the form.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let namespace = name.strip_suffix(Self::END)?;
        let valid =
            !namespace.is_empty() && !namespace.contains(':') && check(namespace).is_ok() && name.len() as u64 <= defaults::TOPIC_BYTES;
        valid.then(|| Self(name.into()))
    }

    /// The pattern of a namespace, as [`Topic::namespace`] names it.
    #[must_use]
    pub fn of(topic: &Topic) -> Option<Self> {
        Self::parse(&format!("{}{}", topic.namespace()?, Self::END))
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.strip_suffix(Self::END).unwrap_or(&self.0)
    }
}

/// What a subscription names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Followed {
    /// One topic.
    Topic(Topic),
    /// Every topic of a namespace.
    Pattern(Pattern),
}

impl Followed {
    /// Parses a name of either kind, or of a log that tells who is in a topic.
    ///
    /// # Errors
    /// Those of [`Topic::parse_watched`].
    pub fn parse(name: &str) -> Result<Self, WireError> {
        Pattern::parse(name).map_or_else(|| Topic::parse_watched(name).map(Self::Topic), |pattern| Ok(Self::Pattern(pattern)))
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Topic(topic) => topic.as_str(),
            Self::Pattern(pattern) => pattern.as_str(),
        }
    }
}

fn check(name: &str) -> Result<(), WireError> {
    let fault = |code, text: &str| Err(WireError::new(code, format!("topic {:?}: {text}", clipped(name))));
    if name.starts_with('@') {
        return fault(ErrorCode::ReservedTopic, "names that begin with @ are the server's; choose another name");
    }
    if name.is_empty() || name.len() as u64 > defaults::TOPIC_BYTES {
        return fault(ErrorCode::InvalidTopic, "a topic name has 1 to 200 bytes");
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',' || c == '*') {
        return fault(
            ErrorCode::InvalidTopic,
            "a topic name has no control characters, white space, ',' or '*'; a pattern is `<namespace>:*`",
        );
    }
    Ok(())
}

/// The first characters of a name that may be a megabyte.
fn clipped(name: &str) -> String {
    name.chars().take(40).collect()
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
