//! What holds for topics by their names: what becomes of slow readers, what of a topic anybody may see, and who is in it.
use std::sync::Arc;
use wse_core::{SlowPolicy, filter::Filter};
use wse_protocol::{Pattern, Topic, WireError};

/// What holds for a topic.
#[derive(Debug, Clone, Default)]
pub struct TopicPolicy {
    /// What becomes of messages that a connection does not read in time; default `Recover`.
    pub slow: SlowPolicy,
    /// Clients may enter it and see who is in it, whoever may subscribe to it; default no.
    pub presence: bool,
    /// Only what passes reaches anybody, whatever a client asks for; default none.
    pub filter: Option<Arc<Filter>>,
}

/// Which topics a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicScope {
    /// One topic.
    Topic(Topic),
    /// Every topic of a namespace.
    Pattern(Pattern),
    /// Every topic.
    All,
}

impl TopicScope {
    /// `*`, a pattern such as `orders:*`, or the name of a topic.
    ///
    /// # Errors
    /// `INVALID_TOPIC` or `RESERVED_TOPIC` for anything else.
    pub fn parse(name: &str) -> Result<Self, WireError> {
        Ok(match (name, Pattern::parse(name)) {
            ("*", _) => Self::All,
            (_, Some(pattern)) => Self::Pattern(pattern),
            _ => Self::Topic(Topic::parse(name)?),
        })
    }

    pub(crate) fn holds(&self, topic: &Topic) -> bool {
        match self {
            Self::Topic(name) => name == topic,
            Self::Pattern(pattern) => topic.namespace() == Some(pattern.namespace()),
            Self::All => !topic.is_own(),
        }
    }
}

/// Policies by scope; the first that holds counts.
#[derive(Debug, Clone, Default)]
pub struct Policies(Vec<(TopicScope, Arc<TopicPolicy>)>);

impl Policies {
    /// Adds a policy after those that there are.
    #[must_use]
    pub fn with(mut self, scope: TopicScope, policy: TopicPolicy) -> Self {
        self.0.push((scope, Arc::new(policy)));
        self
    }

    /// Whether any topic may have members.
    #[must_use]
    pub fn have_presence(&self) -> bool {
        self.0.iter().any(|(_, policy)| policy.presence)
    }

    /// What holds for a topic.
    #[must_use]
    pub fn of(&self, topic: &Topic) -> Arc<TopicPolicy> {
        self.0.iter().find(|(scope, _)| scope.holds(topic)).map(|(_, policy)| policy.clone()).unwrap_or_default()
    }
}
